//! Cache-Control (RFC 9111 §5.2), read by the letter.
//!
//! Names compare without case. Arguments may be tokens or quoted strings (§5.2: a
//! recipient ought to accept both). One bad directive never voids the rest, and a
//! doubtful one is read in its more careful sense: what forbids counts with whatever stands
//! around its name (`no-store"`, `private =x`), what allows as the grammar has it alone.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::list;

/// What a delta-seconds too large to hold stands for (RFC 9111 §1.2.2): 2^31 seconds.
pub const DELTA_SECONDS_MAX: u32 = 1 << 31;

/// The directives of a response (RFC 9111 §5.2.2, RFC 5861, RFC 8246).
///
/// A freshness directive is `Some(0)` when its argument is missing or malformed: §4.2.1
/// encourages caches to take such an answer for stale. Of several values the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    /// Whether any directive was present at all.
    pub present: bool,
    /// `no-store`, §5.2.2.5.
    pub no_store: bool,
    /// `no-cache` without field names, §5.2.2.4.
    pub no_cache: bool,
    /// The names in `no-cache="…"`: these fields are not to be reused unvalidated.
    pub no_cache_fields: Vec<Box<str>>,
    /// `private` without field names, §5.2.2.7.
    pub private: bool,
    /// The names in `private="…"`: these fields are not to be stored by a shared cache.
    pub private_fields: Vec<Box<str>>,
    /// `public`, §5.2.2.9.
    pub public: bool,
    /// `must-revalidate`, §5.2.2.2.
    pub must_revalidate: bool,
    /// `proxy-revalidate`, §5.2.2.8.
    pub proxy_revalidate: bool,
    /// `must-understand`, §5.2.2.3.
    pub must_understand: bool,
    /// `no-transform`, §5.2.2.6.
    pub no_transform: bool,
    /// `immutable`, RFC 8246.
    pub immutable: bool,
    /// `max-age` in seconds, §5.2.2.1.
    pub max_age: Option<u32>,
    /// `s-maxage` in seconds, §5.2.2.10.
    pub s_maxage: Option<u32>,
    /// `stale-while-revalidate` in seconds, RFC 5861 §3.
    pub stale_while_revalidate: Option<u32>,
    /// `stale-if-error` in seconds, RFC 5861 §4.
    pub stale_if_error: Option<u32>,
}

impl ResponseDirectives {
    /// Reads all Cache-Control lines of a response.
    pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut directives = Self::default();
        for line in lines {
            directives.read_line(line);
        }
        directives
    }

    /// Reads one more line.
    pub fn read_line(&mut self, line: &[u8]) {
        for member in list::directives(line) {
            self.present = true;
            match Directive::split(member) {
                Ok(directive) => self.read(directive),
                Err(name) => self.read_doubtful(name),
            }
        }
    }

    /// Reads a directive of which only the name is to be made out: what it forbids counts, and
    /// not what it allows, as `must-revalidate` and `s-maxage` do to share (§3.5).
    fn read_doubtful(&mut self, name: &[u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            7 if is("private") => self.private = true,
            7 if is("max-age") => first(&mut self.max_age, None),
            8 if is("no-store") => self.no_store = true,
            8 if is("no-cache") => self.no_cache = true,
            8 if is("s-maxage") => {
                first(&mut self.max_age, None);
                self.proxy_revalidate = true;
            }
            12 if is("no-transform") => self.no_transform = true,
            15 if is("must-revalidate") => self.proxy_revalidate = true,
            16 if is("proxy-revalidate") => self.proxy_revalidate = true,
            _ => {}
        }
    }

    fn read(&mut self, directive: Directive<'_>) {
        let Directive { name, argument } = directive;
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        // By length first: a directive is compared with two or three names at most.
        match name.len() {
            6 if is("public") => self.public = true,
            7 if is("private") => restrict(argument, &mut self.private, &mut self.private_fields),
            7 if is("max-age") => first(&mut self.max_age, argument),
            8 if is("no-store") => self.no_store = true,
            8 if is("no-cache") => {
                restrict(argument, &mut self.no_cache, &mut self.no_cache_fields)
            }
            8 if is("s-maxage") => first(&mut self.s_maxage, argument),
            9 if is("immutable") => self.immutable = true,
            12 if is("no-transform") => self.no_transform = true,
            14 if is("stale-if-error") => window(&mut self.stale_if_error, argument),
            15 if is("must-revalidate") => self.must_revalidate = true,
            15 if is("must-understand") => self.must_understand = true,
            16 if is("proxy-revalidate") => self.proxy_revalidate = true,
            22 if is("stale-while-revalidate") => {
                window(&mut self.stale_while_revalidate, argument)
            }
            _ => {}
        }
    }

    /// Whether the origin allows what one client got for its credential to serve others
    /// (RFC 9111 §3.5).
    pub fn allows_sharing(&self) -> bool {
        self.public || self.must_revalidate || self.s_maxage.is_some()
    }

    /// Whether the origin forbids a shared cache to serve this answer stale without
    /// asking (RFC 9111 §4.2.4: no-cache, must-revalidate, proxy-revalidate, s-maxage).
    pub fn forbids_stale(&self) -> bool {
        self.no_cache || self.must_revalidate || self.proxy_revalidate || self.s_maxage.is_some()
    }
}

