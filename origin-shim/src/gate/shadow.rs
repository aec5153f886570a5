//! Routes whose cache only watches: the origin answers, and what is stored is compared with that.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use tidegate_core::headers::cache_status::CacheStatus;
use tidegate_core::partial::Selection;
use tidegate_core::reuse::{ForwardReason, reuse};
use tidegate_core::shadow::{Differences, Shadowed};
use tidegate_core::{CacheKey, CacheRule, Lookup, Method, Reuse, Store, Timestamp, respond};

use super::fetch::Fetch;
use super::find::is_missing;
use super::heads::storable;
use super::known::Known;
use super::{Gate, Passage, answer};
use crate::answer_store::Answer;
use crate::body::Body;
use crate::origin::AnswerBody;
use crate::recording::{NotWhole, Recorder};
use crate::shadows::Shadows;

/// What the cache would have done with a request that the origin answers.
pub(super) struct Shadow {
    pub(super) what: Shadowed,
    /// What would have been served.
    answer: Option<Arc<Answer>>,
}

/// A comparison that waits for the body of the origin's answer.
pub(super) struct Comparison {
    shadows: Arc<Shadows>,
    route: String,
    key: String,
    found: Differences,
    answer: Arc<Answer>,
}

impl Gate {
    /// Has the origin answer, and notes what the cache would have done.
    pub(super) async fn answer_in_shadow(
        &self,
        passage: &mut Passage<'_>,
        rule: &CacheRule,
    ) -> Response<Body> {
        let key = CacheKey::of(&rule.key, passage.asked, &passage.visitor.identity);
        let mut decision = passage.find(rule, &key);
        if is_missing(&decision)
            && let Some(found) = passage.look_in_redis(&key, decision.answer()).await
        {
            decision = reuse(rule, passage.asked, Lookup::Found(found), passage.now);
        }
        let passage = &*passage;
        let lacks = |answer: &&Arc<Answer>| {
            answer::select(passage, answer, passage.now) == Selection::Missing
        };
        let what = match decision.answer().filter(lacks) {
            Some(_) => Shadowed::Miss,
            None => Shadowed::of(&decision),
        };
        if let Some(route) = passage.plan.route {
            passage.in_force.shadows.count(&route.name, what);
        }
        let answer = match decision {
            Reuse::Serve { answer, .. } | Reuse::ServeStale { answer, .. } if what.serves() => {
                Some(answer)
            }
            _ => None,
        };
        let (why, shadow) = (ForwardReason::UriMiss, Some(Shadow { what, answer }));
        let fetch = Fetch { passage, rule, key, why, turn: None, shadow };
        self.fetch(fetch, Known::Nothing).await
    }
}

impl Shadow {
    /// What Cache-Status says.
    pub(super) fn status<'k>(
        &self,
        passage: &Passage<'_>,
        status: u16,
        decision: &Store,
        now: Timestamp,
        key: Option<&'k str>,
    ) -> CacheStatus<'k> {
        respond::shadowed(passage.plan.tier, self.what, status, decision, now, key)
    }

    /// Compares what would have been served with the head of the origin's answer. A part of an
    /// answer is compared with nothing.
    pub(super) fn compare(
        self,
        passage: &Passage<'_>,
        key: &CacheKey,
        status: StatusCode,
        head: &HeaderMap,
    ) -> Option<Comparison> {
        let answer = self.answer.filter(|_| !passage.asked.has_range)?;
        let said = storable(head);
        let found =
            Differences::between((answer.stored.status, &answer.head), (status.as_u16(), &said));
        let comparison = Comparison {
            shadows: Arc::clone(&passage.in_force.shadows),
            route: passage.plan.route?.name.clone(),
            key: key.to_string(),
            found,
            answer,
        };
        match passage.asked.method {
            Method::Head => {
                comparison.count(None);
                None
            }
            _ => Some(comparison),
        }
    }
}

impl Comparison {
    /// A body that is compared on its way. One that breaks off is compared with nothing.
    pub(super) fn of_body(self, begin: Bytes, incoming: AnswerBody) -> Recorder {
        // A longer one differs.
        let limit = self.answer.body.len();
        let hand_over = move |recorded: Result<Bytes, NotWhole>| self.end(recorded.as_ref());
        Recorder::new(begin, incoming, limit, Box::new(hand_over))
    }

    /// Counts it with the body of the origin's answer.
    pub(super) fn end(self, body: Result<&Bytes, &NotWhole>) {
        let differs = match body {
            Ok(body) => Some(*body != self.answer.body),
            Err(NotWhole::TooLong) => Some(true),
            Err(NotWhole::Broken) => None,
        };
        self.count(differs);
    }

    fn count(self, body: Option<bool>) {
        self.shadows.compare(&self.route, &self.key, &self.found, body);
    }
}
