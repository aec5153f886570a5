//! Who is signed in, and what they may.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::AUTHORIZATION;
use tidegate_origin::layer::User;

/// Sessions by their token.
#[derive(Debug, Default)]
pub struct Sessions(RwLock<HashMap<String, Session>>);

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The user.
    pub user: String,
    /// The team whose plugins the user may see and change.
    pub team: u32,
}

impl Sessions {
    /// Opens a session, known by `token` from now on.
    pub fn open(&self, token: impl Into<String>, session: Session) {
        let mut sessions = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(token.into(), session);
    }

    fn of(&self, request: &Request) -> Option<Session> {
        let token = request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

/// Lets nobody see what is another's, and tells the policy and the endpoints behind it who asks.
pub async fn authorise(
    State(sessions): State<Arc<Sessions>>,
    mut request: Request,
    next: Next,
) -> Response {
    let session = sessions.of(&request);
    let path = request.uri().path();
    let of_team = path.strip_prefix("/api/v1/teams/").map(|rest| rest.split('/').next());
    let is_personal = of_team.is_some() || path.starts_with("/api/v1/user/");
    match (&session, of_team) {
        (None, _) if is_personal => return StatusCode::UNAUTHORIZED.into_response(),
        (Some(session), Some(team)) if team != Some(&*session.team.to_string()) => {
            return StatusCode::FORBIDDEN.into_response();
        }
        _ => {}
    }
    if let Some(session) = session {
        request.extensions_mut().insert(User::from(&*session.user));
        request.extensions_mut().insert(session);
    }
    next.run(request).await
}
