//! What stands in for what a log does not say.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use tidegate_core::Scheme;

/// What is taken for true where nobody knows. Every value can be set by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumptions {
    /// The Host field of requests whose log names none.
    pub host: String,
    /// Their scheme.
    pub scheme: Scheme,
    /// Who asks where no address is known; nobody in particular without it.
    pub client: Option<IpAddr>,
    /// What tells clients apart on routes whose answers are personal, where no user is known.
    pub identity: AssumedIdentity,
    /// Which requests have an Authorization.
    pub authorization: AssumedAuthorization,
    /// What the origin says in Cache-Control; nothing without it.
    pub cache_control: Option<String>,
    /// What it says in Vary.
    pub vary: Option<String>,
    /// Whether each of its answers sets a cookie.
    pub set_cookie: bool,
    /// Whether its answers have an ETag, which stays the same as long as status and length do.
    pub validators: bool,
    /// For how long the origin works on an answer of which the log does not say it.
    pub response_time: Duration,
    /// The length of a body that the log does not tell, since the client had it: 304.
    pub body_of_304: u64,
    /// What the head of a stored answer takes, with all bookkeeping.
    pub head: u64,
    /// The memory of each location of the edge, in bytes.
    pub edge_memory: u64,
    /// Whether requests that the origin failed to answer (500 and above) count.
    pub errors: AssumedErrors,
}

/// What tells clients apart where no user is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssumedIdentity {
    /// Each address is a user.
    Client,
    /// Nothing: all are one anonymous client.
    Anonymous,
}

/// Which requests have an Authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssumedAuthorization {
    /// None.
    None,
    /// Those of which the log names the user.
    Users,
    /// All.
    All,
}

/// What becomes of requests that the origin failed to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssumedErrors {
    /// It fails whenever it is asked then.
    AsLogged,
    /// They are left out.
    LeftOut,
}

/// An assumption, by what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum About {
    Host,
    Scheme,
    Client,
    Identity,
    Authorization,
    RequestFields,
    CacheControl,
    Vary,
    SetCookie,
    Validators,
    ResponseTime,
    BodyOf304,
    Errors,
    Head,
    EdgeMemory,
}

/// In the order of the report; each at the place of its number.
pub(crate) const ALL: [(About, &str, &str); 15] = [
    (About::Host, "host", "the Host field where the log names none"),
    (About::Scheme, "scheme", "http or https where the log does not say"),
    (About::Client, "client", "the address of clients without one (none: all are one)"),
    (
        About::Identity,
        "identity",
        "who asks for personal answers where no user is logged (client: each address is a user)",
    ),
    (
        About::Authorization,
        "authorization",
        "which requests had an Authorization (users: those with a logged user)",
    ),
    (
        About::RequestFields,
        "request-fields",
        "other request fields: none asked for a range, an upgrade or a fresh answer",
    ),
    (About::CacheControl, "cache-control", "what the origin says in Cache-Control"),
    (About::Vary, "vary", "what the origin says in Vary"),
    (About::SetCookie, "set-cookie", "whether the origin's answers set cookies"),
    (
        About::Validators,
        "validators",
        "whether stale answers can be confirmed (etag: by one that follows status and length)",
    ),
    (
        About::ResponseTime,
        "response-time",
        "how long before its line a request came; its answer is stored at once",
    ),
    (About::BodyOf304, "body-of-304", "the length of a body that a 304 in the log stands for"),
    (
        About::Errors,
        "errors",
        "requests logged with 500 and above (as-logged: the origin fails whenever asked then)",
    ),
    (About::Head, "head", "what a stored answer takes besides its body"),
    (About::EdgeMemory, "edge-memory", "the memory of each location of the edge"),
];

/// An assumption as the report has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assumed {
    /// The name it is set by.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it is about.
    pub about: &'static str,
    /// Requests whose outcome rests on it.
    pub requests: u64,
}

/// Which assumptions an outcome rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RestsOn(u16);

