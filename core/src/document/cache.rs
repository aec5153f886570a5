//! `[cache]`: what the shim does with stored answers besides keeping them in memory.

use alloc::string::String;

use super::declare::section;
use super::decode::{Context, Decode, Located};
use super::redis::{prefix, timeout};
use super::secret::SecretName;
use super::values::{Bytes, Ttl};
use crate::policy::{Cache, CacheRedis, Snapshot};

/// Names of keys begin with it where the policy says nothing.
const PREFIX: &str = "tidegate-cache:";
/// The longest body in Redis where the policy says nothing.
const OBJECT: u64 = 1 << 20;
/// What Redis takes for one value is far more, but all that asks meanwhile waits behind it.
const OBJECT_MAX: u64 = 8 << 20;
/// The size of a snapshot where the policy says nothing.
const SNAPSHOT: u64 = 256 << 20;
/// The smallest that makes sense.
const SNAPSHOT_MIN: u64 = 64_000;

section! {
    /// What the shim does with stored answers besides keeping them in memory.
    struct CacheWide, "`[cache]`" {
        /// A Redis behind the memory of each shim: what one has stored others need not ask for, and
        /// what one invalidates is void for all within a second.
        optional redis: CacheRedisSection,
        /// A file that keeps stored answers over a restart: written when the shim ends, read when
        /// it starts.
        optional snapshot: SnapshotSection,
    }
}

section! {
    /// The Redis, or Valkey, in which all shims store, and by which they hear of what others
    /// invalidate. It may be that of `[redis]`, but limits want one that drops nothing, and answers
    /// one with a bound that drops what is used least.
    struct CacheRedisSection, "`[cache.redis]`" {
        /// The name of the variable that holds its URL, written `${NAME}`, as for `[redis] url`.
        required url: SecretName,
        /// How long a request waits for it, `100ms` without it; then the origin is asked.
        optional timeout: Located<Ttl>,
        /// What the names of its keys begin with, `tidegate-cache:` without it.
        optional prefix: Located<String>,
        /// Whether answers lie there, as they do without it. With `false` shims tell each other
        /// what is invalid, and nothing else.
        optional answers: bool,
        /// How long a body may be to lie there, `1MiB` without it and `8MiB` at most.
        optional object: Located<Bytes>,
        /// Whether bodies that gain by it are compressed there (zstd): less memory and traffic, some
        /// processor time at each miss in memory.
        default compress: bool,
    }
}

section! {
    /// A file that keeps stored answers over a restart.
    struct SnapshotSection, "`snapshot`" {
        /// Its name; one that is not absolute is beside the policy file.
        required file: Located<String>,
        /// How large it gets at most, `256MiB` without it. What does not fit is left out.
        optional size: Located<Bytes>,
    }
}

pub(super) fn resolve(section: Option<CacheWide>, context: &mut Context<'_>) -> Cache {
    let Some(CacheWide { redis, snapshot }) = section else { return Cache::default() };
    let redis = redis.map(|section| {
        let SecretName(url) = section.url;
        let object = section.object.map_or(OBJECT, |object| {
            let Located { value: Bytes(object), span } = object;
            if object > OBJECT_MAX {
                let hint = "write `\"1MiB\"`: who asks meanwhile waits behind it";
                context.report(span, "an `object` has `8MiB` at most", hint);
            }
            object
        });
        CacheRedis {
            url,
            timeout: timeout(section.timeout, context),
            prefix: prefix(section.prefix, PREFIX, context),
            answers: section.answers.unwrap_or(true),
            object,
            compress: section.compress,
        }
    });
    let snapshot = snapshot.map(|SnapshotSection { file, size }| {
        if file.value.is_empty() {
            context.report(file.span, "a file has a name", "write, say, `\"cache.snapshot\"`");
        }
        let size = size.map_or(SNAPSHOT, |size| {
            let Located { value: Bytes(size), span } = size;
            if size < SNAPSHOT_MIN {
                context.report(span, "it would hold next to nothing", "give it 64kB at least");
            }
            size
        });
        Snapshot { file: file.value, size }
    });
    Cache { redis, snapshot }
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

    #[test]
    fn c9_the_policy_carries_the_name_of_the_variable_and_defaults() {
        let source = "schema = 1\n[cache.redis]\nurl = \"${CACHE_URL}\"\n";
        let policy = read(source, &|name| panic!("{name} is looked up where the policy is read"));
        let json = policy.unwrap().to_json();
        let cache = r#""cache":{"redis":{"url":"CACHE_URL","timeout":100,"prefix":"tidegate-cache:","answers":true,"object":1048576,"compress":false}}"#;
        assert!(json.contains(cache), "{json}");
        let without = read("schema = 1\n", &|_| None).unwrap().to_json();
        assert!(!without.contains("cache"), "{without}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_its_place() {
        const REDIS: &str = "[cache.redis]\nurl = \"${CACHE_URL}\"\n";
        for (source, message) in [
            (format!("{REDIS}timeout = \"1m\"\n"), "a `timeout` lies between"),
            (format!("{REDIS}prefix = \"a b\"\n"), "a `prefix` is up to 64"),
            (format!("{REDIS}object = \"9MiB\"\n"), "an `object` has `8MiB` at most"),
            ("[cache.redis]\nurl = \"redis://:hunter2@db\"\n".into(), "stands in the environment"),
            ("[cache.snapshot]\nfile = \"\"\n".into(), "a file has a name"),
            ("[cache.snapshot]\nfile = \"a\"\nsize = \"1kB\"\n".into(), "next to nothing"),
            ("[cache]\nredi = 1\n".into(), "did you mean `redis`?"),
        ] {
            let report = report(&source);
            assert!(report.contains(message) && !report.contains("hunter2"), "{source}: {report}");
        }
        assert_eq!(report(&format!("{REDIS}answers = false\n")), "good");
        assert_eq!(report("[cache.snapshot]\nfile = \"cache.snapshot\"\n"), "good");
    }
}
