//! A small platform whose endpoints stand behind a policy (`tidegate.toml` beside this): plugins of
//! teams, profiles and tasks of users, out of an SQLite that counts how often it is asked.

pub mod database;
pub mod endpoints;
pub mod sessions;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::middleware::from_fn_with_state;
use tidegate_origin::Tidegate;

use database::Database;
use sessions::Sessions;

/// What the endpoints need.
#[derive(Clone, Debug)]
pub struct Platform {
    /// Where all is kept.
    pub database: Arc<Database>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// What is stored of their answers.
    pub tidegate: Tidegate,
}

/// The endpoints behind the policy, and the policy behind authorisation.
pub fn app(platform: Platform) -> Router {
    let tidegate = platform.tidegate.layer();
    let peer = |has: &http::Extensions| {
        has.get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip())
    };
    endpoints::router()
        .with_state(platform.clone())
        .layer(tidegate.client_ip(peer))
        .layer(from_fn_with_state(platform.sessions, sessions::authorise))
}
