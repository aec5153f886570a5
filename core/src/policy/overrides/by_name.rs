//! Overrides of limits by the names of the limits: a few, in a list.

use alloc::string::String;
use alloc::vec::Vec;

use super::LimitOverride;

/// Overrides by the names of limits, in the order of these. Everything is linear in their number,
/// which is that of the policy's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByName(Vec<(String, LimitOverride)>);

impl ByName {
    /// The override of the limit of this name.
    pub fn get(&self, name: &str) -> Option<&LimitOverride> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, limit)| limit)
    }

    /// Puts `limit` in place of what was there.
    pub fn insert(&mut self, name: String, limit: LimitOverride) {
        self.remove(&name);
        let at = self.0.iter().take_while(|(other, _)| *other < name).count();
        self.0.insert(at, (name, limit));
    }

    /// Takes the override of this name out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| other != name);
    }

    /// Names and overrides.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &LimitOverride)> {
        self.0.iter().map(|(name, limit)| (&**name, limit))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&str, &LimitOverride) -> bool) {
        self.0.retain(|(name, limit)| keep(name, limit));
    }
}
