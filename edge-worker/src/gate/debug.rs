//! What was decided about a request, for those who show the token: `Tidegate-Debug: 1` asks for
//! it, `Tidegate-Token` has the token, and neither goes to the origin.

use tidegate_core::{CacheKey, Policy};

use super::Gate;
use super::passage::Passage;
use crate::bearer;
use crate::edits::Edits;
use crate::head::Head;

const FIELD: &str = "tidegate-debug";
const TOKEN: &str = "tidegate-token";

/// Whether somebody asks who may.
pub(super) fn is_asked_for(gate: &Gate, fields: &Head) -> bool {
    fields.text(FIELD).is_some() && bearer::is_shown(&gate.policy, &gate.env, fields.text(TOKEN))
}

impl Passage<'_> {
    /// Route, reason and key, in one field.
    pub(super) fn tell_debug(&self, head: &mut Edits) {
        if !self.is_debugged {
            return;
        }
        let route = self.plan.route.map_or("none", |route| &route.name);
        let cache = match self.plan.cache {
            Ok(rule) => {
                let key = CacheKey::of(&rule.key, &self.asked, &self.who);
                format!("cache; key=\"{key}\"")
            }
            Err(why) => format!("bypass; reason={}", why.as_str()),
        };
        let policy = Policy::hash_of(self.gate.policy.base.source().unwrap_or_default());
        let text =
            format!("tier={}; route={route}; policy={policy}; {cache}", self.plan.tier.as_str());
        let text: String =
            text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
        head.add(FIELD, &text);
    }
}
