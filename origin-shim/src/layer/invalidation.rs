//! Stored answers that the service knows to be void.

use tidegate_core::invalidate::Tag;
use tidegate_core::purge::order::Order;

use crate::control::Control;
use crate::purging;

/// What is to be void; nothing is before [`Self::now`].
#[must_use = "nothing is void before `now`"]
#[derive(Debug)]
pub struct Invalidation<'a> {
    control: &'a Control,
    order: Order,
}

impl<'a> Invalidation<'a> {
    pub(super) fn new(control: &'a Control) -> Self {
        Self { control, order: Order::default() }
    }

    /// Answers with this tag, like `team:7`.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.order.tags.push(Tag::named(tag));
        self
    }

    /// Answers to this URL, or to this path on any host.
    pub fn key(mut self, url: impl Into<String>) -> Self {
        self.order.keys.push(url.into());
        self
    }

    /// Answers to what begins like this: a URL, or a path on any host.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.order.prefixes.push(prefix.into());
        self
    }

    /// All there is.
    pub fn everything(mut self) -> Self {
        self.order.everything = true;
        self
    }

    /// Makes it void: here when this returns, also for what has begun to be answered; in other
    /// processes with the same Redis within a second. Tags are told to the edge, too, where the
    /// policy has it hear of them.
    pub fn now(self) {
        let in_force = self.control.shared().in_force();
        in_force.invalidate(purging::voids(&in_force.policy, &self.order));
        for tag in &self.order.tags {
            in_force.outbox.tag(&in_force.policy, tag);
        }
    }
}
