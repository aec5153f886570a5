//! What is stored for a request that must go upstream all the same.

use std::sync::Arc;

use crate::answer_store::Answer;

/// What is stored for a request that must go upstream.
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// An answer that may serve if upstream fails.
    Fallback(Arc<Answer>),
    /// The same, and upstream may confirm it.
    ToConfirm(Arc<Answer>),
    /// A part that lacks what is asked for; upstream may complete it.
    Part(Arc<Answer>),
}

impl Known {
    /// The answer that may serve if upstream fails.
    pub(super) fn answer(&self) -> Option<&Arc<Answer>> {
        match self {
            Self::Nothing | Self::Part(_) => None,
            Self::Fallback(answer) | Self::ToConfirm(answer) => Some(answer),
        }
    }

    /// A stale answer, to be confirmed where it has something to ask with.
    pub(super) fn to_confirm(answer: Arc<Answer>) -> Self {
        match answer.stored.has_validator {
            true => Self::ToConfirm(answer),
            false => Self::Fallback(answer),
        }
    }
}
