//! What is said of limits that are rehearsed (`dry_run`): that one begins to refuse, how much
//! it would have refused from time to time, and when that is over. Never a line for a request.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_core::rate::Limit;

use super::Tallies;

/// A limit that would have refused nobody for as long has ended to.
const QUIET: Duration = Duration::from_secs(60);
/// While it goes on, so often is said how much.
const EVERY: Duration = Duration::from_secs(3600);

/// What was said so far. Times are since any moment that stays the same.
#[derive(Debug, Default)]
pub struct Rehearsals(BTreeMap<Box<str>, Rehearsal>);

#[derive(Debug, Default)]
struct Rehearsal {
    /// The tally at the last look.
    counted: u64,
    running: Option<Running>,
}

/// A time in which a limit would refuse.
#[derive(Debug)]
struct Running {
    since: Duration,
    /// The tally before.
    counted: u64,
    /// When it was last seen to refuse.
    last: Duration,
    said_at: Duration,
}

impl Rehearsals {
    /// Looks at the tallies of `limits` and says what has changed, in lines for people.
    pub fn look(&mut self, limits: &[Limit], tallies: &Tallies, now: Duration) -> Vec<String> {
        let rehearsed = limits.iter().filter(|limit| limit.dry_run);
        let told: BTreeMap<&str, u64> = rehearsed
            .filter_map(|limit| Some((&*limit.name, tallies.of(&limit.name)?.told().would_refuse)))
            .collect();
        let mut lines = Vec::new();
        self.0.retain(|name, known| {
            let stays = told.contains_key(&**name);
            if !stays {
                // What came since the last look counts, where the limit is still there.
                let tally = tallies.of(name).map(|tally| tally.told().would_refuse);
                known.counted = tally.unwrap_or(known.counted);
                lines.extend(known.end(name, now, "it is rehearsed no more"));
            }
            stays
        });
        for (name, counted) in told {
            lines.extend(self.0.entry(name.into()).or_default().look(name, counted, now));
        }
        lines
    }
}

impl Rehearsal {
    fn look(&mut self, name: &str, counted: u64, now: Duration) -> Option<String> {
        let before = std::mem::replace(&mut self.counted, counted);
        let refuses = counted != before;
        let Some(running) = &mut self.running else {
            let begins = Running { since: now, counted: before, last: now, said_at: now };
            return refuses.then(|| {
                self.running = Some(begins);
                format!("the limit `{name}`, which is rehearsed, would refuse requests from now on")
            });
        };
        if refuses {
            running.last = now;
        }
        if now.saturating_sub(running.last) >= QUIET {
            return self.end(name, now, "nobody for a minute");
        }
        if now.saturating_sub(running.said_at) < EVERY {
            return None;
        }
        running.said_at = now;
        Some(running.sum(name, counted, now, "it goes on"))
    }

    fn end(&mut self, name: &str, now: Duration, why: &str) -> Option<String> {
        let running = self.running.take()?;
        Some(running.sum(name, self.counted, now, why))
    }
}

impl Running {
    fn sum(&self, name: &str, counted: u64, now: Duration, how: &str) -> String {
        let (refused, span) = (counted - self.counted, now.saturating_sub(self.since).as_secs());
        format!(
            "the limit `{name}`, which is rehearsed, would have refused {refused} requests in \
             {span} s; {how}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use tidegate_core::{Admission, Timestamp};

    const SECOND: Duration = Duration::from_secs(1);

    fn limit() -> Limit {
        Limit { dry_run: true, ..Limit::new("new", NonZeroU32::MIN, SECOND) }
    }

    struct World {
        limits: Vec<Limit>,
        tallies: Tallies,
        rehearsals: Rehearsals,
    }

    impl World {
        fn new() -> Self {
            let limits = vec![limit()];
            Self { tallies: Tallies::new(&limits), limits, rehearsals: Rehearsals::default() }
        }

        fn refuse(&self, times: usize) {
            let denial = Admission::still_denied(SECOND, Timestamp::EPOCH);
            (0..times).for_each(|_| self.tallies.count(&self.limits[0], &Ok(denial)));
        }

        fn look(&mut self, at: u64) -> String {
            self.rehearsals.look(&self.limits, &self.tallies, SECOND * at as u32).join("\n")
        }
    }

    #[test]
    fn r9_a_begin_and_an_end_are_said_once_each() {
        let mut world = World::new();
        assert_eq!(world.look(0), "");
        world.refuse(5);
        assert!(world.look(10).ends_with("would refuse requests from now on"));
        world.refuse(7);
        assert_eq!(world.look(11), "");
        assert_eq!(world.look(70), "");
        let end = world.look(71);
        assert!(end.ends_with("refused 12 requests in 61 s; nobody for a minute"), "{end}");
        assert_eq!(world.look(10_000), "");
        world.refuse(1);
        assert!(world.look(10_001).ends_with("from now on"), "it begins anew");
    }

    #[test]
    fn r9_what_goes_on_is_summed_up_each_hour() {
        let mut world = World::new();
        let mut said = Vec::new();
        for at in 0..7300 {
            world.refuse(1);
            said.extend(Some(world.look(at)).filter(|line| !line.is_empty()));
        }
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[2].ends_with("refused 7201 requests in 7200 s; it goes on"), "{said:?}");
    }

    #[test]
    fn r9_a_rehearsal_ends_with_the_policy_that_says_so() {
        let mut world = World::new();
        world.refuse(3);
        world.look(0);
        world.refuse(1);
        world.limits[0].dry_run = false;
        let end = world.look(2);
        assert!(end.ends_with("refused 4 requests in 2 s; it is rehearsed no more"), "{end}");
        assert_eq!(world.look(3), "");
    }
}
