//! What a request that changed something voids in this data centre (RFC 9111 §4.4).

use tidegate_core::headers::Fields;
use tidegate_core::invalidate::{Resource, Tag, invalidated};
use tidegate_core::policy::EdgeCache;
use tidegate_core::{CacheKey, CacheRule, Method, Request, Timestamp};

use super::passage::Passage;
use crate::cache_store::{Place, voided};

impl Passage<'_> {
    /// Voids what an answer with this head makes void, but for what goes to `kept`.
    pub(super) fn invalidate(
        &self,
        status: u16,
        head: &impl Fields,
        kept: Option<&Place>,
        now: Timestamp,
    ) {
        let store = &self.gate.store;
        for resource in invalidated(&self.asked, status, head) {
            self.void(&resource, kept, now);
        }
        for tag in self.plan.invalidates(&self.asked, &self.who, status, head) {
            store.void_later(&self.gate.context, self.asked.host, &voided::tag(&tag), now);
        }
    }

    /// The names by which an answer with these tags can be voided: what all answers for one
    /// resource share where their keys do not, and the tags.
    pub(super) fn names(&self, rule: &CacheRule, tags: &[Tag]) -> Vec<String> {
        let many = !self.lies_at_its_key(rule);
        let resource = many.then(|| voided::resource(&Resource::kept(&rule.key, &self.asked)));
        resource.into_iter().chain(tags.iter().map(voided::tag)).collect()
    }

    /// Whether an answer is found by its key alone, and can be taken away there.
    fn lies_at_its_key(&self, rule: &CacheRule) -> bool {
        rule.key.is_of_the_target() && self.plan.edge_cache() == EdgeCache::CacheApi
    }

    fn void(&self, resource: &Resource, kept: Option<&Place>, now: Timestamp) {
        let Passage { gate, asked, .. } = self;
        let Some((scheme, host, target)) = resource.address() else { return };
        let get = Request::read(Method::Get, scheme, &host, &target, asked.fields);
        let Some(rule) = self.plan.keeping_rule(&get) else { return };
        if !self.lies_at_its_key(rule) {
            let name = voided::resource(&Resource::kept(&rule.key, &get));
            gate.store.void_later(&gate.context, &host, &name, now);
            return;
        }
        let place = Place::of(&CacheKey::of(&rule.key, &get, &self.who), &host);
        // With the first answer gone, nothing leads to its variants.
        if kept.is_none_or(|kept| kept.first() != place.first()) {
            gate.store.delete_later(&gate.context, &place, place.first().to_owned());
        }
    }
}
