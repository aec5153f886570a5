//! The servers of an upstream, as all threads share them: who is asked is the core's to say, and
//! its state and whoever waits for room are kept here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_core::Policy;
use tidegate_core::policy::Upstream;
use tidegate_core::policy::health::UpstreamSeen;
use tidegate_core::upstream::{self as core, Call, Change, Choice, Failure, Outcome, Servers};
use tokio::sync::oneshot;

use super::connect::Addresses;
use crate::clock;
use crate::process_log;

/// The upstreams of a policy, by name.
#[derive(Clone, Debug, Default)]
pub struct Upstreams(BTreeMap<String, Arc<Group>>);

/// The servers of one upstream.
#[derive(Debug)]
pub struct Group {
    name: String,
    pub(super) rule: Upstream,
    pub(super) servers: Vec<Server>,
    /// Idle connections in the pools of all threads.
    pub(super) idle: AtomicUsize,
    state: Mutex<State>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Server {
    /// Tells its connections apart from all others in this process.
    pub(super) id: u64,
    pub(super) addresses: Addresses,
}

#[derive(Debug)]
struct State {
    servers: core::Group,
    waiting: VecDeque<Waiting>,
}

/// Who waits until a server has room.
#[derive(Debug)]
struct Waiting {
    tried: Servers,
    place: oneshot::Sender<Slot>,
}

/// One request that a server is at, until this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    group: Arc<Group>,
    server: usize,
    is_held: bool,
}

/// A call that the breaker has let through. Whoever drops it without a word leaves it unknown how
/// it went.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    group: &'a Group,
    call: Option<Call>,
}

/// Why no server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSlot {
    /// None is left that could be.
    Nobody,
    /// All are at as many requests as they may be, and too many wait already, or for too long.
    Crowded,
}

impl Upstreams {
    /// Those of `policy`; nobody has asked yet.
    pub fn new(policy: &Policy) -> Self {
        Self::default().succeed(policy)
    }

    /// Those of another policy: who is described as before keeps connections and state.
    #[must_use]
    pub fn succeed(&self, policy: &Policy) -> Self {
        let rules = policy.model().upstreams.iter();
        let groups = rules.map(|(name, rule)| {
            let known = self.0.get(name).filter(|group| group.rule == *rule);
            let group = known.map_or_else(|| Arc::new(Group::new(name, rule)), Arc::clone);
            (name.clone(), group)
        });
        Self(groups.collect())
    }

    /// The upstream of this name.
    pub fn of(&self, name: &str) -> Option<&Arc<Group>> {
        self.0.get(name)
    }

    /// Whether they are the same, with the same state.
    pub fn are_those_of(&self, other: &Self) -> bool {
        let mut both = self.0.values().zip(other.0.values());
        self.0.len() == other.0.len() && both.all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.0.values()
    }
}

impl Group {
    fn new(name: &str, rule: &Upstream) -> Self {
        static SERVERS: AtomicU64 = AtomicU64::new(0);
        let server = |server: &tidegate_core::policy::upstream::Server| Server {
            id: SERVERS.fetch_add(1, Ordering::Relaxed),
            addresses: Addresses::of(&server.address),
        };
        let state = State { servers: core::Group::new(rule), waiting: VecDeque::new() };
        Self {
            name: name.into(),
            rule: rule.clone(),
            servers: rule.servers.iter().map(server).collect(),
            idle: AtomicUsize::new(0),
            state: Mutex::new(state),
        }
    }

    /// Its name in the policy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of its servers at this moment.
    pub fn state(&self) -> core::Group {
        self.lock().servers.clone()
    }

    /// What there is to say of it when somebody asks whether requests can be answered.
    pub fn seen(&self) -> UpstreamSeen {
        self.lock().servers.seen(&self.rule, clock::now())
    }

