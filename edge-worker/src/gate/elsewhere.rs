//! Answers that a cache of Cloudflare's keeps by itself: what they have in common, whichever cache
//! that is. The core judges what comes out; what may not serve is asked for past the cache.

use tidegate_core::headers::cache_status::{CacheStatus, Outcome};
use tidegate_core::reuse::ForwardReason;
use tidegate_core::store::store;
use tidegate_core::{CacheRule, Method, Request, Response, Store, Tier, respond};

use super::Answer;
use super::ask::FromOrigin;
use super::known::Known;
use super::passage::Passage;
use crate::origin::Zone;
use crate::platform::discard;

impl Passage<'_> {
    /// Asks the origin where a cache must not answer; nothing keeps what it says.
    pub(super) async fn past_the_cache(&self, rule: &CacheRule, why: ForwardReason) -> Answer {
        let answer = self.fetch_by(self.question(&Known::Nothing), Zone::Avoids).await;
        let answer = answer.map_err(|stop| self.unanswered(stop))?;
        self.pass_on(rule, answer, why, false)
    }

    /// Serves an answer of the origin, which the cache `is_kept` by, or not.
    pub(super) fn pass_on(
        &self,
        rule: &CacheRule,
        answer: FromOrigin,
        why: ForwardReason,
        is_kept: bool,
    ) -> Answer {
        let (code, now) = (answer.head.status(), answer.exchange.received_at);
        let status = match self.kept(rule, &answer) {
            Store::Keep { .. } if !is_kept => {
                let outcome = Outcome::Forward { why: why.fwd(), status: Some(code), stored: None };
                let cache = Tier::Edge.cache_name();
                CacheStatus { cache, outcome, key: None, detail: why.detail() }
            }
            kept => respond::forwarded(Tier::Edge, why, code, &kept, now, None),
        };
        self.send_on(answer, &status)
    }

    /// What the core would keep of an answer. HEAD is answered by what GET has left.
    pub(super) fn kept(&self, rule: &CacheRule, answer: &FromOrigin) -> Store {
        let FromOrigin { head, exchange, .. } = answer;
        let read = Response::read(Tier::Edge, head.status(), head.fields(), exchange.received_at);
        let asked = &self.asked;
        let get = Request::read(Method::Get, asked.scheme, asked.host, asked.target, asked.fields);
        store(rule, &get, &read, exchange)
    }

    /// Sends an answer on, or 304 to a client that has it.
    pub(super) fn send_on(&self, answer: FromOrigin, status: &CacheStatus<'_>) -> Answer {
        if self.is_unchanged(answer.head.status(), answer.head.fields()) {
            discard(&answer.response);
            return self.not_modified(answer.head.fields(), None, status);
        }
        Ok(self.relay(answer, status))
    }
}