/// The directives of a request (RFC 9111 §5.2.1); all of them advice to the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// Whether any directive was present, which makes Pragma void (§5.4).
    pub present: bool,
    /// `no-store`, §5.2.1.5.
    pub no_store: bool,
    /// `no-cache`, §5.2.1.4, or `Pragma: no-cache` without Cache-Control.
    pub no_cache: bool,
    /// `only-if-cached`, §5.2.1.7.
    pub only_if_cached: bool,
    /// `no-transform`, §5.2.1.6.
    pub no_transform: bool,
    /// `max-age`, §5.2.1.1: no older than this. Zero when malformed.
    pub max_age: Option<u32>,
    /// `min-fresh`, §5.2.1.3: fresh for this much longer. Ignored when malformed.
    pub min_fresh: Option<u32>,
    /// `max-stale`, §5.2.1.2: stale by no more than this, or by any time.
    pub max_stale: Option<MaxStale>,
}

/// How stale an answer a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// `max-stale` without a number.
    Any,
    /// `max-stale=N` seconds.
    Seconds(u32),
}

impl MaxStale {
    /// Whether an answer stale for `staleness` is accepted.
    pub fn accepts(self, staleness: Duration) -> bool {
        match self {
            Self::Any => true,
            Self::Seconds(limit) => staleness <= Duration::from_secs(limit.into()),
        }
    }
}

impl RequestDirectives {
    /// Reads one line of Cache-Control.
    pub fn read_line(&mut self, line: &[u8]) {
        for member in list::directives(line) {
            self.present = true;
            let Directive { name, argument } = match Directive::split(member) {
                Ok(directive) => directive,
                Err(name) => Directive { name, argument: Some(b"") },
            };
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            match name.len() {
                7 if is("max-age") => first(&mut self.max_age, argument),
                8 if is("no-store") => self.no_store = true,
                8 if is("no-cache") => self.no_cache = true,
                9 if is("min-fresh") => window(&mut self.min_fresh, argument),
                9 if is("max-stale") => self.max_stale = self.max_stale.or(max_stale(argument)),
                12 if is("no-transform") => self.no_transform = true,
                14 if is("only-if-cached") => self.only_if_cached = true,
                _ => {}
            }
        }
    }

    /// Takes a line of Pragma into account, which counts only where there is no
    /// Cache-Control (RFC 9111 §5.4); call it after all lines of that.
    pub fn read_pragma(&mut self, line: &[u8]) {
        let no_cache = || list::directives(line).any(|m| m.eq_ignore_ascii_case(b"no-cache"));
        if !self.present && no_cache() {
            self.no_cache = true;
        }
    }
}

struct Directive<'a> {
    name: &'a [u8],
    /// What follows `=`, without quotes.
    argument: Option<&'a [u8]>,
}

