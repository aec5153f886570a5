//! The clock: the one place where time enters.

use std::cell::Cell;

use tidegate_core::Timestamp;

thread_local! {
    static STOPPED_AT: Cell<Option<Timestamp>> = const { Cell::new(None) };
}

/// The platform's time. On Cloudflare it stands still while a request computes and moves on
/// at its I/O; locally it is a clock like any other.
pub(crate) fn now() -> Timestamp {
    STOPPED_AT.get().unwrap_or_else(read)
}

/// Does `work` at one and the same time, whatever the clock does: it ends before the next I/O does.
pub(crate) fn stopped<T>(work: impl FnOnce() -> T) -> T {
    STOPPED_AT.set(Some(read()));
    let done = work();
    STOPPED_AT.set(None);
    done
}

fn read() -> Timestamp {
    // A date before 1970 or a NaN becomes the epoch: `as` saturates.
    Timestamp::from_millis(worker::js_sys::Date::now() as u64)
}
