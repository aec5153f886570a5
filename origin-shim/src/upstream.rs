//! Asks the servers behind the shim.
//!
//! Which server is asked, whether another one is when it fails, and whether any is at all, is the
//! core's to say (`tidegate_core::upstream`); here are connections and what goes over them. Our own
//! HTTP/1.1 rather than a library's: it takes what origins say by the letter, knows whether
//! anything of a request was sent, and answers within the task that asks.

mod connect;
mod exchange;
mod group;
mod head;
mod health;
mod pool;
mod question;
mod sending;
mod timer;
mod tunnel;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use tidegate_core::upstream::retry::{self, Asked, Failure, Next};
use tidegate_core::upstream::{Outcome, Servers};

use crate::body::{Body, BodyError};
use crate::http1::Malformed;
use crate::origin::ServiceError;
use exchange::{Connection, Exchange, Fault, Lease};
use group::{NoSlot, Slot};
use pool::Pool;

pub use exchange::AnswerBody;
pub use group::{Group, Upstreams};
pub use health::check;
pub use question::{
    Question, ask_for_confirmation, ask_for_the_rest, ask_for_the_whole, ask_to_upgrade,
    ask_without_coding, date, end_to_end, question, tell_in_forwarded,
};
pub use tunnel::{OpenTunnels, Tunnel};

/// Who is sent away for want of room may come back after so many seconds.
const CROWDED_FOR: Duration = Duration::from_secs(1);

/// Asks servers over a pool of connections; one for each thread of the shim. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct UpstreamClient {
    pool: Arc<Pool>,
}

/// Why there is no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum UpstreamError {
    /// No connection to any of the servers.
    Unreachable,
    /// The request was not taken, or its answer did not begin, in time.
    Silent,
    /// The connection broke, or what came over it was no HTTP.
    Broken(Unfit),
    /// Nobody is asked, since those who were asked failed.
    Open {
        /// When it may be worth to ask again.
        retry_after: Duration,
    },
    /// Every server is at as many requests as it may be.
    Crowded {
        /// When it may be worth to ask again.
        retry_after: Duration,
    },
    /// A folder of files cannot be read.
    Files(io::Error),
    /// The service in this process does not answer.
    Service(ServiceError),
    /// The body of the request broke off.
    Request(BodyError),
}

/// Why what a server sent is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// It is cut off.
    CutOff,
    /// It paused for too long.
    Quiet,
    /// It is no HTTP/1.1.
    Malformed(Malformed),
    /// It changes to another protocol, and nobody asked for that.
    Upgrade,
}

/// How a server was asked in vain, and what is left to ask again with.
struct Failed {
    /// None where it was not the server that failed.
    failure: Option<Failure>,
    error: UpstreamError,
    slot: Slot,
    /// The body, if nothing of it was taken yet.
    body: Option<Body>,
}

impl UpstreamClient {
    /// A pool without connections yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks servers of `group` until one answers, or the core says that it is enough.
    ///
    /// # Errors
    /// If none has answered.
    pub async fn ask(
        &self,
        group: &Arc<Group>,
        question: Question,
    ) -> Result<Response<AnswerBody>, UpstreamError> {
        let admitted = group.admit().map_err(|retry_after| UpstreamError::Open { retry_after })?;
        let answered = self.ask_in_turn(group, question).await;
        admitted.conclude(match &answered {
            Ok(response) => Outcome::Answered { status: response.status().as_u16() },
            Err(error) if error.is_of_upstream() => Outcome::Failed,
            Err(_) => Outcome::Unknown,
        });
        answered
    }

