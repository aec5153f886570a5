//! Routes whose answers the zone's own cache keeps. Cloudflare stores, collapses and refreshes
//! there, by the origin's word and under the URL alone; whether what comes out of it may serve is
//! for the core to say, as of any other stored answer.

use tidegate_core::headers::Vary;
use tidegate_core::headers::cache_status::{CacheStatus, Outcome, Ttl};
use tidegate_core::invalidate::Tag;
use tidegate_core::respond::Problem;
use tidegate_core::reuse::{Answer as Kept, ForwardReason, reuse};
use tidegate_core::{CacheRule, Lookup, Reuse, Scheme, Store, Stored, Tier};

use super::Answer;
use super::ask::FromOrigin;
use super::known::Known;
use super::passage::Passage;
use crate::origin::Zone;
use crate::platform::discard;

/// What Cloudflare says of its cache.
const SAYS: &str = "cf-cache-status";
/// The detail of Cache-Status.
const DETAIL: &str = "zone";

/// An answer that the zone's cache had, as far as the core judges it.
struct Found(Stored);

impl Kept for Found {
    fn stored(&self) -> &Stored {
        &self.0
    }
}

impl Passage<'_> {
    /// Asks the origin through the zone's cache.
    pub(super) async fn through_the_zone(&self, rule: &CacheRule) -> Answer {
        // The cache's keys know neither schemes nor credentials.
        if self.asked.scheme != Scheme::Https || self.asked.authorization.is_some() {
            return self.past_the_cache(rule, ForwardReason::UriMiss).await;
        }
        let tags = self.plan.tags(&self.asked, &self.who, &[("", ""); 0]);
        let tags: Vec<&str> = tags.iter().filter_map(Tag::in_cache_tag).collect();
        let zone = Zone::Keeps(tags.join(","));
        let answer = self.fetch_by(self.question(&Known::Nothing), zone).await;
        let answer = answer.map_err(|stop| self.unanswered(stop))?;
        match answer.head.fields().text(SAYS) {
            Some("HIT" | "STALE" | "UPDATING" | "REVALIDATED") => self.judge(rule, answer).await,
            said => {
                let is_kept = matches!(said, Some("MISS" | "EXPIRED"));
                self.pass_on(rule, answer, ForwardReason::UriMiss, is_kept)
            }
        }
    }

    /// Serves what the zone's cache had, if it may.
    async fn judge(&self, rule: &CacheRule, answer: FromOrigin) -> Answer {
        let found = match self.kept(rule, &answer) {
            Store::Keep { stored, vary: Vary::Nothing } => Lookup::Found(Found(stored)),
            // For somebody with other fields, or for nobody else at all.
            Store::Keep { .. } => Lookup::OtherVariants,
            Store::Skip(_) => Lookup::Nothing,
        };
        let ttl = match reuse(rule, &self.asked, found, answer.exchange.received_at) {
            Reuse::Serve { ttl, .. } => Ttl::fresh(ttl),
            Reuse::ServeStale { staleness, .. } => Ttl::stale(staleness),
            Reuse::Revalidate { why, .. } | Reuse::Forward { why, .. } => {
                discard(&answer.response);
                return self.past_the_cache(rule, why).await;
            }
            Reuse::Unsatisfiable => {
                discard(&answer.response);
                return Err(self.refuse(Problem::not_in_cache()));
            }
        };
        let (cache, outcome) = (Tier::Edge.cache_name(), Outcome::Hit { ttl });
        self.send_on(answer, &CacheStatus { cache, outcome, key: None, detail: Some(DETAIL) })
    }
}
