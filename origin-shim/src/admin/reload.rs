//! `POST /reload`

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, Problem};
use crate::audit::Who;
use crate::control::{Control, ReloadError};
use crate::policy_file::PolicyError;

/// Reads the policy file again.
pub(super) async fn reload(control: &Control, who: &Who) -> Answer {
    match control.reload(who).await {
        Ok(reloaded) => Ok(json!({
            "before": reloaded.before,
            "after": reloaded.after,
            "warnings": reloaded.warnings,
            "notes": reloaded.notes,
        })),
        Err(error) => {
            let detail = "The policy in force stays, because the file is no good.";
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail, "");
            let problem = problem.with("report", json!(error.to_string()));
            Err(problem.with("errors", json!(errors(&error))))
        }
    }
}

fn errors(error: &ReloadError) -> Vec<Value> {
    let ReloadError::Policy(PolicyError::Wrong { report, .. }) = error else { return Vec::new() };
    let each = report.diagnostics().iter().map(|diagnostic| {
        let place = report.place(diagnostic);
        json!({
            "line": place.line,
            "column": place.column,
            "message": diagnostic.message,
            "hint": diagnostic.hint,
        })
    });
    each.collect()
}
