//! Which plugins each team has installed: the one thing a write can change.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

/// The plugins a team may install, which is also what the plugin list shows.
pub(super) const CATALOGUE: &[&str] = &["app", "chart", "vendor", "widget"];

#[derive(Debug, Default)]
pub(super) struct TeamPlugins(Mutex<HashMap<String, BTreeSet<&'static str>>>);

#[derive(Debug, PartialEq)]
pub(super) enum Installed {
    Now,
    Before,
    NoSuchPlugin,
}

impl TeamPlugins {
    pub(super) fn of(&self, team: &str) -> Vec<&'static str> {
        self.with(|teams| teams.get(team).map(|set| set.iter().copied().collect()))
            .unwrap_or_default()
    }

    pub(super) fn install(&self, team: &str, plugin: &str) -> Installed {
        let Some(known) = CATALOGUE.iter().find(|known| **known == plugin) else {
            return Installed::NoSuchPlugin;
        };
        match self.with(|teams| teams.entry(team.to_owned()).or_default().insert(known)) {
            true => Installed::Now,
            false => Installed::Before,
        }
    }

    /// Whether the plugin was there to be removed.
    pub(super) fn uninstall(&self, team: &str, plugin: &str) -> bool {
        self.with(|teams| teams.get_mut(team).is_some_and(|set| set.remove(plugin)))
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, BTreeSet<&'static str>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
