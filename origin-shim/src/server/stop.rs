//! What ends the accepting of connections.

/// What the threads are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing: they go on.
    #[default]
    Not,
    /// No more connections are accepted anywhere.
    Closed,
    /// Another process accepts from the same sockets.
    HandedOver,
}

impl Stop {
    /// Whether to stop.
    pub(super) fn is_told(self) -> bool {
        self != Self::Not
    }
}
