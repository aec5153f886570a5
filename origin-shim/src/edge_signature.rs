//! Whether the edge has sent a request: the core verifies signatures, and this sees to it that
//! each counts once.

mod replays;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::request::Parts;
use tidegate_core::signature::{BadSecret, Keys, Question, Refusal, Verified};
use tidegate_core::{Policy, Timestamp};

use replays::Replays;
pub use report::Report;

/// What to do about a secret that is no use.
pub const HINT: &str = "put 32 bytes or more that were made at random (`openssl rand -base64 32`) \
                        into the environment of this process, the same as at the edge";

/// The signatures of the edge, by the keys of a policy.
#[derive(Debug)]
pub struct EdgeSignature {
    keys: Option<Keys>,
    is_required: bool,
    memory: Arc<Memory>,
}

/// What outlives a change of the policy: a signature that has counted counts no more, whichever
/// keys there are.
#[derive(Debug, Default)]
struct Memory {
    replays: Replays,
    /// Requests that were refused, by what [`Refusal::ALL`] says.
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl EdgeSignature {
    /// The keys of `policy`; `environment` answers for secrets. Without any, no signature counts.
    pub fn new(
        policy: &Policy,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BadSecret> {
        Self::with(policy, environment, Arc::default())
    }

    /// The same for another policy that takes this one's place.
    pub fn succeed(
        &self,
        policy: &Policy,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BadSecret> {
        Self::with(policy, environment, Arc::clone(&self.memory))
    }

    fn with(
        policy: &Policy,
        environment: impl Fn(&str) -> Option<String>,
        memory: Arc<Memory>,
    ) -> Result<Self, BadSecret> {
        let rule = policy.model().edge.signature.as_ref();
        let keys = rule.map(|rule| Keys::of(rule, environment)).transpose()?;
        let is_required = policy.model().shim.require_edge_signature;
        Ok(Self { keys, is_required, memory })
    }

    /// What the edge vouches for with the signature of a request, if it is its first.
    pub fn verify(&self, parts: &Parts, now: Timestamp) -> Result<Verified, Refusal> {
        let keys = self.keys.as_ref().ok_or(Refusal::Missing)?;
        let question = Question {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query(),
        };
        let verified = keys.verify(&question, &parts.headers, now)?;
        self.memory.replays.admit(&verified, now)?;
        Ok(verified)
    }

    /// Whether nobody else gets an answer.
    pub const fn is_required(&self) -> bool {
        self.is_required
    }

    /// Notes that a request got none.
    pub fn count(&self, refusal: Refusal) {
        let at = Refusal::ALL.iter().position(|other| *other == refusal);
        if let Some(count) = at.and_then(|at| self.memory.refused.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many requests were refused so far, and why.
    pub fn refused(&self) -> impl Iterator<Item = (Refusal, u64)> {
        let counts = self.memory.refused.iter().map(|count| count.load(Ordering::Relaxed));
        Refusal::ALL.into_iter().zip(counts)
    }
}
