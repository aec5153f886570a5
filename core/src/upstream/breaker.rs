//! Whether an upstream is asked at all: not while most of those who asked it failed (P6).
//!
//! Closed until enough of the calls in a rolling window have failed, then open for a time, then
//! half-open: one call tries, and what becomes of it closes the breaker or opens it again.
//! Constant time, no allocation.

use core::time::Duration;

use crate::policy::upstream::BreakerRule;
use crate::time::{Timestamp, millis};

/// The window moves on in so many steps; what is older than the window by up to one of them may
/// be forgotten early.
const STEPS: usize = 10;

/// The state of one upstream's breaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    phase: Phase,
    /// Counts the phases, so that a call of an earlier one changes nothing any more.
    generation: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Closed([Step; STEPS]),
    Open {
        since: Timestamp,
    },
    /// Somebody tries since then.
    HalfOpen {
        since: Timestamp,
    },
}

/// What was counted in one step of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Step {
    /// Which step since the begin of time.
    number: u64,
    calls: u32,
    errors: u32,
}

/// The right to call, which is given back by [`Breaker::tell`] or [`Breaker::forgo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Call {
    generation: u32,
}

/// The breaker is open: nobody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// When it may be worth to ask again: the next probe is due then.
    pub retry_after: Duration,
}

impl Breaker {
    /// Whether a call may be made at `now`.
    pub fn admit(&mut self, rule: &BreakerRule, now: Timestamp) -> Result<Call, Open> {
        let since = match &mut self.phase {
            Phase::Closed(_) => return Ok(Call { generation: self.generation }),
            Phase::Open { since } | Phase::HalfOpen { since } => since,
        };
        // A clock that was set back must not keep it open for longer.
        *since = (*since).min(now);
        let left = (*since + rule.open).since(now);
        match left.is_zero() {
            // A probe of which nothing is heard for as long is given up.
            true => {
                self.enter(Phase::HalfOpen { since: now });
                Ok(Call { generation: self.generation })
            }
            false => Err(Open { retry_after: left }),
        }
    }

    /// Takes note of how a call went.
    pub fn tell(&mut self, rule: &BreakerRule, call: Call, failed: bool, now: Timestamp) {
        if call.generation != self.generation {
            return;
        }
        match &mut self.phase {
            Phase::Closed(steps) => {
                if count(steps, rule, failed, now) {
                    self.enter(Phase::Open { since: now });
                }
            }
            Phase::HalfOpen { .. } if failed => self.enter(Phase::Open { since: now }),
            Phase::HalfOpen { .. } => self.enter(Phase::default()),
            // No call is admitted in this phase, so none has its generation.
            Phase::Open { .. } => {}
        }
    }

    /// Takes note that nothing will be known of a call: whoever made it is gone. If it was the
    /// probe, another may try at once.
    pub fn forgo(&mut self, call: Call) {
        if call.generation == self.generation && matches!(self.phase, Phase::HalfOpen { .. }) {
            self.enter(Phase::Open { since: Timestamp::EPOCH });
        }
    }

    /// Whether nobody is asked, but for a probe.
    pub const fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Closed(_))
    }

    /// The word for logs and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self.phase {
            Phase::Closed(_) => "closed",
            Phase::Open { .. } => "open",
            Phase::HalfOpen { .. } => "half-open",
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation = self.generation.wrapping_add(1);
    }
}

