//! A run from its first user to its report.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use goose::GooseAttack;
use goose::config::GooseConfiguration;
use goose::goose::{Scenario, Transaction, TransactionFunction};
use reqwest::Client;
use tidegate_traffic::Mix;

use crate::destination::Destination;
use crate::phases::{Phase, Timeline};
use crate::report::Report;
use crate::targets::Targets;
use crate::visitor::{Shared, Visitor};

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask.
    pub destination: Destination,
    /// How many visit at once.
    pub users: NonZeroU32,
    /// How many there are, of whom those who visit are drawn.
    pub people: NonZeroU32,
    /// How users come, and what is told apart behind that.
    pub timeline: Timeline,
    /// What they ask for.
    pub mix: Mix,
    /// How long they wait for an answer.
    pub timeout: Duration,
    /// The same seed means that the same is asked for.
    pub seed: u64,
    /// What is to hold.
    pub targets: Targets,
}

/// Why a run could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The load generator says no.
    Goose(Box<goose::GooseError>),
    /// Its client cannot be made.
    Client(reqwest::Error),
    /// A target speaks of a phase that there is not.
    NoSuchPhase(String),
}

/// A connection that nobody uses is closed behind this time. Many servers close one behind five
/// seconds; what is sent to them just then gets no answer, which a browser does not let people see.
const IDLE: Duration = Duration::from_secs(4);
const USER_AGENT: &str = concat!("tidegate-load/", env!("CARGO_PKG_VERSION"));

/// Makes a run, and calls `begins` when each phase does.
///
/// # Errors
/// [`RunError`]; a server that fails is none, but what is reported.
pub async fn run(
    plan: Plan,
    begins: impl Fn(&Phase) + Send + Sync + 'static,
) -> Result<Report, RunError> {
    let phases = plan.timeline.phases();
    let unknown = plan.targets.phases().find(|name| phases.iter().all(|phase| phase.name != *name));
    if let Some(name) = unknown {
        return Err(RunError::NoSuchPhase(name.into()));
    }
    let arguments = arguments(&plan);
    let shared = Arc::new(Shared::of(plan));
    let client = Client::builder().pool_idle_timeout(IDLE).user_agent(USER_AGENT).build()?;
    let configuration = GooseConfiguration::parse_args_default(&arguments)?;
    let users = Arc::clone(&shared);
    let function: TransactionFunction = Arc::new(move |user| {
        let (shared, client) = (Arc::clone(&users), client.clone());
        Box::pin(async move {
            if user.get_session_data::<Visitor>().is_none() {
                user.set_session_data(Visitor::new(&shared));
            }
            if let Some(visitor) = user.get_session_data_mut::<Visitor>() {
                visitor.page(&client, &shared).await;
            }
            Ok(())
        })
    });
    let scenario = Scenario::new("visit").register_transaction(Transaction::new(function));
    // Goose makes a client for each user unless all share one, and none of its own is asked with.
    let attack = GooseAttack::initialize_with_config(configuration)?
        .set_client_builder_without_cookies(
            goose::client::GooseClientBuilder::new().without_cookies(),
        )?
        .register_scenario(scenario);
    let announcing = tokio::spawn(announce(Arc::clone(&shared), begins));
    let ended = attack.execute().await;
    announcing.abort();
    ended?;
    Ok(Report::of(&shared.plan, &shared.tallies()))
}

async fn announce(shared: Arc<Shared>, begins: impl Fn(&Phase)) {
    let mut at = shared.begun();
    for phase in shared.plan.timeline.phases() {
        tokio::time::sleep_until(at).await;
        begins(phase);
        at += phase.lasts;
    }
}

/// What goose is told. It launches users and ends them; of latencies it knows only from when a
/// request was sent, and its mitigation of that (more copies of what took long, as many as the
/// user's average pace says) is an estimate where we know. So it measures nothing.
fn arguments(plan: &Plan) -> Vec<String> {
    let ramp = plan.timeline.ramp();
    let hold = plan.timeline.lasts() - ramp;
    let seconds =
        |span: Duration, more: u128| format!("{}s", span.as_millis().div_ceil(1000) + more);
    let users = plan.users.to_string();
    // Users stop by themselves when all is over, and a moment later they are told to leave.
    let (ramp, hold) = (seconds(ramp, 0), seconds(hold, 1));
    let said = ["--host", plan.destination.base(), "--users", &users];
    let spans = ["--increase-time", &ramp, "--run-time", &hold];
    // With `--no-metrics`, or a plan in place of these times, it says on standard output how many
    // users there are.
    let flags = [
        "--no-transaction-metrics",
        "--no-scenario-metrics",
        "--no-print-metrics",
        "--no-telnet",
        "-qqq",
    ];
    said.iter().chain(&spans).chain(&flags).map(ToString::to_string).collect()
}

impl From<goose::GooseError> for RunError {
    fn from(error: goose::GooseError) -> Self {
        Self::Goose(Box::new(error))
    }
}

impl From<reqwest::Error> for RunError {
    fn from(error: reqwest::Error) -> Self {
        Self::Client(error)
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => write!(f, "the load generator cannot be made: {error}"),
            Self::Goose(error) => write!(f, "the load generator says: {error}"),
            Self::NoSuchPhase(name) => write!(
                f,
                "a target speaks of the phase \"{name}\", and there is none: \
                 --phases says which there are"
            ),
        }
    }
}

impl std::error::Error for RunError {}
