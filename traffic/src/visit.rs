//! One visit, page by page.

use std::time::Duration;

use crate::browser::Browser;
use crate::chance::Chance;
use crate::mix::{Endpoint, Mix};
use crate::population::Person;
use crate::zipf::Zipf;

/// Somebody's visit: pages, each some time after the one before.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Who visits.
    pub person: Person,
    chance: Chance,
    is_begun: bool,
}

/// What comes next in a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How long after the page before it was asked for.
    pub think: Duration,
    /// The page, by its place in the mix.
    pub page: usize,
    /// What it asks for, in the order of `after`.
    pub wants: Vec<Want>,
}

/// Something that a page asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// By its place in the mix.
    pub endpoint: u16,
    /// Which plugin, or which of the endpoint's items.
    pub item: u32,
    /// Milliseconds after the page itself.
    pub after: u16,
}

/// Pages ask for one thing after the other at this distance: as browsers do, which find more to
/// ask for while they read.
const APART: u16 = 12;

impl Visit {
    /// The visit of somebody, and the browser that they come with.
    #[must_use]
    pub fn new(mix: &Mix, person: Person, mut chance: Chance) -> (Self, Browser) {
        let returning = chance.happens(mix.people.returning);
        let hours = chance.exponential(mix.people.absent_hours);
        let absent = returning.then(|| Duration::from_secs_f64(hours * 3600.0));
        (Self { person, chance, is_begun: false }, Browser::new(absent))
    }

    /// The next page; none when the visit is over.
    pub fn step(&mut self, mix: &Mix, plugins: &Zipf) -> Option<Step> {
        let chance = &mut self.chance;
        let (think, page) = if self.is_begun {
            // Geometric, of this mean.
            if chance.happens(1.0 / mix.people.pages) {
                return None;
            }
            let think = mix.people.think_seconds;
            let think = Duration::from_secs_f64(chance.exponential(think).min(10.0 * think));
            (think, chance.weighted(mix.pages.iter().map(|page| page.weight)))
        } else {
            self.is_begun = true;
            (Duration::ZERO, chance.weighted(mix.pages.iter().map(|page| page.first)))
        };
        let plugin = plugins.draw(chance);
        let mut wants = Vec::new();
        let mut want = |endpoint, item| {
            let after = (wants.len() as u16).saturating_mul(APART);
            wants.push(Want { endpoint, item, after });
        };
        for &(place, times) in &mix.pages[page].requests {
            let endpoint = &mix.endpoints[place];
            for turn in 0..times {
                match (endpoint.items.len(), turn) {
                    (0, 0) => want(place as u16, endpoint.plugin(plugin)),
                    (0, _) => want(place as u16, endpoint.plugin(plugins.draw(chance))),
                    (items, _) => (0..items).for_each(|item| want(place as u16, item as u32)),
                }
            }
        }
        Some(Step { think, page, wants })
    }
}

impl Endpoint {
    /// Path and query of what somebody wants.
    #[must_use]
    pub fn target(&self, item: u32, person: Person) -> String {
        let target = self.target.replace("{team}", &person.team.to_string());
        match self.items.get(item as usize) {
            Some(item) => target.replace("{item}", item),
            None => target.replace("{plugin}", &plugin_name(item)),
        }
    }

    /// The body of a request, if it has one.
    #[must_use]
    pub fn request_body(&self, item: u32, person: Person) -> Option<String> {
        let body = self.body.as_ref()?.replace("{plugin}", &plugin_name(item));
        Some(body.replace("{user}", &format!("user-{}", person.user)))
    }

    /// The number of a plugin where one is named; else all wants are the same.
    fn plugin(&self, plugin: u32) -> u32 {
        let names = |text: &str| text.contains("{plugin}");
        let is_named = names(&self.target) || self.body.as_deref().is_some_and(names);
        if is_named { plugin } else { 0 }
    }
}

/// What the plugin of a number is called.
fn plugin_name(plugin: u32) -> String {
    format!("plugin-{plugin}")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::population::Population;

    /// All pages of many visits.
    fn visits(mix: &Mix, count: u64) -> Vec<Vec<Step>> {
        let users = NonZeroU32::new(1000).unwrap();
        let population = Population::new(&mix.people, users);
        let plugins = Zipf::new(mix.people.plugins, mix.people.plugin_exponent);
        let visit = |number| {
            let mut chance = Chance::new(5, number);
            let person = population.draw(&mut chance);
            let (mut visit, _) = Visit::new(mix, person, chance);
            std::iter::from_fn(move || visit.step(mix, &plugins)).collect()
        };
        (0..count).map(visit).collect()
    }

    #[test]
    fn visits_have_as_many_pages_and_as_much_thought_as_the_mix_says() {
        let mix = Mix::platform();
        let visits = visits(&mix, 5_000);
        let pages: usize = visits.iter().map(Vec::len).sum();
        let mean = pages as f64 / 5_000.0;
        assert!((7.6..8.4).contains(&mean), "{mean} pages");
        let thought: f64 = visits.iter().flatten().map(|step| step.think.as_secs_f64()).sum();
        let mean = thought / (pages - 5_000) as f64;
        assert!((24.0..26.0).contains(&mean), "{mean} seconds");
    }

    #[test]
    fn every_visit_begins_with_a_page_that_one_may_begin_with() {
        let mix = Mix::platform();
        for visit in visits(&mix, 500) {
            assert!(mix.pages[visit[0].page].first > 0);
            assert!(visit[1..].iter().all(|step| mix.pages[step.page].weight > 0));
        }
    }

    #[test]
    fn targets_name_team_plugin_and_item() {
        let mix = Mix::platform();
        let person = Person { user: 12, team: 1, address: [10, 0, 0, 1].into() };
        let endpoint = |name| mix.endpoints.iter().find(|e| e.name == name).unwrap();
        assert_eq!(endpoint("my-plugins").target(0, person), "/api/v1/teams/1/my-plugins");
        assert_eq!(endpoint("bundle").target(3, person), "/plugins/plugin-3/app.js");
        assert_eq!(endpoint("asset").target(2, person), "/assets/app.5be180.css");
        let install = endpoint("install");
        assert_eq!(install.request_body(4, person).unwrap(), "{\"plugin\":\"plugin-4\"}");
        assert_eq!(endpoint("document").request_body(4, person), None);
    }
}
