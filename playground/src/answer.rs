//! What the page shows.

use serde::Serialize;
use tidegate_core::document::Report;
use tidegate_core::explain::Explanation;

use crate::question::Objection;

/// What is decided, or what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What is wrong with the policy; nothing is decided then.
    pub errors: Vec<Line>,
    /// What in the policy is probably not meant.
    pub warnings: Vec<Line>,
    /// What is wrong with the request; nothing is decided then, either.
    pub objections: Vec<Objection>,
    /// The hash of the policy, by which both tiers tell that they run the same.
    pub policy: Option<String>,
    /// What was asked, and what is decided.
    pub asked: Option<Asked>,
}

/// What is said of a line of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The line, from 1 on.
    pub line: usize,
    /// The column, from 1 on, in characters.
    pub column: usize,
    /// The code of a warning; none of an error.
    pub code: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// A request, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The URL, normalised.
    pub url: String,
    /// Who asks, in words.
    pub identity: String,
    /// What the edge does, and what the shim does.
    pub decisions: [Decision; 2],
}

/// What one tier does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// `edge` or `origin`.
    pub tier: &'static str,
    /// `cache` or `bypass`.
    pub decision: &'static str,
    /// The lines of `tidegate explain`.
    pub text: String,
}

impl Line {
    /// All that a report says.
    pub(crate) fn all(report: &Report) -> Vec<Self> {
        let each = report.diagnostics().iter().map(|diagnostic| {
            let place = report.place(diagnostic);
            Self {
                line: place.line,
                column: place.column,
                code: diagnostic.lint.map(|lint| lint.code().to_string()),
                message: diagnostic.message.clone(),
                hint: diagnostic.hint.clone(),
            }
        });
        each.collect()
    }
}

impl Decision {
    pub(crate) fn of(explanation: &Explanation) -> Self {
        Self {
            tier: explanation.tier,
            decision: explanation.cache.decision,
            text: explanation.to_string(),
        }
    }
}
