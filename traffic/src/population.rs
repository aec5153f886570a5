//! Who there is: users in teams, and the addresses they come from.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;

use crate::chance::Chance;
use crate::mix::People;
use crate::zipf::Zipf;

/// Users in teams; nothing is kept of any of them.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    users: u32,
    team_size: u32,
    teams: Zipf,
    same_office: f64,
}

/// Somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// Numbered from 0.
    pub user: u32,
    /// Numbered from 0.
    pub team: u32,
    /// Where they come from: `10.0.0.0/8`, one address a user or one a team.
    pub address: Ipv4Addr,
}

impl Population {
    /// So many users; at most 2^24 of them, since that many addresses there are.
    #[must_use]
    pub fn new(people: &People, users: NonZeroU32) -> Self {
        let users = users.get().min(ADDRESSES);
        let teams = users.div_ceil(people.team_size);
        Self {
            users,
            team_size: people.team_size,
            teams: Zipf::new(teams, people.team_exponent),
            same_office: people.same_office,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn users(&self) -> u32 {
        self.users
    }

    /// Whoever comes next: somebody of a team that is drawn by how active teams are.
    pub fn draw(&self, chance: &mut Chance) -> Person {
        let team = self.teams.draw(chance);
        let first = team * self.team_size;
        let members = self.team_size.min(self.users - first);
        self.person(first + chance.below(members))
    }

    /// The user of this number.
    #[must_use]
    pub fn person(&self, user: u32) -> Person {
        let user = user % self.users;
        let team = user / self.team_size;
        // A team is of one office or not, always: by its scattered number.
        let lot = f64::from(scattered(team ^ 0x5a_5a5a)) / f64::from(ADDRESSES);
        let resident = if lot < self.same_office { team * self.team_size } else { user };
        let [_, a, b, c] = scattered(resident).to_be_bytes();
        Person { user, team, address: Ipv4Addr::new(10, a, b, c) }
    }
}

const ADDRESSES: u32 = 1 << 24;

/// Another number for each of 24 bits, so that neighbours are far apart.
const fn scattered(number: u32) -> u32 {
    // Odd, so that no two meet.
    number.wrapping_mul(0x9e_3779b1) % ADDRESSES
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::mix::Mix;

    fn population(users: u32) -> Population {
        Population::new(&Mix::platform().people, NonZeroU32::new(users).unwrap())
    }

    #[test]
    fn addresses_are_of_one_user_or_of_one_team() {
        let population = population(10_000);
        let mut teams: HashMap<Ipv4Addr, HashSet<u32>> = HashMap::new();
        let mut shared = HashSet::new();
        for user in 0..10_000 {
            let person = population.person(user);
            if !teams.entry(person.address).or_default().insert(person.team) {
                shared.insert(person.team);
            }
        }
        assert!(teams.values().all(|teams| teams.len() == 1));
        // A quarter of 1,250 teams.
        assert!((250..375).contains(&shared.len()), "{}", shared.len());
    }

    #[test]
    fn a_last_team_that_is_not_full_has_its_members_only() {
        let population = population(9);
        let mut chance = Chance::new(1, 1);
        let drawn: HashSet<u32> = (0..1000).map(|_| population.draw(&mut chance).user).collect();
        assert_eq!(drawn, (0..9).collect());
    }
}
