//! The metrics of a running shim, as Prometheus reads them.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::wire::Client;

/// What `/metrics` says.
#[derive(Clone, Debug)]
pub struct Metrics(String);

impl Metrics {
    /// Asks the admin listener.
    ///
    /// # Panics
    /// If it does not answer with metrics.
    #[track_caller]
    #[must_use]
    pub fn of(admin: Client) -> Self {
        let answer = admin.get("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        Self(String::from_utf8(answer.body).expect("text"))
    }

    /// The value of the sample that is written like this, labels and all; `None` if there is none.
    ///
    /// # Panics
    /// If the value is no number.
    #[must_use]
    pub fn value(&self, sample: &str) -> Option<f64> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        Some(line.parse().expect("a number"))
    }

    /// All samples whose name begins so.
    pub fn samples<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.lines().filter(move |line| line.starts_with(prefix))
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What Prometheus' own checker objects to; empty if nothing.
    ///
    /// # Panics
    /// If `promtool` is not there: it is in Debian's package `prometheus`.
    #[must_use]
    pub fn objections(&self) -> String {
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]);
        let mut promtool = promtool
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool, of Debian's package `prometheus`");
        let mut input = promtool.stdin.take().expect("a pipe");
        input.write_all(self.0.as_bytes()).expect("promtool reads");
        drop(input);
        let ended = promtool.wait_with_output().expect("promtool ends");
        let said = [ended.stdout, ended.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(ended.status.success() || !said.is_empty(), "{:?}", ended.status);
        said
    }
}