    /// Lets a call through, or says for how long nobody is asked.
    pub(super) fn admit(&self) -> Result<Admitted<'_>, Duration> {
        if self.rule.breaker.is_none() {
            return Ok(Admitted { group: self, call: None });
        }
        let call = self.lock().servers.admit(&self.rule, clock::now());
        call.map(|call| Admitted { group: self, call }).map_err(|open| open.retry_after)
    }

    /// A place with a server that has not been `tried`, perhaps after a wait.
    pub(super) async fn slot(self: &Arc<Self>, tried: Servers) -> Result<Slot, NoSlot> {
        let place = {
            let mut state = self.lock();
            match state.servers.choose(&self.rule, tried, clock::now()) {
                Choice::Server(server) => return Ok(Slot::new(self, server)),
                Choice::Nobody => return Err(NoSlot::Nobody),
                Choice::Busy => {}
            }
            // Who has left meanwhile makes room.
            state.waiting.retain(|waiting| !waiting.place.is_closed());
            if state.waiting.len() >= self.rule.queue.length as usize {
                return Err(NoSlot::Crowded);
            }
            let (place, slot) = oneshot::channel();
            state.waiting.push_back(Waiting { tried, place });
            slot
        };
        match tokio::time::timeout(self.rule.queue.timeout, place).await {
            Ok(Ok(slot)) => Ok(slot),
            // The sender is dropped where no server is left for whoever waits.
            Ok(Err(_)) => Err(NoSlot::Nobody),
            Err(_) => Err(NoSlot::Crowded),
        }
    }

    /// The same at once, or not at all.
    pub(super) fn free_slot(self: &Arc<Self>, tried: Servers) -> Option<Slot> {
        match self.lock().servers.choose(&self.rule, tried, clock::now()) {
            Choice::Server(server) => Some(Slot::new(self, server)),
            Choice::Busy | Choice::Nobody => None,
        }
    }

    /// Gives a place back.
    fn leave(self: &Arc<Self>, server: usize) {
        let mut state = self.lock();
        state.servers.leave(server);
        self.seat(&mut state);
    }

    /// Gives room to whoever has waited for longest.
    fn seat(self: &Arc<Self>, state: &mut State) {
        while let Some(first) = state.waiting.pop_front() {
            if first.place.is_closed() {
                continue;
            }
            match state.servers.choose(&self.rule, first.tried, clock::now()) {
                Choice::Server(server) => {
                    if let Err(mut unwanted) = first.place.send(Slot::new(self, server)) {
                        unwanted.is_held = false;
                        state.servers.leave(server);
                    }
                }
                Choice::Busy => {
                    state.waiting.push_front(first);
                    return;
                }
                // It hears of that when the sender is dropped.
                Choice::Nobody => {}
            }
        }
    }

    /// Takes note how a request to a server went.
    pub(super) fn tell(&self, server: usize, failed: Option<Failure>) {
        let change = self.lock().servers.tell(&self.rule, server, failed, clock::now());
        if let Some(change) = change {
            self.say(server, change, None);
        }
    }

    /// Takes note of what a check of a server found.
    pub(super) fn checked(self: &Arc<Self>, server: usize, found: Result<(), String>) {
        let change = {
            let mut state = self.lock();
            let change = state.servers.checked(&self.rule, server, found.is_ok());
            self.seat(&mut state);
            change
        };
        if let Some(change) = change {
            self.say(server, change, found.err());
        }
    }

    /// Says what has become of a server.
    fn say(&self, server: usize, change: Change, why: Option<String>) {
        let address = self.rule.servers.get(server).map(|server| server.address.to_string());
        let (address, upstream, state) = (address.unwrap_or_default(), &self.name, change.as_str());
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let message = format!("the server {address} of `{upstream}` is {state}{why}");
        let fields: [process_log::Field<'_>; 3] =
            [("server", &address), ("upstream", upstream), ("state", &state)];
        match change {
            Change::Up | Change::In => process_log::info(message, &fields),
            Change::Down | Change::Out => process_log::warning(message, &fields),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whatever panics meanwhile, a count at most is one off.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn new(group: &Arc<Group>, server: usize) -> Self {
        Self { group: Arc::clone(group), server, is_held: true }
    }

    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// The position of the server.
    pub(super) const fn at(&self) -> usize {
        self.server
    }

    pub(super) fn server(&self) -> &Server {
        &self.group.servers[self.server]
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_held {
            self.group.leave(self.server);
        }
    }
}

impl Admitted<'_> {
    /// Says how the call went.
    pub(super) fn conclude(mut self, outcome: Outcome) {
        let Some(call) = self.call.take() else { return };
        let group = self.group;
        let changed = group.lock().servers.conclude(&group.rule, call, outcome, clock::now());
        let name = &group.name;
        match changed {
            Some(true) => process_log::warning(
                format_args!("the upstream `{name}` fails too often and is not asked for a while"),
                &[("upstream", name)],
            ),
            Some(false) => process_log::info(
                format_args!("the upstream `{name}` is asked again"),
                &[("upstream", name)],
            ),
            None => {}
        }
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            let group = self.group;
            group.lock().servers.conclude(&group.rule, call, Outcome::Unknown, clock::now());
        }
    }
}
