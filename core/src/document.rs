//! The policy file as people write it: TOML in, a [`Policy`] or all its errors out.
//!
//! ```
//! let policy = tidegate_core::document::read(
//!     r#"
//!     schema = 1
//!     [[routes]]
//!     name = "plugins"
//!     match = "/plugins/*"
//!     edge = { mode = "override", ttl = "1d" }
//!     browser = "1d"
//!     "#,
//!     &|_name| None,
//! );
//! assert!(policy.is_ok());
//! ```

mod bindings;
mod browser;
mod cache;
mod caching;
mod compression;
mod cors;
mod declare;
mod decode;
pub mod diagnostic;
mod edge;
mod edge_cache;
mod environment;
mod fields;
mod folder;
mod isolate_memory;
mod jwt;
mod limits;
mod lint;
pub mod lints;
mod operation;
mod places;
mod redis;
mod reference;
mod resolve;
mod schema;
mod secret;
mod sections;
mod shape;
mod signature;
mod spelling;
mod tls;
mod twins;
mod upstreams;
mod values;

use toml::de::DeTable;

pub use bindings::bindings;
pub use diagnostic::{Diagnostic, Report};
pub use lints::Lint;
pub use places::Places;
pub use reference::reference;
pub use schema::schema;

use crate::policy::Policy;
use decode::{Context, Decode};
use sections::Document;

/// A policy file that holds no error.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What it says.
    pub policy: Policy,
    /// What is probably not meant.
    pub warnings: Report,
    /// Where it says so.
    pub places: Places,
    /// The text itself: names of variables stand in it, and no secret.
    pub source: alloc::string::String,
}

impl Reading {
    /// Adds a warning of what only the machine can tell, of the value at `path`.
    pub fn warn(&mut self, lint: Lint, path: &str, message: alloc::string::String, hint: &str) {
        let span = self.places.span(path);
        self.warnings.add(Diagnostic { span, lint: Some(lint), message, hint: hint.into() });
    }
}

/// Reads a policy file. `environment` answers for `${NAME}` and `${NAME:-default}`.
///
/// All errors are reported at once, each with its place and a hint; a file that is not TOML
/// is reported as far as it can be read.
pub fn read(
    source: &str,
    environment: &dyn Fn(&str) -> Option<alloc::string::String>,
) -> Result<Policy, Report> {
    read_closely(source, environment).map(|reading| reading.policy)
}

/// The same, with its warnings and the place of each value.
pub fn read_closely(
    source: &str,
    environment: &dyn Fn(&str) -> Option<alloc::string::String>,
) -> Result<Reading, Report> {
    let mut context = Context::new(environment);
    let (table, errors) = DeTable::parse_recoverable(source);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let hint = match error.message() {
            "duplicate key" => "leave one of the two out",
            _ => "the file must be TOML 1.1",
        };
        context.report(span, error.message(), hint);
    }
    if !context.found.is_empty() {
        return Err(Report::new(source, context.found));
    }
    let span = table.span();
    let places = Places::of(source, table.get_ref());
    let value = toml::Spanned::new(span, toml::de::DeValue::Table(table.into_inner()));
    let document = Document::decode(&value, &mut context);
    let policy = document.and_then(|document| resolve::resolve(document, &mut context));
    match policy {
        Some(policy) if context.found.is_empty() => {
            let warnings = Report::new(source, lint::lint(policy.model(), &places));
            Ok(Reading { policy, warnings, places, source: source.into() })
        }
        _ => Err(Report::new(&context.without_secrets(source), context.found)),
    }
}
