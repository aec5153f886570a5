//! What is run, one after the other, and what must hold of it.

use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tidegate_bench::command::Verdict;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::programs::Programs;
use crate::stack::Stack;

/// How much is run.
pub(crate) struct Effort {
    /// Users at once, for T1 and for failures.
    users: u32,
    /// For T3.
    steps: &'static [Wanted],
    /// As many as this visit the service by itself, too.
    compared: u32,
    /// A ramp brings so many in a second: whoever comes opens the app, which asks for more than any
    /// page behind it.
    pub(crate) arrivals: u32,
    /// How long all visit before anything counts, for T1, in seconds: until caches are as full as they
    /// are in the middle of a day.
    warm_up: u32,
    /// How long all visit, in seconds: for T1, and in each step of T3.
    usual: u32,
    steady: u32,
    /// Of each phase with failures.
    phase: u32,
    /// Whether shares and times can be judged: few users for a moment find nothing stored, and debug
    /// builds are slow.
    is_whole: bool,
}

/// All that was found.
pub(crate) struct Found {
    /// The same users with Tidegate and without.
    pub(crate) with: Run,
    pub(crate) without: Run,
    pub(crate) steps: Vec<Step>,
    pub(crate) failures: Value,
    pub(crate) verdicts: Vec<Verdict>,
}

/// One number of users, with Tidegate and without.
pub(crate) struct Step {
    pub(crate) wanted: Wanted,
    pub(crate) with: Run,
    /// Not for more users than the service by itself was tried with.
    pub(crate) without: Option<Run>,
}

/// How many users are to visit at once, and how.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) users: u32,
    /// How many seconds they think between two pages, on average: about as many requests come of
    /// that as T3 says.
    think: u32,
}

/// One run.
pub(crate) struct Run {
    /// What `tidegate load` reports.
    pub(crate) report: Value,
    /// What the stack did in the last phase, which alone counts.
    pub(crate) work: Work,
    /// Memory of the shim at the end, in bytes.
    pub(crate) memory: u64,
}

/// What a stack has done.
pub(crate) struct Work {
    /// Requests that reached the service.
    pub(crate) reached: u64,
    /// Queries of its database.
    pub(crate) queries: u64,
    /// Processor time of edge, shim, Redis and service.
    pub(crate) cpu: [Duration; 4],
}

/// The phase before anything breaks.
const WELL: &str = "well";

/// The phase that counts: all users have come, and all is well.
const STEADY: &str = "steady";

/// What breaks, in this order; between two of them all is well.
const FAILURES: [&str; 4] = ["service down", "slow database", "Redis without memory", "Redis down"];

impl Effort {
    pub(crate) const fn whole() -> Self {
        Self {
            users: 1_000,
            steps: &[
                Wanted { users: 500, think: 41 },
                Wanted { users: 2_000, think: 54 },
                Wanted { users: 5_000, think: 51 },
                Wanted { users: 7_000, think: 48 },
                Wanted { users: 10_000, think: 50 },
            ],
            compared: 5_000,
            arrivals: 50,
            warm_up: 60,
            usual: 120,
            steady: 30,
            phase: 10,
            is_whole: true,
        }
    }

    pub(crate) const fn quick() -> Self {
        Self {
            users: 40,
            steps: &[Wanted { users: 20, think: 25 }],
            compared: 20,
            arrivals: 20,
            warm_up: 1,
            usual: 4,
            steady: 3,
            phase: 2,
            is_whole: false,
        }
    }
}

/// Who visits.
#[derive(Clone, Copy)]
struct Visits<'a> {
    /// At once.
    users: u32,
    /// How many seconds they think between two pages; as the mix says without it.
    think: Option<u32>,
    phases: &'a str,
}

/// Runs all of it; each run has a stack of its own.
pub(crate) async fn all(
    programs: &Programs,
    cache: SocketAddr,
    effort: &Effort,
) -> io::Result<Found> {
    let usual = format!("warming up={}s,{STEADY}={}s", effort.warm_up, effort.usual);
    let visits = Visits { users: effort.users, think: None, phases: &usual };
    let with = run(programs, cache, effort, visits, true).await?;
    let without = run(programs, cache, effort, visits, false).await?;
    let steady = format!("{STEADY}={}s", effort.steady);
    let mut steps = Vec::new();
    for &wanted in effort.steps {
        let Wanted { users, think } = wanted;
        let visits = Visits { users, think: Some(think), phases: &steady };
        let with = run(programs, cache, effort, visits, true).await?;
        let without = match users <= effort.compared {
            true => Some(run(programs, cache, effort, visits, false).await?),
            false => None,
        };
        steps.push(Step { wanted, with, without });
    }
    let failures = with_failures(programs, cache, effort).await?;
    let verdicts = verdicts(effort, &with, &without, &steps, &failures);
    Ok(Found { with, without, steps, failures, verdicts })
}

