//! Cache-Control for some caches alone (RFC 9213), and its elder Surrogate-Control.
//!
//! Of the fields in a tier's target list, the first that is there and can be read replaces
//! Cache-Control and Expires as a whole (RFC 9213 §2.2).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::cache_control::{self, DELTA_SECONDS_MAX, ResponseDirectives, delta_seconds};
use super::structured::{self, Value};
use super::{Fields, list};

/// A targeted field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetedField {
    /// For Cloudflare's caches.
    CloudflareCdnCacheControl,
    /// For CDN caches, and gateways that serve for the origin as they do.
    CdnCacheControl,
    /// For surrogates: <https://www.w3.org/TR/edge-arch/>.
    SurrogateControl,
}

impl TargetedField {
    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CloudflareCdnCacheControl => "cloudflare-cdn-cache-control",
            Self::CdnCacheControl => "cdn-cache-control",
            Self::SurrogateControl => "surrogate-control",
        }
    }

    /// What it says; `None` when it is not there, says nothing (§2.2) or, as a structured field,
    /// cannot be read and so is ignored whole (RFC 9213 §2.1).
    pub fn read(self, fields: &(impl Fields + ?Sized), device: &str) -> Option<ResponseDirectives> {
        let lines: Vec<&[u8]> = fields.lines_of(self.name()).collect();
        if lines.iter().all(|line| line.trim_ascii().is_empty()) {
            return None;
        }
        match self {
            Self::SurrogateControl => Some(surrogate(&lines, device)),
            _ => structured(&lines.join(&b", "[..])),
        }
    }
}

/// Surrogate-Control: the grammar of Cache-Control, but that a directive may end in
/// `;device` and then is for that device alone, and `max-age=N+M` allows M seconds of stale.
fn surrogate(lines: &[&[u8]], device: &str) -> ResponseDirectives {
    let mut directives = ResponseDirectives::default();
    for member in lines.iter().flat_map(|line| list::directives(line)) {
        let (directive, target) = match member.iter().position(|b| *b == b';') {
            Some(at) => (&member[..at], Some(member[at + 1..].trim_ascii())),
            None => (member, None),
        };
        if target.is_some_and(|target| target != device.as_bytes()) {
            continue;
        }
        match directive.iter().position(|b| *b == b'+') {
            Some(at) => {
                directives.read_line(&directive[..at]);
                directives.stale_while_revalidate = delta_seconds(&directive[at + 1..]);
            }
            None => directives.read_line(directive),
        }
    }
    directives.present = true;
    directives
}

/// A dictionary of a structured field (RFC 9651 §3.2) with the meaning of Cache-Control: a
/// bare key or `?1` is a directive without argument, an integer a number of seconds. A value
/// of another type voids its directive (RFC 9213 §2.1), a syntax error the whole field.
fn structured(text: &[u8]) -> Option<ResponseDirectives> {
    let mut directives = ResponseDirectives { present: true, ..ResponseDirectives::default() };
    for (key, value) in structured::dictionary(text)? {
        let flag = value == Value::Boolean(true);
        let seconds = match &value {
            Value::Integer(seconds) => u64::try_from(*seconds).ok(),
            _ => None,
        };
        let seconds = seconds.map(|n| n.min(u64::from(DELTA_SECONDS_MAX)) as u32);
        match key {
            "no-store" => directives.no_store = flag,
            "no-cache" => {
                directives.no_cache = flag;
                restrict(&value, &mut directives.no_cache, &mut directives.no_cache_fields);
            }
            "private" => {
                directives.private = flag;
                restrict(&value, &mut directives.private, &mut directives.private_fields);
            }
            "public" => directives.public = flag,
            "must-revalidate" => directives.must_revalidate = flag,
            "proxy-revalidate" => directives.proxy_revalidate = flag,
            "must-understand" => directives.must_understand = flag,
            "no-transform" => directives.no_transform = flag,
            "immutable" => directives.immutable = flag,
            "max-age" => directives.max_age = seconds,
            "s-maxage" => directives.s_maxage = seconds,
            "stale-while-revalidate" => directives.stale_while_revalidate = seconds,
            "stale-if-error" => directives.stale_if_error = seconds,
            _ => {}
        }
    }
    Some(directives)
}

/// The form of `no-cache` and `private` that names fields is a String (RFC 9213 §2.1).
fn restrict(value: &Value, whole: &mut bool, fields: &mut Vec<Box<str>>) {
    if let Value::String(names) = value {
        cache_control::restrict(Some(names.as_bytes()), whole, fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cdn(value: &str) -> Option<ResponseDirectives> {
        TargetedField::CdnCacheControl.read(&[("cdn-cache-control", value)], "tidegate")
    }

    fn surrogate(value: &str) -> ResponseDirectives {
        TargetedField::SurrogateControl.read(&[("surrogate-control", value)], "tidegate").unwrap()
    }

    #[test]
    fn c6_a_structured_field_is_read_by_its_own_grammar() {
        let directives = cdn("max-age=86400, stale-if-error=60;x=1, must-revalidate").unwrap();
        assert_eq!(directives.max_age, Some(86_400));
        assert_eq!(directives.stale_if_error, Some(60));
        assert!(directives.must_revalidate);
        assert_eq!(cdn("max-age=1, max-age=2").unwrap().max_age, Some(2), "the last counts");
        assert!(!cdn("no-store=?0").unwrap().no_store);
        assert_eq!(cdn("max-age=99999999999").unwrap().max_age, Some(DELTA_SECONDS_MAX));
    }

    #[test]
    fn a_value_of_the_wrong_type_voids_its_directive() {
        for value in ["max-age=\"60\"", "max-age=1.5", "max-age=-1", "max-age=x", "max-age"] {
            assert_eq!(cdn(value).unwrap().max_age, None, "{value}");
        }
    }

    #[test]
    fn a_string_names_the_fields_that_are_meant() {
        let directives = cdn("no-cache=\"X-A, x-b\", private=\"x-c\", max-age=60").unwrap();
        assert_eq!(directives.no_cache_fields, ["x-a".into(), "x-b".into()]);
        assert_eq!(directives.private_fields, ["x-c".into()]);
        assert!(!directives.no_cache && !directives.private);
        assert!(cdn("private=\"\"").unwrap().private, "nobody knows which");
        assert_eq!(cdn("no-cache=\"x-a\", no-cache=?0").unwrap().no_cache_fields, []);
    }

    #[test]
    fn a_syntax_error_voids_the_whole_field() {
        for value in [
            "max-age=60, No-Store",
            "max-age =60",
            "max-age=60,",
            "max-age=99999999999999999999",
            "",
            "é",
        ] {
            let read = cdn(value);
            assert!(value.is_empty() || read.is_none(), "{value} {read:?}");
        }
        assert_eq!(TargetedField::CdnCacheControl.read(&[("x", "y")], "tidegate"), None);
    }

    #[test]
    fn surrogate_control_heeds_what_is_for_this_device() {
        assert_eq!(surrogate("MaX-aGe=3600, foobar").max_age, Some(3600));
        assert_eq!(surrogate("max-age=3600;tidegate").max_age, Some(3600));
        assert_eq!(surrogate("max-age=3600;other").max_age, None);
        assert_eq!(surrogate("max-age=3600+600").stale_while_revalidate, Some(600));
        assert!(surrogate("no-store").no_store);
        assert!(!surrogate("no-store;other").no_store);
    }
}
