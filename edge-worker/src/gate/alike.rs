//! Answers to other queries that the origin says make no difference (No-Vary-Search).

use tidegate_core::alike::{self, Alike};
use tidegate_core::headers::Fields;
use tidegate_core::{CacheKey, CacheRule, Lookup};

use super::passage::Passage;
use crate::cache_store::Entry;
use crate::{alike_index, clock, purges};

impl Passage<'_> {
    /// A fresh answer to another query that this isolate knows to suit the request.
    pub(super) async fn find_alike(&self, rule: &CacheRule) -> Lookup<Entry> {
        if alike_index::is_empty() || !alike::applies(rule) {
            return Lookup::Nothing;
        }
        let query = self.asked.target.query();
        for alike in alike_index::suiting(&self.any_query(rule), query) {
            let store = &self.gate.store;
            let (found, _) = store.look_up(&self.gate.context, &alike.key, &self.asked).await;
            let Lookup::Found(entry) = found else { continue };
            let is_fresh = entry.stored.fresh_for(clock::now()).is_some();
            // It may have been purged by the URL that it was stored for.
            let is_sure = !purges::any_since(entry.asked_at);
            if is_fresh && is_sure && alike.suits(&entry.fields, query) {
                return Lookup::Found(entry);
            }
            entry.discard();
        }
        Lookup::Nothing
    }

    /// Remembers which queries an answer with this head suits, stored under `key`.
    pub(super) fn remember_alike(&self, rule: &CacheRule, key: &CacheKey, head: &impl Fields) {
        let query = self.asked.target.query();
        if let Some(alike) = Alike::of(key.clone(), query, head) {
            alike_index::remember(&self.any_query(rule), query, alike);
        }
    }

    fn any_query(&self, rule: &CacheRule) -> CacheKey {
        CacheKey::of_any_query(&rule.key, &self.asked, &self.who)
    }
}
