//! Everything that is counted, at one moment.

use tidegate_core::Timestamp;
use tidegate_core::policy::health::{Check, UpstreamSeen};

use super::calls::CallsTold;
use super::process::Process;
use super::route::RouteTold;
use crate::clock;
use crate::control::{Control, Reloads};
use crate::redis_link::Counted;
use crate::second_tier::Done;
use crate::server::tls::Expiry;
use crate::tallies::Told;

/// All numbers of a shim, at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When.
    pub at: Timestamp,
    /// When the process began.
    pub started: Timestamp,
    /// The hash of the policy's file.
    pub policy: String,
    /// When that was read.
    pub read: Timestamp,
    /// How often it was read again.
    pub reloads: Reloads,
    /// By name; under the empty one what no route matched.
    pub routes: Vec<(String, RouteTold)>,
    /// By name.
    pub upstreams: Vec<(String, CallsTold)>,
    /// How the servers of each are, by name.
    pub servers: Vec<(String, UpstreamSeen)>,
    /// In the order of the policy.
    pub limits: Vec<Limit>,
    /// The zones of stored answers, `default` last.
    pub zones: Vec<Zone>,
    /// Requests that wait for the answer to another one like them.
    pub waiting: usize,
    /// Connections of clients, and how many there may be; none before the server runs.
    pub connections: Option<(usize, usize)>,
    /// Those of them in which another protocol is spoken with an upstream.
    pub tunnels: usize,
    /// How Redis does, by what it is used for: `limits`, `answers`.
    pub redis: Vec<(&'static str, Counted)>,
    /// What was found among the answers in Redis.
    pub second_tier: Option<Done>,
    /// Until when certificates are valid.
    pub certificates: Vec<Expiry>,
    /// Whether maintenance is on.
    pub maintenance: bool,
    /// Lines of the request log that were too many.
    pub log_dropped: u64,
    /// What the system says.
    pub process: Process,
    /// What requests need, and how it is.
    pub checks: Vec<Check>,
}

/// What a limit has said.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// How often it said what.
    pub told: Told,
    /// Clients that are remembered in memory.
    pub clients: usize,
}

/// How full a zone is.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// URLs with stored answers.
    pub entries: usize,
    /// What they take, heads and bookkeeping included.
    pub bytes: u64,
    /// What they may take.
    pub bytes_max: u64,
}

impl Snapshot {
    /// Of what `control` has in force. Takes microseconds for each route.
    pub fn take(control: &Control) -> Self {
        let (shared, said) = (control.shared(), control.said());
        let in_force = shared.in_force();
        let at = clock::now();
        let limits = in_force.policy.model().limits.iter().map(|limit| Limit {
            name: limit.name.clone(),
            told: in_force.tallies.of(&limit.name).map(|tally| tally.told()).unwrap_or_default(),
            clients: in_force.limiter.len(&limit.name),
        });
        let zones = in_force.answers.all().map(|(name, store)| Zone {
            name: name.into(),
            entries: store.entries(),
            bytes: store.bytes(),
            bytes_max: store.bounds().bytes,
        });
        let routes = in_force.metrics.routes();
        let upstreams = in_force.metrics.upstreams();
        Self {
            at,
            started: control.start().at,
            policy: in_force.file.hash(),
            read: said.read_at,
            reloads: control.reloads(),
            routes: routes.map(|(name, route)| (name.into(), route.told())).collect(),
            upstreams: upstreams.map(|(name, calls)| (name.into(), calls.told())).collect(),
            servers: in_force.upstreams.iter().map(|g| (g.name().into(), g.seen())).collect(),
            limits: limits.collect(),
            zones: zones.collect(),
            waiting: shared.waiting_for_others(),
            connections: shared.capacity().map(|capacity| (capacity.held(), capacity.most())),
            tunnels: shared.tunnels().count(),
            redis: in_force.redis_counted().collect(),
            second_tier: in_force.second_tier.as_ref().map(|tier| tier.done()),
            certificates: control.tls().expiries(),
            maintenance: in_force.policy.is_in_maintenance(at),
            log_dropped: shared.log().dropped(),
            process: Process::look(),
            checks: shared.checks(at),
        }
    }
}