/// Counts a call; whether that is the one that opens the breaker.
fn count(steps: &mut [Step; STEPS], rule: &BreakerRule, failed: bool, now: Timestamp) -> bool {
    let length = (millis(rule.window) / STEPS as u64).max(1);
    let number = now.as_millis() / length;
    let step = &mut steps[(number % STEPS as u64) as usize];
    if step.number != number {
        *step = Step { number, ..Step::default() };
    }
    step.calls = step.calls.saturating_add(1);
    step.errors = step.errors.saturating_add(u32::from(failed));
    if !failed {
        return false;
    }
    let is_within = |step: &&Step| step.number.abs_diff(number) < STEPS as u64;
    let (calls, errors) = steps.iter().filter(is_within).fold((0_u64, 0_u64), |(c, e), step| {
        (c + u64::from(step.calls), e + u64::from(step.errors))
    });
    calls >= u64::from(rule.calls.get()) && errors * 100 >= calls * u64::from(rule.errors.get())
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed([Step::default(); STEPS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_795_000_000);

    /// A breaker with the numbers of P6, on a virtual clock.
    struct World {
        breaker: Breaker,
        rule: BreakerRule,
        now: Timestamp,
    }

    impl World {
        fn new() -> Self {
            Self { breaker: Breaker::default(), rule: BreakerRule::default(), now: START }
        }

        fn wait(&mut self, millis: u64) {
            self.now = self.now + Duration::from_millis(millis);
        }

        fn call(&mut self) -> Result<Call, u64> {
            let said = self.breaker.admit(&self.rule, self.now);
            said.map_err(|open| millis(open.retry_after))
        }

        fn tell(&mut self, call: Call, failed: bool) {
            self.breaker.tell(&self.rule, call, failed, self.now);
        }

        fn calls(&mut self, count: usize, failed: bool) {
            for _ in 0..count {
                let call = self.call().unwrap();
                self.tell(call, failed);
            }
        }
    }

    #[test]
    fn p6_it_opens_at_half_of_ten_calls_in_ten_seconds() {
        let mut world = World::new();
        world.calls(9, true);
        assert_eq!(world.breaker.as_str(), "closed", "nine are too few to judge by");
        world.calls(1, true);
        assert_eq!(world.call(), Err(30_000));

        let mut world = World::new();
        world.calls(6, false);
        world.calls(5, true);
        assert_eq!(world.breaker.as_str(), "closed", "5 of 11");
        world.calls(1, true);
        assert_eq!(world.breaker.as_str(), "open", "6 of 12");
    }

    #[test]
    fn p6_what_is_older_than_the_window_does_not_count() {
        let mut world = World::new();
        world.calls(9, true);
        world.wait(10_000);
        world.calls(1, true);
        assert_eq!(world.breaker.as_str(), "closed");
        world.calls(8, true);
        assert_eq!(world.breaker.as_str(), "closed");
        world.wait(8_999);
        world.calls(1, true);
        assert_eq!(world.breaker.as_str(), "open", "ten within nine seconds");
    }

    #[test]
    fn p6_half_open_after_thirty_seconds_lets_one_probe_through() {
        let mut world = World::new();
        world.calls(10, true);
        world.wait(29_999);
        assert_eq!(world.call(), Err(1));
        world.wait(1);
        let probe = world.call().unwrap();
        assert_eq!(world.breaker.as_str(), "half-open");
        assert_eq!(world.call(), Err(30_000), "one alone");
        world.tell(probe, true);
        assert_eq!(world.call(), Err(30_000), "open once more");
        world.wait(30_000);
        let probe = world.call().unwrap();
        world.tell(probe, false);
        assert_eq!(world.breaker.as_str(), "closed");
        world.calls(9, true);
        assert_eq!(world.breaker.as_str(), "closed", "what was before is forgotten");
    }

    #[test]
    fn p6_calls_of_before_neither_close_nor_open_it() {
        let mut world = World::new();
        let early = world.call().unwrap();
        world.calls(10, true);
        world.tell(early, false);
        assert_eq!(world.breaker.as_str(), "open");
        world.wait(30_000);
        let probe = world.call().unwrap();
        world.tell(early, true);
        assert_eq!(world.breaker.as_str(), "half-open");
        world.tell(probe, false);
        world.tell(early, true);
        world.tell(probe, true);
        assert_eq!(world.breaker, Breaker { phase: Phase::default(), ..world.breaker.clone() });
    }

    #[test]
    fn p6_a_probe_whose_client_leaves_makes_room_for_another() {
        let mut world = World::new();
        world.calls(10, true);
        world.wait(30_000);
        let probe = world.call().unwrap();
        world.breaker.forgo(probe);
        let another = world.call().unwrap();
        assert_eq!(world.call(), Err(30_000));
        // One that is never heard of again does not shut it for ever.
        world.wait(30_000);
        let third = world.call().unwrap();
        world.tell(another, true);
        world.tell(third, false);
        assert_eq!(world.breaker.as_str(), "closed");
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_shut_for_longer() {
        let mut world = World::new();
        world.calls(10, true);
        world.now = START.before(Duration::from_secs(86_400));
        assert_eq!(world.call(), Err(30_000));
        world.wait(30_000);
        assert!(world.call().is_ok());
    }
}
