//! No-Vary-Search (draft-ietf-httpbis-no-vary-search): which differences between queries make no
//! difference to an answer.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::Fields;
use super::structured::{self, Value};

/// The URL variation config of an answer (§3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoVarySearch {
    ignored: Ignored,
    /// The order of parameters matters.
    vary_on_key_order: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ignored {
    Only(Vec<String>),
    AllBut(Vec<String>),
}

impl NoVarySearch {
    /// Reads the field. `None` where every difference matters: it is not there, breaks the
    /// grammar, or contradicts itself.
    pub fn read(fields: &(impl Fields + ?Sized)) -> Option<Self> {
        let lines: Vec<&[u8]> = fields.lines_of("no-vary-search").collect();
        let text = lines.join(&b", "[..]);
        let dictionary = structured::dictionary(&text)?;
        let value = |wanted: &str| {
            dictionary.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value)
        };
        let vary_on_key_order = match value("key-order") {
            None => true,
            Some(Value::Boolean(ignored)) => !ignored,
            Some(_) => return None,
        };
        let ignored = match (value("params"), value("except")) {
            (None, None) => Ignored::Only(Vec::new()),
            (Some(Value::Strings(names)), None) => Ignored::Only(keys(names)),
            (None, Some(Value::Strings(names))) => Ignored::AllBut(keys(names)),
            _ => return None,
        };
        let variance = Self { ignored, vary_on_key_order };
        (!variance.is_default()).then_some(variance)
    }

    /// Whether two queries ask for the same.
    pub fn are_equivalent(&self, one: Option<&str>, two: Option<&str>) -> bool {
        self.significant(one) == self.significant(two)
    }

    fn is_default(&self) -> bool {
        self.vary_on_key_order && self.ignored == Ignored::Only(Vec::new())
    }

    /// The parameters that matter, decoded as forms are.
    fn significant<'q>(&self, query: Option<&'q str>) -> Vec<(Cow<'q, str>, Cow<'q, str>)> {
        let parameters = query.unwrap_or_default().split('&').filter(|part| !part.is_empty());
        let mut significant: Vec<_> = parameters
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .filter(|(name, _)| self.matters(name))
            .collect();
        if !self.vary_on_key_order {
            // Stable: values of one name keep their order.
            significant.sort_by(|(one, _), (two, _)| one.cmp(two));
        }
        significant
    }

    fn matters(&self, name: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|other| other == name);
        match &self.ignored {
            Ignored::Only(names) => !named(names),
            Ignored::AllBut(names) => named(names),
        }
    }
}

/// The names of parameters, which are spelt as in a query.
fn keys(names: &[String]) -> Vec<String> {
    names.iter().map(|name| decode(name).into_owned()).collect()
}

/// `+` is a space, `%XX` a byte; what is no UTF-8 shows as U+FFFD.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equivalent(field: &str, one: &str, two: &str) -> bool {
        let variance = NoVarySearch::read(&[("no-vary-search", field)]);
        variance.is_some_and(|variance| variance.are_equivalent(Some(one), Some(two)))
    }

    #[test]
    fn named_parameters_make_no_difference() {
        assert!(equivalent(r#"params=("utm" "ref")"#, "a=1&utm=x", "ref=y&a=1"));
        assert!(!equivalent(r#"params=("utm")"#, "a=1", "a=2"));
        assert!(!equivalent(r#"params=("utm")"#, "a=1&b=2", "b=2&a=1"));
        assert!(equivalent(r#"params=("u m")"#, "u+m=1", "u%20m=2"));
        assert!(equivalent(r#"params=("%C3%A9+%E6%B0%97")"#, "é+気=1", "%C3%A9%20%E6%B0%97=2"));
        assert!(!equivalent(r#"params=("%C3%A9+m")"#, "%2525C3=1", ""));
    }

    #[test]
    fn all_but_the_excepted_make_no_difference() {
        assert!(equivalent("except=()", "a=1", "b=2"));
        assert!(equivalent(r#"except=("id")"#, "id=1&a=1", "b=2&id=1"));
        assert!(!equivalent(r#"except=("id")"#, "id=1", "id=2"));
    }

    #[test]
    fn order_matters_unless_the_field_says_otherwise() {
        assert!(equivalent("key-order", "a=1&b=2", "b=2&a=1"));
        assert!(!equivalent("key-order", "a=1&a=2", "a=2&a=1"), "of one name it always does");
    }

    /// The table of §5.1.
    #[test]
    fn queries_are_compared_as_forms_are_read() {
        for (one, two) in [
            ("", "&"),
            ("a=x", "%61=%78"),
            ("a=é", "a=%C3%A9"),
            ("a=%f6", "a=%ef%bf%bd"),
            ("a=x&&&&", "a=x"),
            ("a=", "a"),
            ("a=%20", "a= &"),
            ("a=+", "a= &"),
        ] {
            assert!(equivalent("key-order", one, two), "{one} {two}");
        }
    }

    #[test]
    fn what_contradicts_itself_or_breaks_the_grammar_is_ignored() {
        for field in [
            "",
            "params=?0",
            "key-order=?0",
            "params=1",
            r#"params=("a" b)"#,
            "params",
            "params=()",
            r#"params=?1, except=("a")"#,
            "except=(a)",
            r#"except="a""#,
            r#"key-order="no""#,
            r#"params=("a"), except=("b")"#,
            "params, except",
            "Params",
            "params=(",
        ] {
            assert_eq!(NoVarySearch::read(&[("no-vary-search", field)]), None, "{field}");
        }
    }
}