impl<'a> Directive<'a> {
    /// The parts of a directive; of one that does not begin with its name, or whose name ends
    /// otherwise than with the directive or `=`, the first word.
    fn split(member: &'a [u8]) -> Result<Self, &'a [u8]> {
        let is_name = |byte: &u8| list::is_token_byte(*byte);
        match member.iter().position(|byte| !is_name(byte)) {
            None => Ok(Self { name: member, argument: None }),
            Some(at) if at > 0 && member[at] == b'=' => {
                let argument = Some(list::unquote(&member[at + 1..]));
                Ok(Self { name: &member[..at], argument })
            }
            Some(_) => {
                Err(member.split(|byte| !is_name(byte)).find(|w| !w.is_empty()).unwrap_or(b""))
            }
        }
    }
}

/// Keeps the first value of a freshness directive; zero (stale) for one that is malformed.
fn first(slot: &mut Option<u32>, argument: Option<&[u8]>) {
    slot.get_or_insert(argument.and_then(delta_seconds).unwrap_or(0));
}

/// Keeps the first value of a directive that only ever widens; a malformed one is void.
fn window(slot: &mut Option<u32>, argument: Option<&[u8]>) {
    *slot = slot.or(argument.and_then(delta_seconds));
}

fn max_stale(argument: Option<&[u8]>) -> Option<MaxStale> {
    match argument {
        None => Some(MaxStale::Any),
        Some(text) => delta_seconds(text).map(MaxStale::Seconds),
    }
}

/// Reads `private` or `no-cache`: for the named fields, or for the whole answer when
/// there are no names that can be read.
pub(super) fn restrict(argument: Option<&[u8]>, whole: &mut bool, fields: &mut Vec<Box<str>>) {
    let names = argument.unwrap_or_default();
    let before = fields.len();
    for name in list::tokens(names) {
        if !name.iter().copied().all(list::is_token_byte) {
            *whole = true;
            return;
        }
        fields.push(String::from_utf8_lossy(name).to_ascii_lowercase().into());
    }
    *whole |= fields.len() == before;
}

/// A non-negative number of seconds (RFC 9111 §1.2.2); [`DELTA_SECONDS_MAX`] when it is larger.
pub fn delta_seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    let mut seconds = 0u32;
    for byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        seconds = seconds.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
    }
    Some(seconds.min(DELTA_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(line: &str) -> ResponseDirectives {
        ResponseDirectives::parse([line.as_bytes()].into_iter())
    }

    fn request(line: &str) -> RequestDirectives {
        let mut directives = RequestDirectives::default();
        directives.read_line(line.as_bytes());
        directives
    }

    #[test]
    fn names_compare_without_case() {
        for line in ["no-store", "No-Store", "NO-STORE", "max-age=60, nO-sToRe"] {
            assert!(response(line).no_store, "{line}");
        }
        assert_eq!(response("S-MaxAge=5").s_maxage, Some(5));
    }

    #[test]
    fn arguments_may_be_quoted() {
        assert_eq!(response(r#"max-age="60""#).max_age, Some(60));
    }

    #[test]
    fn malformed_freshness_is_stale_and_the_rest_stands() {
        for line in [
            "max-age",
            "max-age=",
            "max-age=x",
            "max-age=-1",
            "max-age=1.5",
            "max-age= 60",
            "max-age='60'",
        ] {
            let directives = response(&alloc::format!("{line}, private"));
            assert_eq!(directives.max_age, Some(0), "{line}");
            assert!(directives.private, "{line}");
        }
    }

    #[test]
    fn an_overflow_is_two_to_the_thirty_first() {
        for line in ["max-age=2147483649", "max-age=99999999999999999999"] {
            assert_eq!(response(line).max_age, Some(1 << 31), "{line}");
        }
    }

    #[test]
    fn of_several_values_the_first_counts() {
        assert_eq!(response("max-age=1, max-age=9").max_age, Some(1));
    }

    #[test]
    fn qualified_forms_name_fields_and_doubtful_ones_cover_all() {
        let directives = response(r#"private="Set-Cookie, x-user", no-cache=foo"#);
        assert!(!directives.private && !directives.no_cache);
        assert_eq!(&*directives.private_fields[0], "set-cookie");
        assert_eq!(&*directives.private_fields[1], "x-user");
        assert_eq!(&*directives.no_cache_fields[0], "foo");
        for line in ["private=\"\"", "private=\"set-cookie", "private=\"a b\"", "private="] {
            assert!(response(line).private, "{line}");
        }
    }

    #[test]
    fn a_directive_inside_a_quoted_string_is_none() {
        assert!(!response(r#"ext="no-store, private""#).no_store);
    }

    #[test]
    fn a_quote_that_does_not_quote_hides_nothing() {
        for value in [
            r#"max-age=60, x", no-store"#,
            r#"max-age=60, x="a, no-store"#,
            r#"max-age=60, x="a\", no-store"#,
            r#"max-age=60, x="a"b", no-store"#,
            r#"max-age=60, x", no-store, y""#,
            r#"max-age=60, no-store""#,
            r#"max-age=60, "no-store"#,
            "max-age=60, no-store;",
            "max-age=60, no-store x",
            "max-age=60, no-store =",
        ] {
            let directives = response(value);
            assert!(directives.no_store, "{value}");
            assert_eq!(directives.max_age, Some(60), "{value}");
            assert!(request(value).no_store, "{value}");
        }
    }

    #[test]
    fn of_what_is_malformed_only_what_forbids_counts() {
        for value in ["public\"", "public x", "\"public", "immutable;", "stale-if-error =9"] {
            let expected = ResponseDirectives { present: true, ..Default::default() };
            assert_eq!(response(value), expected, "{value}");
        }
        for value in ["max-age =60", "\"max-age=60", "max-age\"=60"] {
            assert_eq!(response(value).max_age, Some(0), "{value}");
        }
        for value in ["private =x", "private=\"x, no-store", "private\""] {
            assert!(response(value).private, "{value}");
        }
        for value in ["must-revalidate\"", "s-maxage =60"] {
            let directives = response(value);
            assert!(directives.forbids_stale() && !directives.allows_sharing(), "{value}");
        }
        assert!(!response("x no-store").no_store, "another directive");
    }

    #[test]
    fn malformed_request_windows_are_void() {
        assert_eq!(request("max-stale=x").max_stale, None);
        assert_eq!(request("max-stale").max_stale, Some(MaxStale::Any));
        assert_eq!(request("min-fresh=x").min_fresh, None);
        assert_eq!(request("max-age=x").max_age, Some(0));
    }

    #[test]
    fn pragma_counts_only_without_cache_control() {
        let mut alone = RequestDirectives::default();
        alone.read_pragma(b"No-Cache");
        assert!(alone.no_cache);
        let mut beside = request("max-age=5");
        beside.read_pragma(b"no-cache");
        assert!(!beside.no_cache);
    }
}
