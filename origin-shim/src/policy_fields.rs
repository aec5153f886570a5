//! Fields that the policy alone decides, in the form in which they go to clients: a hit need not
//! spell them out anew.

use http::HeaderMap;
use tidegate_core::rate::Limit;
use tidegate_core::{Plan, Policy, respond};

use crate::stored_head::StoredHead;

/// Those of one policy.
#[derive(Debug)]
pub(crate) struct PolicyFields {
    /// What all answers of a route leave with, by the position of the route.
    routes: Vec<StoredHead>,
    /// The same where no route is.
    unrouted: StoredHead,
    /// What each limit says of itself.
    limits: Vec<StoredHead>,
}

impl PolicyFields {
    pub(crate) fn of(policy: &Policy) -> Self {
        let all = |route| {
            let mut fields = HeaderMap::new();
            respond::headers(&mut fields, policy.headers(route));
            StoredHead::of(&fields)
        };
        let announced = |limit| {
            let mut fields = HeaderMap::new();
            respond::rate_limit_policy(&mut fields, limit);
            StoredHead::of(&fields)
        };
        Self {
            routes: policy.model().routes.iter().map(|route| all(Some(route))).collect(),
            unrouted: all(None),
            limits: policy.model().limits.iter().map(announced).collect(),
        }
    }

    /// Those of [`Plan::headers`].
    pub(crate) fn of_route(&self, plan: &Plan<'_>) -> &StoredHead {
        plan.position().and_then(|at| self.routes.get(at)).unwrap_or(&self.unrouted)
    }

    /// Those of [`respond::rate_limit_policy`], for a limit of `policy`, which is that of
    /// [`Self::of`].
    pub(crate) fn of_limit(&self, policy: &Policy, limit: &Limit) -> Option<&StoredHead> {
        let at = policy.model().limits.iter().position(|other| std::ptr::eq(other, limit))?;
        self.limits.get(at)
    }
}
