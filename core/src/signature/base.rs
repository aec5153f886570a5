//! The text that is signed (RFC 9421 §2.5).

use alloc::string::String;

/// What a request asks for, as it goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as it stands, not normalised once more.
    pub path: &'a str,
    /// What stands behind the `?`, if there is one.
    pub query: Option<&'a str>,
}

/// What is covered, as it stands in Signature-Input. Others are refused: what this crate
/// writes is all that it reads.
pub(super) const COVERED: &str = r#"("@method" "@path" "@query" "tidegate-client")"#;

/// The signature base of a request from the edge: [`COVERED`], and `parameters`, which begin
/// with that.
pub(super) fn of_request(question: &Question<'_>, client: &str, parameters: &str) -> String {
    let Question { method, path, query } = *question;
    let query = query.unwrap_or_default();
    let length = method.len() + path.len() + query.len() + client.len() + parameters.len();
    let mut base = String::with_capacity(length + 96);
    line(&mut base, "@method", &[method]);
    line(&mut base, "@path", &[path]);
    // Without a query, the question mark alone (§2.2.7).
    line(&mut base, "@query", &["?", query]);
    line(&mut base, super::CLIENT, &[client]);
    end(&mut base, parameters);
    base
}

/// A component's line. The identifiers that this crate covers have no parameters.
pub(super) fn line(base: &mut String, identifier: &str, value: &[&str]) {
    base.push('"');
    base.push_str(identifier);
    base.push_str("\": ");
    value.iter().for_each(|part| base.push_str(part));
    base.push('\n');
}

/// The last line (§2.3), without line feed.
pub(super) fn end(base: &mut String, parameters: &str) {
    base.push_str("\"@signature-params\": ");
    base.push_str(parameters);
}
