//! A day of a small platform as a combined log, and the policy that it is replayed by.

use std::io::Write as _;

use tidegate_core::{Policy, document};

const POLICY: &str = include_str!("policy.toml");

/// What is replayed.
pub(crate) struct World {
    pub(crate) log: Vec<u8>,
    pub(crate) policy: Policy,
}

impl World {
    /// A log of so many lines. The same number gives the same lines.
    pub(crate) fn new(lines: usize) -> Self {
        let policy = document::read(POLICY, &|_| None).unwrap();
        let mut log = Vec::with_capacity(200 * lines);
        let mut chance = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move |below: u64| {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            chance % below
        };
        for line in 0..lines as u64 {
            // Twelve lines a second from noon on.
            let second = line / 12;
            let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
            let day = 1 + line / 12 / 86_400;
            let client = next(40_000);
            // Popular pages are asked for much more often: a square of a square.
            let part = next(1_000) * next(1_000) / 1_000;
            let (method, path, bytes) = match next(100) {
                0..50 => ("GET", format!("/assets/app-{part}.js"), 8_000 + 40 * part),
                50..70 => ("GET", format!("/plugins/{part}/bundle.js?v=2"), 30_000),
                70..90 => ("GET", format!("/api/v1/plugins?page={}", part / 10), 2_000),
                90..98 => ("GET", format!("/api/v1/teams/{}/members", part), 700),
                _ => ("POST", format!("/api/v1/teams/{}/plugins", part), 90),
            };
            writeln!(
                log,
                "10.{}.{}.{} - - [{day:02}/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \
                 \"{method} {path} HTTP/1.1\" 200 {bytes} \"https://platform.example/\" \
                 \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130\"",
                client / 65_536,
                client / 256 % 256,
                client % 256,
            )
            .unwrap();
        }
        Self { log, policy }
    }
}
