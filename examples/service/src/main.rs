//! Serves the example at 127.0.0.1:3000, for two users of two teams.
#![allow(clippy::print_stdout, reason = "whoever tries it out wants to know how")]

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate_example_service::database::Database;
use tidegate_example_service::sessions::{Session, Sessions};
use tidegate_example_service::{Platform, app};
use tidegate_origin::Tidegate;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/tidegate.toml");
    let tidegate = Tidegate::from_file(policy).await?;
    let (database, sessions) = (Arc::new(Database::in_memory()?), Arc::new(Sessions::default()));
    for (user, team) in [("ada", 7), ("bob", 8)] {
        sessions.open(format!("{user}-token"), Session { user: user.into(), team });
    }
    let app = app(Platform { database, sessions, tidegate });
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!(
        "curl -i -H 'Authorization: Bearer ada-token' http://127.0.0.1:3000/api/v1/user/profile"
    );
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