async fn run(
    programs: &Programs,
    cache: SocketAddr,
    effort: &Effort,
    visits: Visits<'_>,
    is_behind: bool,
) -> io::Result<Run> {
    let mut stack = Stack::start(programs, cache)?;
    let what = if is_behind { "with" } else { "without" };
    eprintln!("{} users, {what} Tidegate …", visits.users);
    let address = if is_behind { stack.edge.address } else { stack.origin.address };
    let mut before = None;
    let begins = |phase: &str| {
        if phase == STEADY {
            before = Some(Work::of(&stack)?);
        }
        Ok(())
    };
    let report = load(programs, effort, address, visits, begins).await?;
    stack.check()?;
    let before = before.ok_or_else(|| io::Error::other("`tidegate load` begins no phase"))?;
    let work = Work::of(&stack)?.since(&before);
    Ok(Run { report, work, memory: stack.shim.memory()? })
}

/// Users visit while one thing after the other breaks and is mended.
async fn with_failures(
    programs: &Programs,
    cache: SocketAddr,
    effort: &Effort,
) -> io::Result<Value> {
    let mut stack = Stack::start(programs, cache)?;
    let mut phases = vec![format!("{WELL}={}s", effort.phase)];
    for failure in FAILURES {
        phases.push(format!("{failure}={}s", effort.phase));
        phases.push(format!("after {failure}={}s", effort.phase));
    }
    let address = stack.edge.address;
    eprintln!("{} users, and failures in between …", effort.users);
    let phases = phases.join(",");
    let visits = Visits { users: effort.users, think: None, phases: &phases };
    load(programs, effort, address, visits, |phase| match phase {
        "service down" => stack.origin.kill(),
        "after service down" => stack.origin.start_anew(),
        "slow database" => stack.slow(10),
        "after slow database" => stack.slow(1),
        "Redis without memory" => stack.bound_redis("1mb"),
        "after Redis without memory" => stack.bound_redis("0"),
        "Redis down" => stack.redis.kill(),
        "after Redis down" => stack.redis.start_anew(),
        _ => Ok(()),
    })
    .await
    .and_then(|report| stack.check().map(|()| report))
}

