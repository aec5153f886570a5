//! What is stored for a request, and who asks when nothing is.

use tidegate_core::reuse::reuse;
use tidegate_core::{CacheKey, CacheRule, Lookup, Reuse};

use super::passage::Passage;
use crate::account::Part;
use crate::asking::{self, Joined};
use crate::cache_store::{Entry, Place};
use crate::clock;

impl Passage<'_> {
    /// What the core says of what is stored; also where an answer to the request goes.
    pub(super) async fn find(&self, rule: &CacheRule, key: &CacheKey) -> (Reuse<Entry>, Place) {
        let looking = self.gate.store.look_up(&self.gate.context, key, &self.asked);
        let (found, place) = self.gate.account.timed(Part::Cache, looking).await;
        let found = match found {
            Lookup::Nothing => self.find_alike(rule).await,
            Lookup::Found(entry) => {
                // What another isolate has stored.
                self.remember_alike(rule, key, &entry.fields);
                Lookup::Found(entry)
            }
            Lookup::OtherVariants => Lookup::OtherVariants,
        };
        (reuse(rule, &self.asked, found, clock::now()), place)
    }

    /// Leaves the question to another request of this isolate that asks it already, and looks
    /// again when that has its answer; else others leave it to this one (C11).
    pub(super) async fn join(
        &mut self,
        rule: &CacheRule,
        key: &CacheKey,
        (decision, place): (Reuse<Entry>, Place),
    ) -> (Reuse<Entry>, Place) {
        let Some(why) = decision.collapses(&self.asked) else { return (decision, place) };
        match asking::join(place.of_answer(), clock::now()) {
            Joined::Leads(turn) => self.turn.set(Some(turn)),
            Joined::Alone => {}
            Joined::Follows => {
                if let Some(entry) = decision.answer() {
                    entry.discard();
                }
                asking::wait(place.of_answer()).await;
                self.collapsed = Some(why.fwd());
                return self.find(rule, key).await;
            }
        }
        (decision, place)
    }
}
