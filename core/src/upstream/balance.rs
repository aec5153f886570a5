//! Which of several servers is asked.

use crate::policy::upstream::Balance;

/// What a choice goes by of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its share, from 1 on.
    pub weight: u32,
    /// How many requests it is at.
    pub active: u32,
    /// How far ahead of its share it is not: the smooth weighted round robin of nginx.
    pub credit: i64,
}

/// Chooses one of the servers at `positions` and makes it their turn. Among those that are at
/// the fewest requests for their weight, and among all under [`Balance::RoundRobin`], turns go by
/// weight and evenly: with the weights 2 and 1, `a b a`. Grows with the number of servers.
pub fn choose(
    balance: Balance,
    servers: &mut [Load],
    positions: impl Iterator<Item = usize> + Clone,
) -> Option<usize> {
    let least = match balance {
        Balance::RoundRobin => None,
        Balance::LeastConn => positions
            .clone()
            .map(|at| servers[at])
            .reduce(|least, other| if other.is_less_busy_than(&least) { other } else { least }),
    };
    let mut chosen: Option<usize> = None;
    let mut weights = 0_i64;
    for at in positions {
        if least.is_some_and(|least| least.is_less_busy_than(&servers[at])) {
            continue;
        }
        let weight = i64::from(servers[at].weight);
        weights = weights.saturating_add(weight);
        servers[at].credit = servers[at].credit.saturating_add(weight);
        if chosen.is_none_or(|best| servers[at].credit > servers[best].credit) {
            chosen = Some(at);
        }
    }
    let chosen = chosen?;
    servers[chosen].credit = servers[chosen].credit.saturating_sub(weights);
    Some(chosen)
}

impl Load {
    /// Whether this server is at fewer requests for its weight: a / w < b / v.
    fn is_less_busy_than(&self, other: &Self) -> bool {
        let crossed = |load: &Self, weight: u32| u64::from(load.active) * u64::from(weight);
        crossed(self, other.weight) < crossed(other, self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn servers(weights: &[u32]) -> Vec<Load> {
        weights.iter().map(|weight| Load { weight: *weight, active: 0, credit: 0 }).collect()
    }

    /// Who is chosen, as letters; each request ends at once unless it is `kept`.
    fn turns(balance: Balance, servers: &mut [Load], count: usize, kept: bool) -> String {
        let all = 0..servers.len();
        let turn = |_| {
            let at = choose(balance, servers, all.clone()).unwrap();
            servers[at].active += u32::from(kept);
            char::from(b'a' + at as u8)
        };
        (0..count).map(turn).collect()
    }

    #[test]
    fn p1_turns_go_by_weight_and_evenly() {
        assert_eq!(turns(Balance::RoundRobin, &mut servers(&[1, 1, 1]), 6, false), "abcabc");
        assert_eq!(turns(Balance::RoundRobin, &mut servers(&[5, 1, 1]), 7, false), "aabacaa");
        let busy = [Load { active: 9, ..servers(&[1])[0] }, servers(&[1])[0]];
        assert_eq!(turns(Balance::RoundRobin, &mut busy.clone(), 4, false), "abab");
    }

    #[test]
    fn p1_the_least_busy_for_its_weight_is_asked() {
        let mut three = servers(&[1, 1, 1]);
        (three[0].active, three[1].active, three[2].active) = (2, 0, 1);
        assert_eq!(turns(Balance::LeastConn, &mut three, 3, true), "bbc");
        assert_eq!(turns(Balance::LeastConn, &mut servers(&[2, 1]), 3, true), "aba");
        let kept = turns(Balance::LeastConn, &mut servers(&[3, 1]), 40, true);
        assert_eq!(kept.matches('a').count(), 30);
        // Idle ones take turns, so that the first does not get all.
        assert_eq!(turns(Balance::LeastConn, &mut servers(&[1, 1]), 4, false), "abab");
    }

    #[test]
    fn nobody_is_chosen_among_none() {
        assert_eq!(choose(Balance::LeastConn, &mut servers(&[1]), core::iter::empty()), None);
    }
}