/// `tidegate load`, which announces each phase as it begins.
async fn load(
    programs: &Programs,
    effort: &Effort,
    address: SocketAddr,
    Visits { users, think, phases }: Visits<'_>,
    mut begins: impl FnMut(&str) -> io::Result<()>,
) -> io::Result<Value> {
    let ramp = users.div_ceil(effort.arrivals);
    let mut command = Command::new(&programs.tidegate);
    command.arg("load").arg(format!("http://{address}"));
    command.args(["--users", &users.to_string(), "--ramp", &format!("{ramp}s")]);
    command.args(["--phases", phases, "--json"]);
    if let Some(think) = think {
        command.args(["--think", &format!("{think}s")]);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let silent = || io::Error::other("`tidegate load` says nothing");
    let mut said = BufReader::new(child.stderr.take().ok_or_else(silent)?).lines();
    let mut stdout = child.stdout.take().ok_or_else(silent)?;
    while let Some(line) = said.next_line().await? {
        match line.strip_prefix("phase: ") {
            Some(phase) => begins(phase)?,
            None => eprintln!("{line}"),
        }
    }
    let mut report = Vec::new();
    stdout.read_to_end(&mut report).await?;
    child.wait().await?;
    Ok(serde_json::from_slice(&report)?)
}

impl Run {
    /// The phase that counts.
    pub(crate) fn counted(&self) -> &Value {
        let last = self.report["phases"].as_array().and_then(|phases| phases.last());
        last.unwrap_or(&Value::Null)
    }

    /// A number of that.
    pub(crate) fn number(&self, pointer: &str) -> f64 {
        number(self.counted(), pointer)
    }

    /// The share of its requests that the edge answered by itself.
    pub(crate) fn at_the_edge(&self) -> f64 {
        self.number("/hits/tidegate-edge") / self.number("/requests").max(1.0)
    }

    /// How often the database was asked in a second.
    pub(crate) fn queries_per_second(&self) -> f64 {
        self.work.queries as f64 / self.number("/seconds").max(1.0)
    }
}

impl Work {
    fn of(stack: &Stack) -> io::Result<Self> {
        let (reached, queries) = stack.counts()?;
        let servers = [&stack.edge, &stack.shim, &stack.redis, &stack.origin];
        let mut cpu = [Duration::ZERO; 4];
        for (spent, server) in cpu.iter_mut().zip(servers) {
            *spent = server.cpu()?;
        }
        Ok(Self { reached, queries, cpu })
    }

    fn since(&self, before: &Self) -> Self {
        let mut cpu = self.cpu;
        cpu.iter_mut().zip(before.cpu).for_each(|(all, before)| *all -= before);
        let (reached, queries) = (self.reached - before.reached, self.queries - before.queries);
        Self { reached, queries, cpu }
    }
}

/// A number of a report; 0 where there is none, as of a cache that had no hit.
pub(crate) fn number(section: &Value, pointer: &str) -> f64 {
    section.pointer(pointer).and_then(Value::as_f64).unwrap_or(0.0)
}

/// The share of queries that were not made, of those of the same users without Tidegate.
pub(crate) fn fewer_queries(with: &Run, without: &Run) -> f64 {
    1.0 - with.work.queries as f64 / (without.work.queries as f64).max(1.0)
}

fn verdicts(
    effort: &Effort,
    with: &Run,
    without: &Run,
    steps: &[Step],
    failures: &Value,
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut must = |budget: &str, found: String, holds: bool| {
        verdicts.push(Verdict { budget: budget.into(), found, holds });
    };
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let millis = |millis: f64| format!("{millis:.0} ms");
    // One failure of the few requests of a short run is more than a share that counts.
    let most = |share: f64| if effort.is_whole { share } else { 0.1 };
    let below =
        |errors: f64, share: f64| (format!("{:.3} %", errors * 100.0), errors < most(share));
    let (found, holds) = below(with.number("/error_share"), 0.001);
    must(&format!("T2: errors below {} %", most(0.001) * 100.0), found, holds);
    if effort.is_whole {
        let p95 = with.number("/latency_ms/p95");
        must("T1: p95 below 500 ms", millis(p95), p95 < 500.0);
        let cached = with.number("/cached_latency_ms/p95");
        must("T2: p95 of cached answers below 100 ms", millis(cached), cached < 100.0);
        let share = with.at_the_edge();
        must("T1: the edge answers half of all requests or more", percent(share), share >= 0.5);
        let fewer = fewer_queries(with, without);
        must("T1: 60 % fewer queries of the database, or more", percent(fewer), fewer >= 0.6);
        let hits = with.number("/hit_ratio");
        must("T2: hit rate above 80 %", percent(hits), hits > 0.8);
    } else {
        let share = with.at_the_edge();
        must("T1: the edge answers some of all requests", percent(share), share > 0.1);
        let fewer = fewer_queries(with, without);
        must("T1: fewer queries of the database", percent(fewer), fewer > 0.1);
    }
    for Step { wanted: Wanted { users, .. }, with, .. } in steps {
        let p95 = with.number("/latency_ms/p95");
        let (found, holds) = below(with.number("/error_share"), 0.001);
        let percent = most(0.001) * 100.0;
        must(&format!("T3: {users} users at once, errors below {percent} %"), found, holds);
        if effort.is_whole {
            let budget = format!("T3: {users} users at once, p95 below 500 ms");
            must(&budget, millis(p95), p95 < 500.0);
        }
    }
    for phase in failures["phases"].as_array().into_iter().flatten() {
        let name = phase["name"].as_str().unwrap_or_default();
        // What must hold while something is broken.
        let share = match name {
            "ramp" | "service down" => continue,
            // What was on its way when something broke, or was mended.
            _ if name == WELL || name.starts_with("after ") => 0.02,
            _ => 0.001,
        };
        let (found, holds) = below(number(phase, "/error_share"), share);
        must(&format!("T4: {name}, errors below {} %", most(share) * 100.0), found, holds);
    }
    verdicts
}