/// How many outcomes rest on which.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rested {
    by: [u64; ALL.len()],
    any: u64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            host: "localhost".into(),
            scheme: Scheme::Https,
            client: None,
            identity: AssumedIdentity::Client,
            authorization: AssumedAuthorization::Users,
            cache_control: None,
            vary: None,
            set_cookie: false,
            validators: false,
            response_time: Duration::ZERO,
            body_of_304: 16 << 10,
            head: 1 << 10,
            edge_memory: 1 << 30,
            errors: AssumedErrors::AsLogged,
        }
    }
}

/// An assumption that cannot be set so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAssumption {
    message: String,
    hint: String,
}

impl fmt::Display for BadAssumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n= hint: {}", self.message, self.hint)
    }
}

impl std::error::Error for BadAssumption {}

impl Assumptions {
    /// Sets one, written as `name=value`.
    pub fn set(&mut self, text: &str) -> Result<(), BadAssumption> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(bad(
                format!("`{text}` is no assumption"),
                "write it as name=value, like cache-control=max-age=60",
            ));
        };
        let wants = |what: &str| bad(format!("`{value}` is nothing for {name}"), what);
        let optional = || (value != "none").then(|| value.to_owned());
        match name {
            "host" => self.host = value.into(),
            "scheme" => {
                self.scheme = match value {
                    "http" => Scheme::Http,
                    "https" => Scheme::Https,
                    _ => return Err(wants("http or https")),
                }
            }
            "client" => {
                self.client = match value {
                    "none" => None,
                    _ => Some(value.parse().map_err(|_| wants("an IP address, or none"))?),
                }
            }
            "identity" => {
                self.identity = match value {
                    "client" => AssumedIdentity::Client,
                    "anonymous" => AssumedIdentity::Anonymous,
                    _ => return Err(wants("client or anonymous")),
                }
            }
            "authorization" => {
                self.authorization = match value {
                    "none" => AssumedAuthorization::None,
                    "users" => AssumedAuthorization::Users,
                    "all" => AssumedAuthorization::All,
                    _ => return Err(wants("none, users or all")),
                }
            }
            "cache-control" => self.cache_control = optional(),
            "vary" => self.vary = optional(),
            "set-cookie" => {
                self.set_cookie = match value {
                    "none" => false,
                    "all" => true,
                    _ => return Err(wants("none or all")),
                }
            }
            "validators" => {
                self.validators = match value {
                    "none" => false,
                    "etag" => true,
                    _ => return Err(wants("none or etag")),
                }
            }
            "response-time" => {
                let digits = value.strip_suffix("ms").and_then(|digits| digits.parse().ok());
                let millis = digits.ok_or_else(|| wants("milliseconds, like 120ms"))?;
                self.response_time = Duration::from_millis(millis);
            }
            "body-of-304" => self.body_of_304 = bytes(value).ok_or_else(|| wants(BYTES))?,
            "head" => self.head = bytes(value).ok_or_else(|| wants(BYTES))?,
            "edge-memory" => self.edge_memory = bytes(value).ok_or_else(|| wants(BYTES))?,
            "errors" => {
                self.errors = match value {
                    "as-logged" => AssumedErrors::AsLogged,
                    "left-out" => AssumedErrors::LeftOut,
                    _ => return Err(wants("as-logged or left-out")),
                }
            }
            "request-fields" => {
                return Err(bad(
                    "request-fields cannot be set".into(),
                    "log them: docs/replay.md says how",
                ));
            }
            _ => {
                let names: Vec<&str> = ALL.iter().map(|(_, name, _)| *name).collect();
                let hint = format!("there are {}", names.join(", "));
                return Err(bad(format!("there is no assumption `{name}`"), &hint));
            }
        }
        Ok(())
    }

    /// The value of one as it is written.
    fn value(&self, about: About) -> String {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
        match about {
            About::Host => self.host.clone(),
            About::Scheme => self.scheme.as_str().into(),
            About::Client => self.client.map_or_else(|| "none".into(), |ip| ip.to_string()),
            About::Identity => match self.identity {
                AssumedIdentity::Client => "client".into(),
                AssumedIdentity::Anonymous => "anonymous".into(),
            },
            About::Authorization => match self.authorization {
                AssumedAuthorization::None => "none".into(),
                AssumedAuthorization::Users => "users".into(),
                AssumedAuthorization::All => "all".into(),
            },
            About::RequestFields => "none".into(),
            About::CacheControl => or_none(&self.cache_control),
            About::Vary => or_none(&self.vary),
            About::SetCookie => if self.set_cookie { "all" } else { "none" }.into(),
            About::Validators => if self.validators { "etag" } else { "none" }.into(),
            About::ResponseTime => format!("{}ms", self.response_time.as_millis()),
            About::BodyOf304 => in_bytes(self.body_of_304),
            About::Head => in_bytes(self.head),
            About::EdgeMemory => in_bytes(self.edge_memory),
            About::Errors => match self.errors {
                AssumedErrors::AsLogged => "as-logged".into(),
                AssumedErrors::LeftOut => "left-out".into(),
            },
        }
    }
}

