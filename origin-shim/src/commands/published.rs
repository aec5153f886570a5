//! The policy that is published at the edge, and those before it.

use std::error::Error;

use tidegate_core::policy::Published;

use super::kv::Kv;

/// Where the policy lies that is in force.
const KEY: &str = "policy";
/// Where those lie that were so before: a line for each, the latest first.
const HISTORY: &str = "policy-history";
/// As many of them at most.
const HISTORY_MAX: usize = 10;
/// What stands for the policy that the worker was built with.
const EMBEDDED: &str = "embedded";

/// What was in force at the edge, or is.
#[derive(Clone)]
pub(super) enum Version {
    /// The policy that the worker was built with: nobody but the worker has it.
    Embedded,
    /// One that was published.
    Published(Box<Published>),
}

/// The policies at the edge.
pub(super) struct Shelf {
    kv: Kv,
    /// In force.
    pub(super) current: Version,
    /// In force before, the latest first.
    pub(super) before: Vec<Version>,
}

impl Version {
    /// The hash, or `embedded`.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Embedded => EMBEDDED,
            Self::Published(published) => &published.hash,
        }
    }

    /// As a sentence has it.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Embedded => "the policy that the worker was built with".into(),
            Self::Published(published) => format!("policy {}", published.hash),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Embedded => EMBEDDED.into(),
            Self::Published(published) => published.to_text(),
        }
    }
}

impl Shelf {
    /// What lies in KV. What cannot be read there is said, and left out: a broken policy must
    /// not keep a good one from being published.
    pub(super) fn open(kv: Kv) -> Result<Self, Box<dyn Error>> {
        let read = |text: &str| match Published::from_text(text) {
            Ok(published) => Some(Version::Published(Box::new(published))),
            Err(bad) => {
                eprintln!("left out: a policy in KV cannot be read: {bad}");
                None
            }
        };
        let current = kv.get(KEY, "{")?;
        let current = current.and_then(|text| read(&text)).unwrap_or(Version::Embedded);
        // A line of it begins with either.
        let history = kv.get(HISTORY, "")?.unwrap_or_default();
        let lines = history.lines().filter(|line| line.starts_with('{') || *line == EMBEDDED);
        let before = lines.filter_map(|line| match line {
            EMBEDDED => Some(Version::Embedded),
            line => read(line),
        });
        Ok(Self { current, before: before.collect(), kv })
    }

    /// Puts `next` in force. The one before is kept first, so that it is not lost whatever fails.
    pub(super) fn put(&self, next: &Version) -> Result<(), Box<dyn Error>> {
        let mut kept = vec![self.current.clone()];
        kept.extend(self.before.iter().cloned());
        let mut names: Vec<&str> = vec![next.name()];
        let mut history = String::new();
        for version in kept.iter().take(HISTORY_MAX + 1) {
            if !names.contains(&version.name()) && names.len() <= HISTORY_MAX {
                names.push(version.name());
                history.push_str(&version.text());
                history.push('\n');
            }
        }
        self.kv.put(HISTORY, &history)?;
        match next {
            Version::Embedded => self.kv.delete(KEY),
            Version::Published(published) => self.kv.put(KEY, &published.to_text()),
        }
    }

    /// The names of the secrets that the Worker has, where anybody can tell.
    pub(super) fn secrets(&self) -> Option<Vec<String>> {
        self.kv.secrets()
    }
}
