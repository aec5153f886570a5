//! The store `redis`: decisions a second over one connection, and round trips for each, beside
//! the npm package `rate-limiter-flexible` on the same server in the same run.

use std::env;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tidegate_bench::clock::process_time;
use tidegate_bench::redis_server::RedisServer;
use tidegate_core::policy::Redis;
use tidegate_core::rate::{Algorithm, Limit, LimitKey};
use tidegate_core::{Admission, ClientFacts, Timestamp};
use tidegate_origin::redis_limiter::{Clock, RedisLimiter};
use tokio::task::JoinSet;

/// What one of them does with so many decisions on their way at once.
#[derive(Debug, Serialize)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) at_once: u32,
    /// The median of the rounds.
    pub(crate) per_second: f64,
    pub(crate) slowest: f64,
    pub(crate) quickest: f64,
    /// Processor time of the process that asks, for each decision; the median.
    pub(crate) micros: f64,
    /// How often the server read for each decision: round trips, where one is on its way at a
    /// time. The most of all rounds.
    pub(crate) reads: f64,
}

/// One round.
#[derive(Debug, Deserialize)]
struct Round {
    decisions: u64,
    seconds: f64,
    micros: u64,
    reads: u64,
}

/// How long to measure.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
}

enum Who {
    Ours(Limit),
    /// The peer, and what its script calls this.
    Peer(&'static str),
}

const CLIENTS: u32 = 1000;
const AT_ONCE: [u32; 2] = [1, 64];
const NAME: &str = "redis";
const DAY: Duration = Duration::from_secs(86_400);
const NO_FIELDS: [(&str, &str); 0] = [];

/// Whether the budget is about what has this name.
pub(crate) fn is_judged(row: &Shared) -> bool {
    row.at_once == 1 && row.name.starts_with(NAME)
}

/// Measures those that have `wanted` in their names, in turns.
pub(crate) fn measure(wanted: &str, effort: Effort) -> Vec<Shared> {
    let wanted: Vec<(String, Who)> =
        all().into_iter().filter(|(name, _)| name.contains(wanted)).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let server = RedisServer::start(&[])
        .expect("redis-server runs: on Debian it is the package redis-server");
    let mut shared = Vec::new();
    for at_once in AT_ONCE {
        let mut rounds: Vec<Vec<Round>> = wanted.iter().map(|_| Vec::new()).collect();
        for _ in 0..effort.rounds {
            for ((_, who), rounds) in wanted.iter().zip(&mut rounds) {
                rounds.push(match who {
                    Who::Ours(limit) => ours(&server, limit, at_once, effort.round),
                    Who::Peer(row) => peer(&server, row, at_once, effort.round),
                });
            }
        }
        let named = wanted.iter().zip(rounds);
        shared.extend(named.map(|((name, _), rounds)| Shared::of(name, at_once, &rounds)));
    }
    shared
}

fn all() -> Vec<(String, Who)> {
    use Algorithm::{FixedWindow, Gcra, SlidingWindow};
    let quota = 1_000_000_000;
    let fixed = limit("fixed", FixedWindow, quota);
    let leased = Limit { lease: NonZeroU32::new(10), ..limit("leased", FixedWindow, quota) };
    let refused = Limit { block: Some(DAY), ..limit("refused", FixedWindow, 1) };
    let pace = Limit { burst: 1_000_000, ..limit("pace", Gcra, quota) };
    let ours = |name: &str, limit| (format!("{NAME}: {name}"), Who::Ours(limit));
    let peer = |name: &str, row| (format!("rate-limiter-flexible: {name}"), Who::Peer(row));
    vec![
        ours("fixed window", fixed),
        peer("fixed window", "allowed"),
        ours("sliding window, log", limit("log", SlidingWindow, 16)),
        // As many as fit into the numbers of a script.
        ours("sliding window, counts", limit("counts", SlidingWindow, 100_000_000)),
        ours("even pace", pace),
        ours("fixed window, lease of 10", leased),
        ours("refused, remembered", refused),
        peer("refused, remembered", "refused"),
    ]
}

fn limit(name: &str, algorithm: Algorithm, quota: u32) -> Limit {
    let window = if quota <= 16 && algorithm == Algorithm::SlidingWindow {
        // A client comes a few times in it.
        Duration::from_millis(100)
    } else {
        DAY
    };
    Limit { algorithm, ..Limit::new(name, NonZeroU32::new(quota).unwrap(), window) }
}

fn ours(server: &RedisServer, limit: &Limit, at_once: u32, round: Duration) -> Round {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let rule = Redis {
            url: "REDIS_URL".into(),
            timeout: Duration::from_secs(10),
            prefix: "bench:".into(),
        };
        let limiter = RedisLimiter::open(&rule, &|_| Some(server.url()), Clock::Server).unwrap();
        limiter.tried().await;
        let limiter = Arc::new(limiter);
        if limit.block.is_some() {
            for client in 0..CLIENTS {
                for _ in 0..2 {
                    limiter.admit(limit, &key(limit, client), Timestamp::EPOCH).await.unwrap();
                }
            }
        }
        run(&limiter, limit, at_once, round / 2).await;
        // The question is one itself.
        let idle = server.reads().unwrap();
        let overhead = server.reads().unwrap() - idle;
        let (before, started) = (process_time(), Instant::now());
        let decisions = run(&limiter, limit, at_once, round).await;
        let (seconds, taken) = (started.elapsed().as_secs_f64(), process_time() - before);
        let reads = server.reads().unwrap() - idle - 2 * overhead;
        assert_eq!(limiter.counted().failed + limiter.counted().without, 0);
        Round { decisions, seconds, micros: taken.as_micros() as u64, reads }
    })
}

