//! The example as it runs: what is stored does not ask the database, and nobody sees another's.

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate_example_service::database::Database;
use tidegate_example_service::sessions::{Session, Sessions};
use tidegate_example_service::{Platform, app};
use tidegate_origin::Tidegate;
use tidegate_tests::wire::{Client, Request, Response};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The example on a runtime of its own, for ada and eve of team 7, and bob of team 8.
struct Service {
    runtime: Runtime,
    database: Arc<Database>,
    tidegate: Tidegate,
    address: SocketAddr,
}

impl Service {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/tidegate.toml");
        let tidegate = runtime.block_on(Tidegate::from_file(policy)).expect("a policy");
        let database = Arc::new(Database::in_memory().expect("memory"));
        let sessions = Arc::new(Sessions::default());
        for (user, team) in [("ada", 7), ("eve", 7), ("bob", 8)] {
            sessions.open(user, Session { user: user.into(), team });
        }
        let platform =
            Platform { database: Arc::clone(&database), sessions, tidegate: tidegate.clone() };
        let app = app(platform).into_make_service_with_connect_info::<SocketAddr>();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("a port");
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { runtime, database, tidegate, address }
    }

    fn send(&self, method: &str, target: &str, user: &str, body: &str) -> Response {
        let request =
            Request::new(method, target).header("authorization", &format!("Bearer {user}"));
        let request = if body.is_empty() { request } else { request.body(body) };
        Client::of(self.address).send(&request)
    }

    fn get(&self, target: &str, user: &str) -> Response {
        self.send("GET", target, user, "")
    }

    /// What the cache did, and how often the database was asked for it.
    fn cost(&self, target: &str, user: &str) -> (String, u64) {
        let before = self.database.queries();
        let answer = self.get(target, user);
        assert_eq!(answer.status, 200, "{answer:?}");
        (
            answer.header("x-cache").expect("the cache was asked").into(),
            self.database.queries() - before,
        )
    }
}

#[test]
fn c2_c3_c12_the_second_answer_asks_no_database() {
    let service = Service::start();
    for target in [
        "/api/v1/plugins",
        "/api/v1/teams/7/my-plugins",
        "/api/v1/user/profile",
        "/api/v1/user/tasks",
        "/api/v1/marketplace",
    ] {
        assert_eq!(service.cost(target, "ada"), ("MISS".into(), 1), "{target}");
        assert_eq!(service.cost(target, "ada"), ("HIT".into(), 0), "{target}");
    }
    assert_eq!(
        service.get("/api/v1/plugins", "ada").header("cache-control"),
        Some("public, max-age=300")
    );
}

#[test]
fn c2_a_team_shares_what_is_the_teams_and_users_what_is_everybodys() {
    let service = Service::start();
    assert_eq!(service.cost("/api/v1/teams/7/my-plugins", "ada"), ("MISS".into(), 1));
    assert_eq!(service.cost("/api/v1/teams/7/my-plugins", "eve"), ("HIT".into(), 0));
    assert_eq!(service.cost("/api/v1/teams/8/my-plugins", "bob"), ("MISS".into(), 1));
    assert_eq!(service.cost("/api/v1/marketplace", "ada"), ("MISS".into(), 1));
    assert_eq!(service.cost("/api/v1/marketplace", "bob"), ("HIT".into(), 0));
    // What is stored does not let anybody in.
    assert_eq!(service.get("/api/v1/teams/7/my-plugins", "bob").status, 403);
    assert_eq!(service.get("/api/v1/teams/7/my-plugins", "nobody").status, 401);
}

#[test]
fn c2_two_users_do_not_see_each_others_profile() {
    let service = Service::start();
    for user in ["ada", "bob", "ada", "bob"] {
        let profile = service.get("/api/v1/user/profile", user).json();
        assert_eq!(profile["user"], user);
    }
    assert_eq!(service.database.queries(), 2);
    assert_eq!(service.get("/api/v1/user/profile", "nobody").status, 401);
}

#[test]
fn c4_a_write_invalidates_its_team_and_no_other() {
    let service = Service::start();
    let plugins = |team: u64, user: &str| {
        service.get(&format!("/api/v1/teams/{team}/my-plugins"), user).json()
    };
    assert_eq!(plugins(7, "ada"), serde_json::json!([]));
    assert_eq!(plugins(8, "bob"), serde_json::json!([]));
    let installed = service.send("PUT", "/api/v1/teams/7/plugins/wiki", "ada", "");
    assert_eq!(installed.status, 204, "{installed:?}");
    assert_eq!(plugins(7, "eve"), serde_json::json!(["wiki"]));
    assert_eq!(service.cost("/api/v1/teams/8/my-plugins", "bob"), ("HIT".into(), 0));
    assert_eq!(service.send("DELETE", "/api/v1/teams/7/plugins/wiki", "eve", "").status, 204);
    assert_eq!(plugins(7, "ada"), serde_json::json!([]));
    // What fails has changed nothing.
    assert_eq!(service.send("PUT", "/api/v1/teams/7/plugins/none", "ada", "").status, 404);
    assert_eq!(service.cost("/api/v1/teams/7/my-plugins", "ada"), ("HIT".into(), 0));
}

#[test]
fn c4_the_service_itself_says_what_is_void() {
    let service = Service::start();
    assert_eq!(service.get("/api/v1/user/tasks", "ada").json(), serde_json::json!([]));
    assert_eq!(service.send("POST", "/api/v1/user/tasks", "ada", "write a test").status, 204);
    assert_eq!(
        service.get("/api/v1/user/tasks", "ada").json(),
        serde_json::json!(["write a test"])
    );
    assert_eq!(service.get("/api/v1/plugins", "ada").header("x-cache"), Some("MISS"));
    let invalidate = || service.tidegate.invalidate();
    for void in [
        invalidate().key("/api/v1/plugins"),
        invalidate().prefix("/api/v1/pl"),
        invalidate().everything(),
    ] {
        assert_eq!(service.cost("/api/v1/plugins", "bob"), ("HIT".into(), 0));
        void.now();
        assert_eq!(service.cost("/api/v1/plugins", "bob"), ("MISS".into(), 1));
    }
}

#[test]
fn r1_limits_count_by_the_user_whom_the_service_has_verified() {
    let service = Service::start();
    let statuses: Vec<u16> =
        (0..101).map(|_| service.get("/api/v1/plugins", "ada").status).collect();
    assert!(statuses[..100].iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(statuses[100], 429);
    assert_eq!(service.get("/api/v1/plugins", "bob").status, 200, "from the same address");
}

#[test]
fn a_policy_is_read_again_and_numbers_are_there() {
    let service = Service::start();
    service.get("/api/v1/plugins", "ada");
    service.get("/api/v1/plugins", "ada");
    let reloaded = service.runtime.block_on(service.tidegate.reload()).unwrap();
    assert_eq!(reloaded.before, reloaded.after);
    assert_eq!(service.cost("/api/v1/plugins", "ada"), ("HIT".into(), 0), "what is stored stays");
    assert_eq!(service.tidegate.stats()["requests"]["hits"], 2);
    assert!(service.tidegate.metrics().contains("http_requests_total"));
    assert!(service.tidegate.warnings().contains("TG101"), "the team's key is said to be a risk");
}
