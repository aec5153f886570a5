//! The clock: the one place where time enters.

use tidegate_core::Timestamp;

/// The platform's time. It stands still while a request computes and moves on at its
/// I/O, so two calls without an `await` between them always agree.
pub(crate) fn now() -> Timestamp {
    // A date before 1970 or a NaN becomes the epoch: `as` saturates.
    Timestamp::from_millis(worker::js_sys::Date::now() as u64)
}