/// Decides for so long; how many decisions there were.
async fn run(limiter: &Arc<RedisLimiter>, limit: &Limit, at_once: u32, span: Duration) -> u64 {
    let until = Instant::now() + span;
    let mut askers = JoinSet::new();
    for asker in 0..at_once {
        let (limiter, limit) = (Arc::clone(limiter), limit.clone());
        askers.spawn(async move {
            let (mut decisions, mut refused, mut random) = (0_u64, 0_u64, u64::from(asker));
            while Instant::now() < until {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let client = ((random >> 33) % u64::from(CLIENTS)) as u32;
                let admission =
                    limiter.admit(&limit, &key(&limit, client), Timestamp::EPOCH).await.unwrap();
                refused += u64::from(matches!(admission, Admission::Deny { .. }));
                decisions += 1;
                if decisions % 64 == 0 {
                    // What needs no round trip gives way too.
                    tokio::task::yield_now().await;
                }
            }
            let expected = if limit.block.is_some() { decisions } else { 0 };
            assert!(refused.abs_diff(expected) <= decisions / 50, "{refused} of {decisions}");
            decisions
        });
    }
    askers.join_all().await.into_iter().sum()
}

/// The peer does the same in a process of its own.
fn peer(server: &RedisServer, row: &str, at_once: u32, round: Duration) -> Round {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let node = env::var_os("TIDEGATE_NODE").unwrap_or_else(|| "node".into());
    let ran = Command::new(node)
        .arg(folder.join("rate-limiter-flexible.mjs"))
        .args([&server.port().to_string(), row, &at_once.to_string()])
        .args([round.as_millis().to_string(), CLIENTS.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("node runs");
    assert!(ran.status.success(), "the peer fails: `cargo xtask bench limits` installs it");
    serde_json::from_slice(&ran.stdout).expect("a line of JSON")
}

fn key(limit: &Limit, client: u32) -> LimitKey {
    let ip = Some(Ipv4Addr::from_bits(0x0a00_0000 + client).into());
    LimitKey::of(limit, &ClientFacts { ip, ..ClientFacts::default() }, &NO_FIELDS)
}

impl Shared {
    fn of(name: &str, at_once: u32, rounds: &[Round]) -> Self {
        let sorted = |of: fn(&Round) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let per_second = sorted(|round| round.decisions as f64 / round.seconds);
        let micros = sorted(|round| round.micros as f64 / round.decisions as f64);
        let reads = sorted(|round| round.reads as f64 / round.decisions as f64);
        Self {
            name: name.into(),
            at_once,
            per_second: per_second[rounds.len() / 2],
            slowest: per_second[0],
            quickest: per_second[rounds.len() - 1],
            micros: micros[rounds.len() / 2],
            reads: reads[rounds.len() - 1],
        }
    }
}
