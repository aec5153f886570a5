//! The Date of answers that have none (RFC 9110 §6.6.1), written once a second on each thread.

use std::cell::RefCell;

use tidegate_core::Timestamp;
use tidegate_core::headers::http_date::HttpDate;

/// A second, and its date.
struct Written {
    second: u64,
    text: String,
}

thread_local! {
    static LAST: RefCell<Written> = const { RefCell::new(Written { second: 0, text: String::new() }) };
}

/// Puts the field for `now` into `head`.
pub(super) fn put(head: &mut Vec<u8>, now: Timestamp) {
    let second = now.as_millis() / 1000;
    LAST.with(|last| {
        let mut last = last.borrow_mut();
        if last.second != second || last.text.is_empty() {
            *last = Written { second, text: format!("date: {}\r\n", HttpDate(now)) };
        }
        head.extend_from_slice(last.text.as_bytes());
    });
}
