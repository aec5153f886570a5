//! `[[ratelimits]]` of `wrangler.toml`, held against the limits of a policy.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Report};
use super::lints::Lint;
use crate::rate::Limit;
use crate::rate::colo::{Binding, PREFIX};

const REMEDY: &str = "run `tidegate wrangler`, which writes it as the policy says";

/// Warns of what the `wrangler.toml` with this text does not bind as `limits` need it, for the
/// worker itself and for each of its environments.
pub fn bindings(limits: &[Limit], wrangler: &str) -> Report {
    let (table, errors) = DeTable::parse_recoverable(wrangler);
    let wanted = Binding::all(limits);
    let mut found = Vec::new();
    if let Some(error) = errors.first().filter(|_| !wanted.is_empty()) {
        let message = format!("this is not TOML: {}", error.message());
        found.push(warning(error.span().unwrap_or(0..0), message, "mend it first"));
        return Report::new(wrangler, found);
    }
    check(table.get_ref(), "", 0..0, &wanted, &mut found);
    // What is bound above is not bound in an environment: each says it again.
    if let Some(DeValue::Table(environments)) = table.get_ref().get("env").map(Spanned::get_ref) {
        for (name, environment) in environments.iter() {
            let (place, span) = (format!(" in [env.{}]", name.get_ref()), name.span());
            if let DeValue::Table(table) = environment.get_ref() {
                check(table, &place, span, &wanted, &mut found);
            }
        }
    }
    Report::new(wrangler, found)
}

/// What one table of bindings lacks; `place` says which, behind a message.
fn check(
    table: &DeTable<'_>,
    place: &str,
    span: Range<usize>,
    wanted: &[Binding],
    found: &mut Vec<Diagnostic>,
) {
    let entries: Vec<Entry> = match table.get("ratelimits").map(Spanned::get_ref) {
        Some(DeValue::Array(entries)) => entries.iter().map(Entry::read).collect(),
        _ => Vec::new(),
    };
    for binding in wanted {
        match entries.iter().find(|entry| entry.name == binding.name) {
            Some(entry) => found.extend(entry.differs(binding, place)),
            None => {
                let message = format!("{} is not bound{place}", binding.name);
                found.push(warning(span.clone(), message, REMEDY));
            }
        }
    }
    for (at, entry) in entries.iter().enumerate() {
        if entry.name.starts_with(PREFIX) && !wanted.iter().any(|b| b.name == entry.name) {
            let message = format!("no limit in `colo` is bound as {}{place}", entry.name);
            found.push(warning(entry.span.clone(), message, REMEDY));
        }
        let same = |other: &&Entry| entry.namespace.is_some() && other.namespace == entry.namespace;
        if let Some(other) = entries[..at].iter().find(same) {
            let message = format!("{} and {} count together{place}", other.name, entry.name);
            let hint = "give each a `namespace_id` of its own";
            found.push(warning(entry.span.clone(), message, hint));
        }
    }
}

/// One `[[ratelimits]]`; what it lacks is nothing.
struct Entry {
    span: Range<usize>,
    name: String,
    namespace: Option<String>,
    limit: Option<u32>,
    period: Option<u32>,
}

impl Entry {
    fn read(value: &Spanned<DeValue<'_>>) -> Self {
        let text = |key| Some(member(value.get_ref(), key)?.as_str()?.to_string());
        let number = |key| match member(member(value.get_ref(), "simple")?, key)? {
            DeValue::Integer(number) => number.as_str().replace('_', "").parse().ok(),
            _ => None,
        };
        Self {
            span: value.span(),
            name: text("name").unwrap_or_default(),
            namespace: text("namespace_id"),
            limit: number("limit"),
            // What wrangler takes where nothing is said.
            period: number("period").or(Some(60)),
        }
    }

    fn differs(&self, binding: &Binding, place: &str) -> Option<Diagnostic> {
        if (self.limit, self.period) == (Some(binding.limit), Some(binding.period)) {
            return None;
        }
        let (limit, period) = (binding.limit, binding.period);
        let message =
            format!("{} is not {limit} in {period} s, as in the policy{place}", self.name);
        Some(warning(self.span.clone(), message, REMEDY))
    }
}

fn member<'a, 'v>(value: &'a DeValue<'v>, key: &str) -> Option<&'a DeValue<'v>> {
    match value {
        DeValue::Table(table) => table.get(key).map(Spanned::get_ref),
        _ => None,
    }
}

fn warning(span: Range<usize>, message: String, hint: &str) -> Diagnostic {
    Diagnostic { span, lint: Some(Lint::Bindings), message, hint: hint.into() }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    const POLICY: &str = "schema = 1\n\
        [limits.search]\nlimit = \"20 per 10s\"\nstore = \"colo\"\n\
        [limits.standard]\nlimit = \"100 per 60s\"\n";

    fn warnings(wrangler: &str) -> Vec<String> {
        let policy = read(POLICY, &|_| None).unwrap();
        let report = bindings(&policy.model().limits, wrangler);
        let line = |d: &Diagnostic| {
            let place = report.place(d);
            format!("{}:{} {}", place.line, place.column, d.message)
        };
        report.diagnostics().iter().map(line).collect()
    }

    const GOOD: &str = "name = \"w\"\n[[ratelimits]]\nname = \"RATELIMIT_SEARCH\"\n\
        namespace_id = \"7\"\nsimple = { limit = 20, period = 10 }\n";

    #[test]
    fn what_is_bound_as_the_policy_says_is_good_and_so_is_what_others_bind() {
        assert_eq!(warnings(GOOD), [""; 0]);
        let others = format!("{GOOD}[[ratelimits]]\nname = \"MINE\"\nnamespace_id = \"8\"\n");
        assert_eq!(warnings(&others), [""; 0]);
    }

    #[test]
    fn each_difference_is_said_at_its_place() {
        assert_eq!(warnings("name = \"w\"\n"), ["1:1 RATELIMIT_SEARCH is not bound"]);
        let other = ["2:1 RATELIMIT_SEARCH is not 20 in 10 s, as in the policy"];
        assert_eq!(warnings(&GOOD.replace("20", "2_1")), other);
        assert_eq!(warnings(&GOOD.replace("period = 10", "period = 60")), other);
        assert_eq!(warnings(&GOOD.replace(", period = 10", "")), other);
        assert_eq!(warnings(&GOOD.replace("simple", "complex")), other);
        let stale =
            format!("{GOOD}[[ratelimits]]\nname = \"RATELIMIT_OLD\"\nnamespace_id = \"7\"\n");
        assert_eq!(
            warnings(&stale),
            [
                "6:1 no limit in `colo` is bound as RATELIMIT_OLD",
                "6:1 RATELIMIT_SEARCH and RATELIMIT_OLD count together",
            ]
        );
        assert!(warnings("name = [\n")[0].contains("this is not TOML"));
    }

    #[test]
    fn each_environment_binds_for_itself() {
        let wrangler = format!("{GOOD}[env.staging]\nname = \"s\"\n");
        assert_eq!(warnings(&wrangler), ["6:6 RATELIMIT_SEARCH is not bound in [env.staging]"]);
        let entry =
            GOOD.replace("name = \"w\"\n", "").replace("ratelimits", "env.staging.ratelimits");
        assert_eq!(warnings(&format!("{GOOD}{entry}")), [""; 0]);
        let other = entry.replace("= 20", "= 21");
        let said = "6:1 RATELIMIT_SEARCH is not 20 in 10 s, as in the policy in [env.staging]";
        assert_eq!(warnings(&format!("{GOOD}{other}")), [said]);
    }
}
