//! All numbers as JSON: for `tidegate top`, and for whoever draws them.

use serde_json::{Map, Value, json};
use tidegate_core::time::rfc3339::Rfc3339;

use super::calls::CallsTold;
use super::histogram::{BOUNDS, Measured};
use super::history::Totals;
use super::hottest::EVERY;
use super::route::RouteTold;
use super::snapshot::{Snapshot, Zone};
use crate::control::Control;
use crate::operating;

/// Everything at this moment: numbers since the process began, what is hot, and the latest misses.
pub fn describe(control: &Control) -> Value {
    let snapshot = Snapshot::take(control);
    let mut described = numbers(&snapshot);
    let (looked_at, seen) = control.shared().hottest().told();
    let hottest = seen.iter().map(|seen| {
        json!({
            "route": seen.route, "path": seen.path, "count": seen.count, "excess": seen.excess,
        })
    });
    described["hottest"] = json!({
        "every": EVERY,
        "looked_at": looked_at,
        "urls": hottest.collect::<Vec<_>>(),
    });
    let misses = control.shared().misses().told();
    let misses = misses.iter().map(|miss| {
        json!({
            "at": Rfc3339(miss.at).to_string(), "route": miss.route, "path": miss.path,
            "outcome": miss.outcome, "reason": miss.reason, "status": miss.status,
        })
    });
    described["misses"] = misses.collect();
    described
}

fn numbers(snapshot: &Snapshot) -> Value {
    let mut totals = Totals::default();
    snapshot.routes.iter().for_each(|(_, told)| totals.add(told));
    let process = snapshot.process;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "at": snapshot.at.as_millis(),
        "uptime": snapshot.at.since(snapshot.started).as_secs(),
        "policy": { "hash": snapshot.policy, "read": Rfc3339(snapshot.read).to_string() },
        "reloads": { "good": snapshot.reloads.good, "refused": snapshot.reloads.refused },
        "maintenance": snapshot.maintenance,
        "bounds": BOUNDS,
        "ready": operating::checks(&snapshot.checks),
        "requests": {
            "count": totals.requests,
            "hits": totals.hits,
            "refused": totals.refused,
            "failed": totals.failed,
            "seconds": seconds(&totals.durations),
        },
        "routes": snapshot.routes.iter().map(route).collect::<Vec<_>>(),
        "upstreams": snapshot.upstreams.iter().map(|told| upstream(told, snapshot)).collect::<Vec<_>>(),
        "limits": snapshot.limits.iter().map(|limit| json!({
            "name": limit.name,
            "allowed": limit.told.allowed,
            "refused": limit.told.refused,
            "would_refuse": limit.told.would_refuse,
            "uncounted": limit.told.uncounted,
            "store_failed": limit.told.store_failed,
            "clients": limit.clients,
        })).collect::<Vec<_>>(),
        "zones": snapshot.zones.iter().map(|Zone { name, entries, bytes, bytes_max }| json!({
            "name": name, "entries": entries, "bytes": bytes, "bytes_max": bytes_max,
        })).collect::<Vec<_>>(),
        "waiting": snapshot.waiting,
        "connections": snapshot.connections.map(|(held, most)| json!({ "held": held, "max": most })),
        "tunnels": snapshot.tunnels,
        "redis": snapshot.redis.iter().map(|(what, counted)| {
            ((*what).to_owned(), operating::redis(counted))
        }).collect::<Map<_, _>>(),
        "second_tier": snapshot.second_tier.as_ref().map(operating::second_tier),
        "log_dropped": snapshot.log_dropped,
        "process": {
            "resident": process.resident,
            "memory_limit": process.memory_limit,
            "cpu": process.cpu,
            "files": process.files,
        },
    })
}

fn route((name, told): &(String, RouteTold)) -> Value {
    let (mut outcomes, mut statuses, mut reasons) = (Map::new(), Map::new(), Map::new());
    for ((_, status, outcome), count) in &told.answers {
        add(&mut outcomes, outcome, *count);
        add(&mut statuses, status, *count);
    }
    for ((_, reason), count) in &told.reasons {
        add(&mut reasons, reason, *count);
    }
    json!({
        "name": name,
        "count": told.requests(),
        "hits": told.with(&["HIT", "STALE"]),
        "failed": told.of_class('5'),
        "outcomes": outcomes,
        "statuses": statuses,
        "reasons": reasons,
        "collapsed": told.collapsed,
        "seconds": seconds(&told.durations),
    })
}

/// A folder of files has no servers.
fn upstream((name, told): &(String, CallsTold), snapshot: &Snapshot) -> Value {
    let seen = snapshot.servers.iter().find(|(of, _)| of == name).map(|(_, seen)| seen);
    json!({
        "name": name,
        "servers": seen.map(|seen| json!({
            "all": seen.servers, "up": seen.up, "left_out": seen.left_out, "down": seen.down(),
        })),
        "breaker_open": seen.map(|seen| seen.breaker_open),
        "count": told.ended(),
        "failed": told.failed(),
        "in_flight": told.in_flight,
        "statuses": told.answers,
        "errors": told.errors,
        "seconds": seconds(&told.durations),
    })
}

/// Since the process began; `steps` so that whoever asks twice can tell of the time between.
fn seconds(measured: &Measured) -> Value {
    json!({
        "sum": measured.sum(),
        "p50": measured.quantile(0.5),
        "p95": measured.quantile(0.95),
        "p99": measured.quantile(0.99),
        "steps": measured.steps(),
    })
}

fn add(counts: &mut Map<String, Value>, name: &str, count: u64) {
    let before = counts.get(name).and_then(Value::as_u64).unwrap_or_default();
    counts.insert(name.into(), json!(before + count));
}
