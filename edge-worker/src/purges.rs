//! What was purged, as far as this isolate has heard: wherever an answer is kept, it is asked
//! here whether it is void.

pub(crate) mod keeper;

use std::cell::RefCell;

use tidegate_core::headers::Fields;
use tidegate_core::purge::{BadPurges, Purges};
use tidegate_core::{Request, Timestamp};

thread_local! {
    static PURGES: RefCell<Purges> = RefCell::default();
}

/// Whether a stored answer to `asked` is void that goes by these names and was asked for, or
/// confirmed, at `asked_at`.
pub(crate) fn void<'n, F: Fields>(
    asked: &Request<'_, F>,
    names: impl IntoIterator<Item = &'n str>,
    asked_at: Timestamp,
) -> bool {
    PURGES.with_borrow(|purges| purges.void(asked.host, asked.target, names, asked_at))
}

/// Whether anything was purged since then: for answers to other requests than the one at hand.
pub(crate) fn any_since(asked_at: Timestamp) -> bool {
    PURGES.with_borrow(|purges| purges.any_since(asked_at))
}

/// Takes over what lies in KV, besides what this isolate knows itself.
pub(crate) fn take(text: &str) -> Result<(), BadPurges> {
    let all = Purges::from_text(text)?;
    PURGES.with_borrow_mut(|purges| purges.extend(&all));
    Ok(())
}

/// Remembers what was purged here.
pub(crate) fn add(news: &Purges) {
    PURGES.with_borrow_mut(|purges| purges.extend(news));
}
