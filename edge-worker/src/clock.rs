//! The clock: the one place where time enters.

use tidegate_core::Timestamp;

/// The platform's time. On Cloudflare it stands still while a request computes and moves on
/// at its I/O; locally it is a clock like any other.
pub(crate) fn now() -> Timestamp {
    // A date before 1970 or a NaN becomes the epoch: `as` saturates.
    Timestamp::from_millis(worker::js_sys::Date::now() as u64)
}
