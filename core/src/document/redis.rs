//! `[redis]`: the store that all shims share.

use alloc::string::String;
use core::time::Duration;

use super::declare::section;
use super::decode::{Context, Decode, Located};
use super::secret::SecretName;
use super::values::Ttl;
use crate::policy::Redis;

/// How long a request waits for Redis where the policy says nothing.
const TIMEOUT: Duration = Duration::from_millis(100);
/// A request that waits longer for its limit is better off without.
const TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// Names of keys begin with it where the policy says nothing.
const PREFIX: &str = "tidegate:";
/// Every key has it, so it is short.
const PREFIX_MAX: usize = 64;

section! {
    /// The Redis, or Valkey, that all shims share: for limits with `store = "redis"`.
    struct RedisSection, "`[redis]`" {
        /// The name of the variable that holds its URL, written `${NAME}`, since a URL may hold a
        /// password. The URL says what is there: `redis://host:6379/0`, with TLS `rediss://…`;
        /// several nodes of a cluster `redis-cluster://a:6379,b:6379`; sentinels and the name of
        /// their master `redis-sentinel://a:26379,b:26379/mymaster`.
        required url: SecretName,
        /// How long a request waits for it, `100ms` without it; then `on_store_error` decides.
        optional timeout: Located<Ttl>,
        /// What the names of its keys begin with, `tidegate:` without it.
        optional prefix: Located<String>,
    }
}

pub(super) fn resolve(section: RedisSection, context: &mut Context<'_>) -> Redis {
    let SecretName(url) = section.url;
    let timeout = timeout(section.timeout, context);
    let prefix = prefix(section.prefix, PREFIX, context);
    Redis { url, timeout, prefix }
}

/// How long a request waits for a Redis.
pub(super) fn timeout(timeout: Option<Located<Ttl>>, context: &mut Context<'_>) -> Duration {
    timeout.map_or(TIMEOUT, |timeout| {
        let Ttl(value) = timeout.value;
        if value.is_zero() || value > TIMEOUT_MAX {
            let hint = "write `\"100ms\"`: any request may have to wait for so long";
            context.report(timeout.span, "a `timeout` lies between `1ms` and `10s`", hint);
        }
        value
    })
}

/// What the names of the keys in a Redis begin with.
pub(super) fn prefix(
    prefix: Option<Located<String>>,
    without: &str,
    context: &mut Context<'_>,
) -> String {
    prefix.map_or_else(
        || String::from(without),
        |prefix| {
            // Braces would say what of a key its slot in a cluster is found by.
            let fits = |byte: u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'{' | b'}');
            if prefix.value.len() > PREFIX_MAX || !prefix.value.bytes().all(fits) {
                context.report(
                    prefix.span,
                    "a `prefix` is up to 64 printable characters, without spaces and braces",
                    "write, say, `\"shop:\"`",
                );
            }
            prefix.value
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use alloc::format;
    use alloc::string::{String, ToString};

    fn report(source: &str) -> String {
        match read(&format!("schema = 1\n{source}"), &|_| None) {
            Ok(_) => "good".into(),
            Err(report) => report.to_string(),
        }
    }

    const LIMIT: &str = "[limits.l]\nlimit = \"5 per 1m\"\nstore = \"redis\"\n";

    #[test]
    fn a_policy_carries_the_name_of_the_variable_and_never_its_value() {
        let source = format!("schema = 1\n[redis]\nurl = \"${{REDIS_URL}}\"\n{LIMIT}");
        let policy = read(&source, &|name| panic!("{name} is looked up where the policy is read"));
        let json = policy.unwrap().to_json();
        let redis = r#""redis":{"url":"REDIS_URL","timeout":100,"prefix":"tidegate:"}"#;
        assert!(json.contains(redis), "{json}");

        let report = report("[redis]\nurl = \"redis://:hunter2@db\"\n");
        assert!(report.contains("a secret stands in the environment"), "{report}");
        assert!(!report.contains("hunter2"), "{report}");
    }

    #[test]
    fn r5_a_limit_in_redis_needs_a_redis() {
        let missing = report(LIMIT);
        assert!(missing.contains("3:9") || missing.contains("4:9"), "{missing}");
        assert!(missing.contains("add `[redis]`"), "{missing}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_its_place() {
        const REDIS: &str = "[redis]\nurl = \"${REDIS_URL}\"\n";
        for (source, message) in [
            (format!("{REDIS}timeout = \"1m\"\n"), "a `timeout` lies between"),
            (format!("{REDIS}timeout = \"0s\"\n"), "a `timeout` lies between"),
            (format!("{REDIS}prefix = \"a{{b}}\"\n"), "a `prefix` is up to 64"),
            (
                format!("{REDIS}{LIMIT}algorithm = \"gcra\"\nlease = 5\n"),
                "a `lease` needs a fixed window",
            ),
            (
                "[limits.l]\nlimit = \"5 per 1m\"\nlease = 5\n".into(),
                "a `lease` needs a fixed window",
            ),
            (format!("{REDIS}{LIMIT}lease = 6\n"), "a `lease` of 6 is more than the limit"),
            (
                format!(
                    "{REDIS}{}algorithm = \"sliding-window\"\n",
                    LIMIT.replace("5 per 1m", "4000000000 per 1d")
                ),
                "more than Redis can count",
            ),
        ] {
            let report = report(&source);
            assert!(report.contains(message), "{source}: {report}");
        }
        assert_eq!(report(&format!("{REDIS}{LIMIT}lease = 5\n")), "good");
    }
}
