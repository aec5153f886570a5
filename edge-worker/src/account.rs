//! What became of a request, for those who watch from outside: `Server-Timing`, the log, and
//! Analytics Engine. Where nobody watches it costs a look at two flags.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tidegate_core::Timestamp;
use tidegate_core::headers::FieldsMut;
use tidegate_core::headers::server_timing::Metric;
use tidegate_core::policy::Edge;
use tidegate_core::policy::edge::RequestLog;
use worker::{Env, web_sys};

use crate::edits::Edits;
use crate::{clock, platform};

thread_local! {
    /// Whether the Worker has a dataset to write to, once it was looked for.
    static HAS_DATASET: Cell<Option<bool>> = const { Cell::new(None) };
}

/// What a request waits for.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Limit,
    Cache,
    Origin,
}

const PARTS: [&str; 3] = ["limit", "cache", "origin"];

/// One request's.
pub(crate) struct Account {
    watched: Option<Watched>,
}

struct Watched {
    in_answer: bool,
    log: RequestLog,
    dataset: bool,
    begun: Timestamp,
    spent: [Cell<Duration>; PARTS.len()],
    end: RefCell<Option<End>>,
}

/// How a request ended.
struct End {
    route: String,
    /// The word of `X-Cache`.
    outcome: &'static str,
    reason: &'static str,
    status: u16,
}

impl Account {
    /// Of a request that begins.
    pub(crate) fn open(edge: &Edge, env: &Env) -> Self {
        let Edge { server_timing: in_answer, log, .. } = *edge;
        let dataset = HAS_DATASET.get().unwrap_or_else(|| {
            let has = platform::has_dataset(env);
            HAS_DATASET.set(Some(has));
            has
        });
        let is_watched = in_answer || dataset || log != RequestLog::None;
        let watched = is_watched.then(|| Watched {
            in_answer,
            log,
            dataset,
            begun: clock::now(),
            spent: Default::default(),
            end: RefCell::default(),
        });
        Self { watched }
    }

    /// Does `work`, and counts its time as that of `part`.
    pub(crate) async fn timed<T>(&self, part: Part, work: impl Future<Output = T>) -> T {
        let Some(watched) = &self.watched else { return work.await };
        let begun = clock::now();
        let done = work.await;
        let spent = &watched.spent[part as usize];
        spent.set(spent.get() + clock::now().since(begun));
        done
    }

    /// Notes how the request ends, and tells the client where its time went if it is to know.
    pub(crate) fn conclude(
        &self,
        head: &mut Edits,
        route: Option<&str>,
        (outcome, reason): (&'static str, Option<&'static str>),
        status: u16,
    ) {
        let Some(watched) = &self.watched else { return };
        if watched.in_answer {
            for (name, spent) in PARTS.into_iter().zip(&watched.spent) {
                let duration = spent.get();
                if !duration.is_zero() {
                    head.append_display("server-timing", &Metric { name, duration });
                }
            }
            let duration = clock::now().since(watched.begun);
            head.append_display("server-timing", &Metric { name: "total", duration });
        }
        let (route, reason) = (route.unwrap_or_default().to_owned(), reason.unwrap_or_default());
        *watched.end.borrow_mut() = Some(End { route, outcome, reason, status });
    }

    /// Tells those who watch, once `request` has its answer.
    pub(crate) fn report(&self, env: &Env, request: &web_sys::Request) {
        let Some(watched) = &self.watched else { return };
        let Some(End { route, outcome, reason, status }) = watched.end.take() else { return };
        let is_logged = match watched.log {
            RequestLog::None => false,
            RequestLog::Forwarded => !matches!(outcome, "HIT" | "STALE"),
            RequestLog::All => true,
        };
        let millis = u32::try_from(clock::now().since(watched.begun).as_millis());
        let millis = millis.unwrap_or(u32::MAX);
        if is_logged {
            platform::log_request(request, &route, outcome, reason, status, millis);
        }
        if watched.dataset {
            platform::write_point(env, request, &route, outcome, reason, status, millis);
        }
    }
}
