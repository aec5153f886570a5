//! Asks servers how they are when nobody else asks.

use std::sync::Arc;

use http::header::{CONNECTION, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, StatusCode};
use tidegate_core::policy::upstream::HealthCheck;
use tokio::task::JoinSet;

use super::exchange::{Connection, Exchange};
use super::group::{Group, Upstreams};
use super::{Fault, Question};
use crate::body::Body;

/// Checks all servers of upstreams that want it, each in its interval, until what it returns is
/// dropped. Wants a runtime around it.
pub fn check(upstreams: &Upstreams) -> JoinSet<()> {
    let mut checks = JoinSet::new();
    for group in upstreams.iter().filter(|group| group.rule.health.is_some()) {
        for server in 0..group.servers.len() {
            checks.spawn(keep_checking(Arc::clone(group), server));
        }
    }
    checks
}

async fn keep_checking(group: Arc<Group>, server: usize) {
    let Some(rule) = &group.rule.health else { return };
    loop {
        let asked = tokio::time::timeout(rule.timeout, ask(&group, server, rule)).await;
        group.checked(server, asked.unwrap_or_else(|_| Err("no answer in time".into())));
        tokio::time::sleep(rule.interval).await;
    }
}

/// Asks a server over a connection of its own: whether it takes any is part of the question.
async fn ask(group: &Group, server: usize, rule: &HealthCheck) -> Result<(), String> {
    let stream = group.servers[server].addresses.connect().await;
    let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
    let own = group.rule.servers[server].address.authority();
    let host = rule.host.as_deref().unwrap_or(own);
    let mut head = HeaderMap::new();
    head.insert(HOST, HeaderValue::from_str(host).map_err(|error| error.to_string())?);
    head.insert(USER_AGENT, HeaderValue::from_static("tidegate-health"));
    head.insert(CONNECTION, HeaderValue::from_static("close"));
    let (method, target) = (Method::GET, rule.path.clone());
    let question = Question { method, target, head, body: Body::empty(), interim: None };
    let timeouts = group.rule.timeouts;
    let mut exchange = Exchange::begin(Connection::new(stream), &question, Body::empty(), timeouts);
    let head = exchange.final_head(&question).await.map_err(|fault| match fault {
        Fault::Closed => "it closed the connection".into(),
        Fault::Broken(unfit) => format!("what it says is no answer: {unfit}"),
        Fault::Silent => "no answer in time".into(),
        Fault::Request(error) => error.to_string(),
    })?;
    good(rule, head.status)
}

fn good(rule: &HealthCheck, status: StatusCode) -> Result<(), String> {
    match rule.status.iter().any(|set| set.contain(status.as_u16())) {
        true => Ok(()),
        false => Err(format!("it answered with {}", status.as_u16())),
    }
}
