//! Something for each limit of a policy, by the limit's name.

use tidegate_core::rate::Limit;

/// In the order of names. A look takes the logarithm of their number.
#[derive(Debug)]
pub(crate) struct ByLimit<T>(Vec<(Box<str>, T)>);

impl<T> ByLimit<T> {
    /// What `make` has for each limit.
    pub(crate) fn new(limits: &[Limit], make: impl Fn(&Limit) -> T) -> Self {
        let named = |limit: &Limit| (limit.name.as_str().into(), make(limit));
        let mut all: Vec<(Box<str>, T)> = limits.iter().map(named).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(all)
    }

    /// What there is for the limit of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }
}