    async fn ask_in_turn(
        &self,
        group: &Arc<Group>,
        mut question: Question,
    ) -> Result<Response<AnswerBody>, UpstreamError> {
        let retry = &group.rule.retry;
        let idempotent = retry::is_idempotent(question.method.as_str());
        let mut body = std::mem::replace(&mut question.body, Body::empty());
        // What is in memory can be sent as often as need be.
        let spare = match &body {
            Body::Whole(bytes) => Some(bytes.clone()),
            _ => None,
        };
        let (mut tried, mut attempts, mut is_fresh) = (Servers::default(), 0, false);
        let mut slot = group.slot(tried).await?;
        loop {
            let server = slot.at();
            let known = (!is_fresh).then(|| self.pool.take(&slot, !idempotent)).flatten();
            match self.ask_one(slot, known, &question, body).await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    let is_good = !retry.status.iter().any(|set| set.contain(status));
                    attempts += 1;
                    let asked = Asked { idempotent, repeatable: spare.is_some(), attempts };
                    let failure = (!is_good).then_some(Failure::Status);
                    group.tell(server, failure);
                    let Some(failure) = failure else { return Ok(response) };
                    if retry::next(retry, asked, failure) != Next::Another {
                        return Ok(response);
                    }
                    tried = tried.with(server);
                    let Some(other) = group.free_slot(tried) else { return Ok(response) };
                    slot = other;
                    body = Body::Whole(spare.clone().flatten());
                }
                Err(Failed { failure, error, slot: same, body: left }) => {
                    let Some(failure) = failure else { return Err(error) };
                    let left = left.or_else(|| spare.clone().map(Body::Whole));
                    group.tell(server, Some(failure));
                    attempts += u32::from(!matches!(failure, Failure::Unreachable | Failure::Gone));
                    let asked = Asked { idempotent, repeatable: left.is_some(), attempts };
                    let next = retry::next(retry, asked, failure);
                    let (Some(left), true) = (left, next != Next::GiveUp) else {
                        return Err(error);
                    };
                    body = left;
                    is_fresh = next == Next::SameAgain;
                    slot = match next {
                        Next::SameAgain => same,
                        Next::Another | Next::GiveUp => {
                            drop(same);
                            tried = tried.with(server);
                            let Ok(other) = group.slot(tried).await else { return Err(error) };
                            other
                        }
                    };
                }
            }
        }
    }

    /// Asks the server of `slot`, over a connection that is `known` or a new one.
    async fn ask_one(
        &self,
        slot: Slot,
        known: Option<Connection>,
        question: &Question,
        body: Body,
    ) -> Result<Response<AnswerBody>, Failed> {
        let timeouts = slot.group().rule.timeouts;
        let is_reused = known.is_some();
        let connection = match known {
            Some(connection) => connection,
            None => match connect(&slot, timeouts.connect).await {
                Some(connection) => connection,
                None => {
                    let (failure, error) = (Some(Failure::Unreachable), UpstreamError::Unreachable);
                    return Err(Failed { failure, error, slot, body: Some(body) });
                }
            },
        };
        let mut exchange = Exchange::begin(connection, question, body, timeouts);
        let fault = match exchange.final_head(question).await {
            Ok(head) => {
                let lease = Lease { slot, pool: Arc::clone(&self.pool) };
                if head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Ok(exchange.tunnel(head, lease));
                }
                return Ok(exchange.answer(head, lease));
            }
            Err(fault) => fault,
        };
        let (failure, error) = match fault {
            Fault::Closed if is_reused => {
                (Some(Failure::Gone), UpstreamError::Broken(Unfit::CutOff))
            }
            Fault::Closed => (Some(Failure::Broken), UpstreamError::Broken(Unfit::CutOff)),
            Fault::Broken(unfit) => (Some(Failure::Broken), UpstreamError::Broken(unfit)),
            Fault::Silent => (Some(Failure::Silent), UpstreamError::Silent),
            Fault::Request(error) => (None, UpstreamError::Request(error)),
        };
        Err(Failed { failure, error, slot, body: exchange.into_body() })
    }
}

/// A new connection to the server of `slot`, if it comes about in time.
async fn connect(slot: &Slot, timeout: Duration) -> Option<Connection> {
    let connected = tokio::time::timeout(timeout, slot.server().addresses.connect()).await;
    Some(Connection::new(connected.ok()?.ok()?))
}

impl UpstreamError {
    /// A sentence for the client.
    pub const fn explain(&self) -> &'static str {
        match self {
            Self::Unreachable => "The origin server cannot be reached.",
            Self::Silent => "The origin server did not answer in time.",
            Self::Broken(_) => "The origin server broke off its answer.",
            Self::Open { .. } => "The origin server has failed too often and is given time.",
            Self::Crowded { .. } => "The origin server is busy.",
            Self::Files(_) => "The files cannot be read.",
            Self::Service(_) => "The service does not answer.",
            Self::Request(_) => "The request broke off.",
        }
    }

    /// Whether it is the upstream that has failed.
    const fn is_of_upstream(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Silent | Self::Broken(_))
    }
}

impl From<NoSlot> for UpstreamError {
    fn from(no_slot: NoSlot) -> Self {
        match no_slot {
            NoSlot::Nobody => Self::Unreachable,
            NoSlot::Crowded => Self::Crowded { retry_after: CROWDED_FOR },
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff => f.write_str("it is cut off"),
            Self::Quiet => f.write_str("it paused for too long"),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Upgrade => f.write_str("it changes to a protocol that nobody asked for"),
        }
    }
}
