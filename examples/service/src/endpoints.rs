//! The endpoints. None of them knows that answers are stored, but for `add_task`.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Extension, Json, Router};
use http::StatusCode;

use crate::Platform;
use crate::database::{self, Plugin, Profile};
use crate::sessions::Session;

/// What SQLite said.
pub struct Failed(rusqlite::Error);

type Answer<T> = Result<T, Failed>;

/// All of them, by path.
pub fn router() -> Router<Platform> {
    Router::new()
        .route("/api/v1/plugins", get(plugins))
        .route("/api/v1/teams/{id}/my-plugins", get(my_plugins))
        .route("/api/v1/teams/{id}/plugins/{name}", delete(uninstall).put(install))
        .route("/api/v1/user/profile", get(profile).put(rename))
        .route("/api/v1/user/tasks", get(tasks).post(add_task))
        .route("/api/v1/marketplace", get(marketplace))
}

async fn plugins(State(platform): State<Platform>) -> Answer<Json<Vec<Plugin>>> {
    Ok(Json(platform.database.ask(database::plugins).await?))
}

async fn my_plugins(
    State(platform): State<Platform>,
    Path(team): Path<u32>,
) -> Answer<Json<Vec<String>>> {
    Ok(Json(platform.database.ask(move |db| database::installed(db, team)).await?))
}

async fn install(
    State(platform): State<Platform>,
    Path((team, plugin)): Path<(u32, String)>,
) -> Answer<StatusCode> {
    let is_there = platform.database.ask(move |db| database::install(db, team, &plugin)).await?;
    Ok(if is_there { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
}

async fn uninstall(
    State(platform): State<Platform>,
    Path((team, plugin)): Path<(u32, String)>,
) -> Answer<StatusCode> {
    let was_there = platform.database.ask(move |db| database::uninstall(db, team, &plugin)).await?;
    Ok(if was_there { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
}

async fn profile(
    State(platform): State<Platform>,
    Extension(session): Extension<Session>,
) -> Answer<Json<Profile>> {
    Ok(Json(platform.database.ask(move |db| database::profile(db, &session.user)).await?))
}

async fn rename(
    State(platform): State<Platform>,
    Extension(session): Extension<Session>,
    nickname: String,
) -> Answer<StatusCode> {
    platform.database.ask(move |db| database::rename(db, &session.user, &nickname)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn tasks(
    State(platform): State<Platform>,
    Extension(session): Extension<Session>,
) -> Answer<Json<Vec<String>>> {
    Ok(Json(platform.database.ask(move |db| database::tasks(db, &session.user)).await?))
}

/// Tells what is void itself, as a job would that changes something without a request.
async fn add_task(
    State(platform): State<Platform>,
    Extension(session): Extension<Session>,
    text: String,
) -> Answer<StatusCode> {
    let tag = format!("user:{}", session.user);
    platform.database.ask(move |db| database::add_task(db, &session.user, &text)).await?;
    platform.tidegate.invalidate().tag(tag).now();
    Ok(StatusCode::NO_CONTENT)
}

async fn marketplace(State(platform): State<Platform>) -> Answer<Json<Vec<(String, u32)>>> {
    Ok(Json(platform.database.ask(database::marketplace).await?))
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}
