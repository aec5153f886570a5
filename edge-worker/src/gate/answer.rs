//! The steps that answer the client: which fields go along, and which body.

use tidegate_core::conditional::{is_not_modified, may_be_not_modified};
use tidegate_core::forward::{describes_content, is_never_stored};
use tidegate_core::headers::Fields;
use tidegate_core::headers::cache_status::{CacheStatus, Outcome, Ttl};
use tidegate_core::headers::rate_limit::Quota;
use tidegate_core::{Stored, Text, respond};
use worker::web_sys;

use super::ask::FromOrigin;
use super::passage::Passage;
use super::{Answer, Stop};
use crate::cache_store::Entry;
use crate::edits::Edits;
use crate::platform;
use crate::{clock, connection};

/// How `Cache-Status` calls the isolate's memory.
const FROM_MEMORY: &str = "memory";

/// A stored answer without its body.
pub(super) struct Whole<'a, F> {
    /// Its fields, up to date.
    pub(super) fields: &'a F,
    pub(super) stored: &'a Stored,
    /// How long its body is, where that is known.
    pub(super) body_len: Option<usize>,
}

/// Which fields a stored answer leaves with.
pub(super) enum Head {
    /// Those that it came with, which the platform has.
    Own,
    /// Those, brought up to date.
    Updated,
}

impl Passage<'_> {
    /// Serves what is stored.
    pub(super) fn serve(&self, entry: &Entry, ttl: Ttl, detail: Option<&'static str>) -> Answer {
        let key = self.key_name();
        let cache = self.plan.tier.cache_name();
        let outcome = match self.collapsed {
            Some(why) => Outcome::Collapsed { why, ttl },
            None => Outcome::Hit { ttl },
        };
        let detail = detail.or(entry.is_from_memory().then_some(FROM_MEMORY));
        let status = CacheStatus { cache, outcome, key: key.as_deref(), detail };
        let whole =
            Whole { fields: &entry.fields, stored: &entry.stored, body_len: entry.body_len() };
        self.send_stored(&whole, (entry, Head::Own), &status)
    }

    /// A stored answer: its head made anew, since the one in the store has fields of ours, and
    /// of its body what was asked for, as it streams out of the store.
    pub(super) fn send_stored(
        &self,
        whole: &Whole<'_, impl Fields>,
        (entry, whose): (&Entry, Head),
        status: &CacheStatus<'_>,
    ) -> Answer {
        let Whole { fields, stored, .. } = *whole;
        if self.is_unchanged(stored.status, fields) {
            entry.discard();
            return self.not_modified(fields, Some(stored), status);
        }
        let mut head = Edits::default();
        let copied = match whose {
            Head::Own => {
                entry.begin(&mut head);
                true
            }
            Head::Updated => {
                head.add_all(fields.lines());
                false
            }
        };
        let (code, body) = self.fill(&mut head, whole, entry);
        respond::age(&mut head, stored.age(clock::now()));
        self.finish(&mut head, code, fields, status);
        let answer = match copied {
            true => entry.respond(code, body, &head.settled(|name| entry.may_be_copied(name))),
            false => {
                let body = body.unwrap_or_else(|| entry.source.body());
                platform::respond_with(code, &body, &head.settled(|_| false))
            }
        };
        answer.map_err(|_| Stop::Broken("unusable-entry"))
    }

    /// 304 in place of a stored answer, with the fields that RFC 9110 §15.4.5 wants and
    /// without those that describe the body; with Age where it comes out of the store.
    pub(super) fn not_modified(
        &self,
        fields: &impl Fields,
        stored: Option<&Stored>,
        status: &CacheStatus<'_>,
    ) -> Answer {
        let mut head = Edits::default();
        head.add_all(fields.lines().filter(|(name, _)| {
            // Of what comes from the origin, its Age is as true as the rest.
            let ends_here = is_never_stored(name) && (stored.is_some() || *name != "age");
            !ends_here && !describes_content(name)
        }));
        if let Some(stored) = stored {
            respond::age(&mut head, stored.age(clock::now()));
        }
        self.finish(&mut head, 304, fields, status);
        platform::respond(304, None, head.as_str()).map_err(|_| Stop::Broken("unusable-entry"))
    }

    /// The origin's answer, as it comes in.
    pub(super) fn relay(&self, answer: FromOrigin, status: &CacheStatus<'_>) -> web_sys::Response {
        let FromOrigin { response, head, .. } = answer;
        let mut edits = Edits::default();
        let ends_here = |(name, _): &(&str, &str)| connection::ends(head.fields(), name);
        for (name, _) in head.fields().pairs().filter(ends_here) {
            edits.drop(name);
        }
        self.finish(&mut edits, head.status(), head.fields(), status);
        // Should the platform refuse our fields, the answer is worth more than they are.
        platform::respond_like(&response, response.body().as_ref(), edits.as_str())
            .unwrap_or(response)
    }

    /// The fields that every answer takes along; `fields` are those it had.
    fn finish(&self, head: &mut Edits, code: u16, fields: &impl Fields, status: &CacheStatus<'_>) {
        self.tell_debug(head);
        respond::browser(head, &self.plan, &self.asked, code, fields);
        respond::cache_status(head, status);
        respond::headers(head, self.plan.headers());
        respond::rate_limit(head, &self.verdict, Quota::told(fields));
        let way = (status.outcome.x_cache(), status.detail);
        self.conclude(head, way, code);
    }

    /// Notes for those who watch how the request ends.
    pub(super) fn conclude(
        &self,
        head: &mut Edits,
        way: (&'static str, Option<&'static str>),
        code: u16,
    ) {
        let route = self.plan.route.map(|route| &*route.name);
        self.gate.account.conclude(head, route, way, code);
    }

    /// Whether the client has this answer already (RFC 9110 §13).
    pub(super) fn is_unchanged(&self, code: u16, fields: &impl Fields) -> bool {
        may_be_not_modified(&self.asked, code)
            && is_not_modified(self.asked.fields, fields, clock::now())
    }

    /// The key as people read it.
    pub(super) fn key_name(&self) -> Option<Text> {
        self.plan.key_name(&self.asked, &self.who)
    }
}
