//! What is stored for a request, and who asks when nothing is.

use std::sync::Arc;

use tidegate_core::alike;
use tidegate_core::reuse::reuse;
use tidegate_core::{CacheKey, CacheRule, Lookup, Reuse};
use tokio::time::{Instant, timeout_at};

use super::{Gate, Passage};
use crate::answer_store::{Answer, AnswerStore};
use crate::asking::{End, Joined, Place, Turn, WAIT_MAX};
use crate::clock;

type Decision = Reuse<Arc<Answer>>;

impl Passage<'_> {
    /// What the core says of what is stored.
    pub(super) fn find(&self, rule: &CacheRule, key: &CacheKey) -> Decision {
        let found = match self.store().find(key, self.plan.terms(), &self.parts.headers) {
            Lookup::Nothing => self.find_alike(rule),
            found => found,
        };
        reuse(rule, self.asked, found, self.now)
    }

    /// A fresh answer to another query that the origin says makes no difference
    /// (No-Vary-Search). Where the policy says which of the query counts, that is enough.
    fn find_alike(&self, rule: &CacheRule) -> Lookup<Arc<Answer>> {
        let store = self.store();
        if store.alike().is_empty() || !alike::applies(rule) {
            return Lookup::Nothing;
        }
        let path = CacheKey::of_any_query(&rule.key, self.asked, &self.visitor.identity);
        let query = self.asked.target.query();
        let Some(known) = store.alike().of(&path) else { return Lookup::Nothing };
        let found = known.suiting(query).filter_map(|alike| {
            match store.find(&alike.key, self.plan.terms(), &self.parts.headers) {
                Lookup::Found(answer) => alike.suits(&answer.head, query).then_some(answer),
                Lookup::Nothing | Lookup::OtherVariants => None,
            }
        });
        let mut fresh = found.filter(|answer| answer.stored.fresh_for(self.now).is_some());
        fresh.next().map_or(Lookup::Nothing, Lookup::Found)
    }

    /// Where the answer will lie.
    pub(super) fn place(&self, key: &CacheKey) -> Place {
        let variant = self.store().variant(key, &self.parts.headers);
        Place { key: key.clone(), variant }
    }

    /// Where answers of this route are kept.
    pub(super) fn store(&self) -> &Arc<AnswerStore> {
        self.in_force.answers.of(&self.plan)
    }
}

impl Gate {
    /// Leaves the question to another request that asks it already, and looks again when that
    /// has its answer; else others leave it to this one (C11).
    pub(super) async fn join(
        &self,
        passage: &mut Passage<'_>,
        rule: &CacheRule,
        key: &CacheKey,
        mut decision: Decision,
    ) -> (Decision, Option<Turn>) {
        let mut deadline = None;
        while passage.closed.is_none()
            && let Some(why) = decision.collapses(passage.asked)
        {
            let place = passage.place(key);
            let following = match self.shared.turns.join(place.clone(), passage.now) {
                Joined::Leads(turn) => return (decision, Some(turn)),
                Joined::Alone => break,
                Joined::Follows(following) => following,
            };
            let until = *deadline.get_or_insert_with(|| Instant::now() + WAIT_MAX);
            let end = timeout_at(until, following.end()).await;
            passage.now = clock::now();
            passage.collapsed = Some(why.fwd());
            decision = passage.find(rule, key);
            match end {
                // It is for somebody else to ask, or else it is another variant that came.
                Ok(End::Left) => {}
                Ok(End::Stored) if passage.place(key) != place => {}
                Ok(End::Stored | End::Unshared | End::Failed) | Err(_) => break,
            }
        }
        (decision, None)
    }
}
