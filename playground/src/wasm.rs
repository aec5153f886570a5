//! What JavaScript calls.

use wasm_bindgen::prelude::wasm_bindgen;

use crate::Question;

/// Answers a question, both as JSON.
///
/// # Errors
/// If the text is no question.
#[wasm_bindgen]
pub fn decide(question: &str) -> Result<String, String> {
    let question: Question = serde_json::from_str(question).map_err(|bad| bad.to_string())?;
    serde_json::to_string(&crate::decide(&question)).map_err(|bad| bad.to_string())
}
