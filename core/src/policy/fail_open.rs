//! What holds when a tier is broken: it then lets requests through to the origin undecided, but
//! not where the policy says that they must not get there so.

use core::net::IpAddr;

use super::{Plan, Policy};
use crate::headers::Fields;
use crate::rate::{Limit, OnStoreError, Refused};
use crate::request::Request;
use crate::respond::Problem;
use crate::time::Timestamp;
use crate::token::{OnInvalid, Refusal};

impl Policy {
    /// What keeps `request` from the origin although nothing else could be decided about it:
    /// maintenance, a bad token where those are denied, and limits with `on_store_error =
    /// "deny"`, unless it is `admitted` by them already.
    pub fn stays_shut<F: Fields + ?Sized>(
        &self,
        plan: &Plan<'_>,
        request: &Request<'_, F>,
        (client, refusal): (Option<IpAddr>, Option<Refusal>),
        admitted: bool,
        now: Timestamp,
    ) -> Option<Problem> {
        if let Some(closed) = self.maintenance(request, client, now) {
            return Some(closed.problem(request, now));
        }
        if !admitted && plan.limits().any(shuts) {
            return Some(Problem::refused(Refused::StoreFailed));
        }
        self.objection(refusal)
    }

    /// Whether a platform that finds a tier dead may send any request on by itself: it asks
    /// nobody, so only where [`Self::stays_shut`] has nothing to say.
    pub fn may_be_passed_by(&self, now: Timestamp) -> bool {
        let model = self.model();
        let in_maintenance =
            model.maintenance.enabled && model.maintenance.until.is_none_or(|until| now < until);
        let denies =
            model.identity.jwt.as_ref().is_some_and(|jwt| jwt.on_invalid == OnInvalid::Deny);
        !in_maintenance && !denies && !model.limits.iter().any(shuts)
    }
}

fn shuts(limit: &Limit) -> bool {
    limit.stores.on_error == OnStoreError::Deny && !limit.dry_run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Host, Scheme};
    use crate::method::Method;
    use crate::target::Target;
    use crate::tier::Tier;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn policy(more: &str) -> Policy {
        let limit = |name, on_error| {
            alloc::format!(
                r#"{{"name":"{name}","quota":1,"window":1000,"algorithm":"fixed-window","key":[],
                    "stores":{{"on_error":"{on_error}"}}}}"#
            )
        };
        let (open, shut) = (limit("open", "local"), limit("shut", "deny"));
        Policy::from_json(&alloc::format!(
            r#"{{"schema":1,"limits":[{open},{shut}],"routes":[
                {{"name":"a","pattern":"/a","limits":[0]}},
                {{"name":"b","pattern":"/b","limits":[0,1]}}]{more}}}"#
        ))
        .unwrap()
    }

    fn status(
        policy: &Policy,
        path: &str,
        refusal: Option<Refusal>,
        admitted: bool,
    ) -> Option<u16> {
        let (host, target) =
            (Host::parse("a", Scheme::Https).unwrap(), Target::parse(path).unwrap());
        let fields: [(&str, &str); 0] = [];
        let request = Request::read(Method::Get, Scheme::Https, &host, &target, &fields);
        let plan = policy.plan(Tier::Edge, &request);
        let problem = policy.stays_shut(&plan, &request, (None, refusal), admitted, NOW);
        problem.map(|problem| problem.status)
    }

    #[test]
    fn what_is_broken_lets_through_but_where_the_policy_says_closed() {
        let open = policy("");
        assert_eq!(status(&open, "/a", None, false), None);
        assert_eq!(status(&open, "/b", None, false), Some(503));
        assert_eq!(status(&open, "/b", None, true), None, "the limits have let it through");
        assert_eq!(status(&open, "/a", Some(Refusal::Expired), false), None);
        assert!(!open.may_be_passed_by(NOW), "a limit denies");

        let closed = policy(r#","maintenance":{"enabled":true}"#);
        assert_eq!(status(&closed, "/a", None, true), Some(503));
        assert_eq!(status(&closed, "/healthz", None, false), None);

        let denying = policy(
            r#","identity":{"jwt":{"from":"authorization","user":"sub","skew":0,"on_invalid":"deny"}}"#,
        );
        assert_eq!(status(&denying, "/a", Some(Refusal::Expired), true), Some(401));
        assert_eq!(status(&denying, "/a", None, true), None);
        assert!(!denying.may_be_passed_by(NOW));
        let nothing = Policy::from_json(r#"{"schema":1}"#).unwrap();
        assert!(nothing.may_be_passed_by(NOW));
    }
}
