//! What is counted of requests, for whoever watches from outside (P10).
//!
//! Counting is a few additions to numbers that no other thread is at; they are added up when
//! somebody asks. Routes and upstreams are counted by their names in the policy, so that there
//! are as many numbers as it has of them, whatever clients ask for.

mod calls;
mod exposition;
mod histogram;
mod history;
mod hottest;
mod misses;
mod process;
mod route;
mod snapshot;
mod stats;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_core::{Plan, Policy};

pub(crate) use calls::Call;
pub use calls::{CallMetrics, CallsTold};
pub use exposition::{CONTENT_TYPE, expose};
pub use histogram::{BOUNDS, Measured, quantile_of};
pub use history::History;
pub use hottest::{Hottest, Seen};
pub use misses::{Miss, Misses};
pub use process::Process;
pub(crate) use route::Answered;
pub use route::{RouteMetrics, RouteTold};
pub use snapshot::{Limit, Snapshot, Zone};
pub use stats::describe;
pub(crate) use words::PREFLIGHT;

/// What is counted under a policy.
#[derive(Debug, Default)]
pub struct Metrics {
    /// At the positions of the policy's routes.
    routes: Vec<Arc<RouteMetrics>>,
    by_route: BTreeMap<String, Arc<RouteMetrics>>,
    /// Where no route matches.
    unrouted: Arc<RouteMetrics>,
    by_upstream: BTreeMap<String, Arc<CallMetrics>>,
}

impl Metrics {
    /// Nothing is counted yet.
    pub fn new(policy: &Policy) -> Self {
        Self::default().succeed(policy)
    }

    /// What is counted under a policy that comes into force now: numbers go on by name.
    #[must_use]
    pub fn succeed(&self, policy: &Policy) -> Self {
        let model = policy.model();
        let names = model.routes.iter().map(|route| &route.name);
        let by_route: BTreeMap<String, _> = going_on(&self.by_route, names.clone());
        let upstreams = model.upstreams.keys().chain(model.folders.keys());
        Self {
            routes: names.filter_map(|name| by_route.get(name).map(Arc::clone)).collect(),
            by_route,
            unrouted: Arc::clone(&self.unrouted),
            by_upstream: going_on(&self.by_upstream, upstreams),
        }
    }

    /// The numbers of the route of `plan`; without a plan, of requests that none was made for.
    pub fn of(&self, plan: Option<&Plan<'_>>) -> &RouteMetrics {
        let position = plan.and_then(Plan::position);
        position.and_then(|at| self.routes.get(at)).unwrap_or(&self.unrouted)
    }

    /// The numbers of the upstream that the route of `plan` is fetched from.
    pub fn upstream_of(&self, plan: &Plan<'_>) -> Option<&CallMetrics> {
        let name = plan.route?.upstream.as_ref()?;
        self.by_upstream.get(name).map(|calls| &**calls)
    }

    /// All routes by name, and under the empty one what no route matched.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &RouteMetrics)> {
        let unrouted = std::iter::once(("", &*self.unrouted));
        unrouted.chain(self.by_route.iter().map(|(name, route)| (&**name, &**route)))
    }

    /// All upstreams by name.
    pub fn upstreams(&self) -> impl Iterator<Item = (&str, &CallMetrics)> {
        self.by_upstream.iter().map(|(name, calls)| (&**name, &**calls))
    }
}

fn going_on<'a, T: Default>(
    known: &BTreeMap<String, Arc<T>>,
    names: impl Iterator<Item = &'a String>,
) -> BTreeMap<String, Arc<T>> {
    names.map(|name| (name.clone(), known.get(name).map(Arc::clone).unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tidegate_core::{Host, Method, Request, Scheme, Target, Tier};

    fn policy(routes: &[&str]) -> Policy {
        let route = |name: &&str| format!(r#"{{"name":"{name}","pattern":"/{name}"}}"#);
        let routes: Vec<String> = routes.iter().map(route).collect();
        let json = format!(r#"{{"schema":1,"routes":[{}]}}"#, routes.join(","));
        Policy::from_json(&json).unwrap()
    }

    #[test]
    fn p10_counting_goes_on_over_a_change_of_the_policy() {
        let count = |metrics: &Metrics, policy: &Policy, path: &str| {
            let (host, target) = (Host::parse("h", Scheme::Http), Target::parse(path));
            let (host, target, fields) = (host.unwrap(), target.unwrap(), http::HeaderMap::new());
            let asked = Request::read(Method::Get, Scheme::Http, &host, &target, &fields);
            metrics.of(Some(&policy.plan(Tier::Origin, &asked))).count(&Answered {
                method: "GET",
                status: 200,
                outcome: "HIT",
                reason: None,
                collapsed: false,
                took: Duration::ZERO,
            });
        };
        let told = |metrics: &Metrics| -> Vec<(String, u64)> {
            metrics.routes().map(|(name, route)| (name.into(), route.told().requests())).collect()
        };
        let before = policy(&["a", "b"]);
        let metrics = Metrics::new(&before);
        ["/a", "/b", "/b", "/none"].iter().for_each(|path| count(&metrics, &before, path));
        let after = policy(&["c", "b"]);
        let next = metrics.succeed(&after);
        // A request that began before.
        count(&metrics, &before, "/b");
        count(&next, &after, "/c");
        assert_eq!(told(&next), [("".into(), 1), ("b".into(), 3), ("c".into(), 1)]);
    }
}