const BYTES: &str = "bytes, like 16KiB, 256MiB or 1GiB";

fn bad(message: String, hint: &str) -> BadAssumption {
    BadAssumption { message, hint: hint.into() }
}

/// Bytes as people write them: `16KiB`, `256MiB`, `1GiB`, or a number.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(unit)
}

/// The reverse of [`bytes`].
fn in_bytes(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(size, _)| bytes >= *size && bytes.is_multiple_of(*size));
    unit.map_or_else(|| format!("{bytes}B"), |(size, name)| format!("{}{name}", bytes / size))
}

impl RestsOn {
    pub(crate) const fn add(&mut self, about: About) {
        self.0 |= 1 << about as u8;
    }

    pub(crate) const fn add_if(&mut self, condition: bool, about: About) {
        if condition {
            self.add(about);
        }
    }
}

impl Rested {
    pub(crate) fn count(&mut self, on: RestsOn) {
        self.any += u64::from(on.0 != 0);
        let mut left = on.0;
        while left != 0 {
            self.by[left.trailing_zeros() as usize] += 1;
            left &= left - 1;
        }
    }

    /// Requests whose outcome rests on any.
    pub(crate) const fn any(&self) -> u64 {
        self.any
    }

    /// All assumptions, with how many requests rest on each.
    pub(crate) fn told(&self, assumptions: &Assumptions) -> Vec<Assumed> {
        let told = ALL.iter().zip(self.by).map(|((about, name, what), requests)| Assumed {
            name,
            value: assumptions.value(*about),
            about: what,
            requests,
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_told_can_be_set_and_says_the_same() {
        let assumptions = Assumptions::default();
        for (place, (about, name, _)) in ALL.iter().enumerate() {
            assert_eq!(*about as usize, place, "{name}");
            if *about == About::RequestFields {
                continue;
            }
            let mut set = assumptions.clone();
            set.set(&format!("{name}={}", assumptions.value(*about))).expect(name);
            assert_eq!(set, assumptions, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_set_says_what_can() {
        let mut assumptions = Assumptions::default();
        for (text, hint) in [
            ("host", "name=value"),
            ("hots=a", "there are host, scheme"),
            ("scheme=ftp", "http or https"),
            ("head=many", "16KiB"),
            ("response-time=1", "120ms"),
            ("request-fields=x", "docs/replay.md"),
        ] {
            let error = assumptions.set(text).expect_err(text).to_string();
            assert!(error.contains(hint), "{error}");
        }
        assert_eq!(assumptions, Assumptions::default());
        assumptions.set("cache-control=max-age=60, public").unwrap();
        assert_eq!(assumptions.cache_control.as_deref(), Some("max-age=60, public"));
        assumptions.set("edge-memory=64MiB").unwrap();
        assert_eq!(assumptions.edge_memory, 64 << 20);
    }
}
