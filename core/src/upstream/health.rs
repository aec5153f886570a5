//! Whether a server may be asked: what checks found, and how the last requests went.

use core::time::Duration;

use crate::policy::upstream::{Ejection, HealthCheck};
use crate::time::Timestamp;

/// What is known of one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Checks found it down.
    is_down: bool,
    /// Checks in a row that said the opposite.
    against: u32,
    /// Requests in a row that it has failed.
    failures: u32,
    /// Left out until then.
    out_until: Option<Timestamp>,
}

/// What a change of a server's health is told as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Checks found that it is up again.
    Up,
    /// Checks found that it is down.
    Down,
    /// It failed so many requests that it is left out for a time.
    Out,
    /// It has been left out, and has answered again since.
    In,
}

impl Health {
    /// Takes note of what a check found.
    pub fn checked(&mut self, rule: &HealthCheck, passed: bool) -> Option<Change> {
        if passed != self.is_down {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let wanted = if self.is_down { rule.rise } else { rule.fall };
        if self.against < wanted.get() {
            return None;
        }
        *self = Self { is_down: !self.is_down, ..Self::default() };
        Some(if self.is_down { Change::Down } else { Change::Up })
    }

    /// Takes note that it has answered a request.
    pub fn answered(&mut self) -> Option<Change> {
        self.failures = 0;
        self.out_until.take().map(|_| Change::In)
    }

    /// Takes note that it has failed a request. Who comes back fails once, and is out again.
    pub fn failed(&mut self, rule: &Ejection, now: Timestamp) -> Option<Change> {
        self.failures = self.failures.saturating_add(1);
        if rule.failures == 0 || self.failures < rule.failures {
            return None;
        }
        let was_known = self.out_until.is_some();
        self.out_until = Some(now + rule.time);
        (!was_known).then_some(Change::Out)
    }

    /// Whether checks, if there are any, found that it is up.
    pub const fn is_up(&self) -> bool {
        !self.is_down
    }

    /// Whether it is left out at `now` for what it has failed.
    pub fn is_out(&self, rule: &Ejection, now: Timestamp) -> bool {
        // A clock that was set back leaves nobody out for longer.
        self.out_until.is_some_and(|until| {
            until.since(now) > Duration::ZERO && now >= until.before(rule.time)
        })
    }
}

impl Change {
    /// The word for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Out => "left out",
            Self::In => "in again",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Upstream;
    use alloc::vec::Vec;
    use core::num::NonZeroU32;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn rule() -> HealthCheck {
        HealthCheck {
            path: "/healthz".into(),
            host: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            status: Vec::new(),
            rise: NonZeroU32::new(2).unwrap(),
            fall: NonZeroU32::new(3).unwrap(),
        }
    }

    #[test]
    fn p1_checks_take_it_out_after_a_fall_and_back_after_a_rise() {
        let (rule, mut health) = (rule(), Health::default());
        let mut checks = |results: &[bool]| -> Vec<Option<Change>> {
            results.iter().map(|passed| health.checked(&rule, *passed)).collect()
        };
        assert_eq!(checks(&[false, false, true, false, false]), [None; 5], "never three in a row");
        assert_eq!(checks(&[false]), [Some(Change::Down)]);
        assert_eq!(checks(&[false, true, false, true]), [None; 4]);
        assert_eq!(checks(&[true, true]), [Some(Change::Up), None]);
    }

    #[test]
    fn p1_failures_in_a_row_leave_it_out_for_a_time() {
        let (rule, mut health) = (Ejection::default(), Health::default());
        assert_eq!(health.failed(&rule, NOW), None);
        assert_eq!(health.failed(&rule, NOW), None);
        assert_eq!(health.answered(), None);
        assert_eq!([(); 3].map(|()| health.failed(&rule, NOW)), [None, None, Some(Change::Out)]);
        assert!(health.is_out(&rule, NOW + Duration::from_millis(9_999)));
        assert!(!health.is_out(&rule, NOW + rule.time));
        assert!(!health.is_out(&rule, NOW.before(Duration::from_secs(3600))), "a clock set back");
        // Back, and one failure is enough; told once.
        assert_eq!(health.failed(&rule, NOW + rule.time), None);
        assert!(health.is_out(&rule, NOW + rule.time));
        assert_eq!(health.answered(), Some(Change::In));
        assert!(!health.is_out(&rule, NOW + rule.time));
    }

    #[test]
    fn without_a_number_failures_leave_nobody_out() {
        let rule = Ejection { failures: 0, ..Upstream::new(Vec::new()).eject };
        let mut health = Health::default();
        for _ in 0..100 {
            assert_eq!(health.failed(&rule, NOW), None);
        }
        assert!(!health.is_out(&rule, NOW));
    }
}
