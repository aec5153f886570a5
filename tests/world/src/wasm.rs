//! The one question from JavaScript: a case as JSON in, its verdict as JSON out.
//!
//! Text crosses as address and length, both 32 bits; whoever calls frees nothing, since the
//! instance is thrown away with its memory.
#![allow(unsafe_code, reason = "addresses that cross a border have no type")]

use crate::judge;

/// Room for `length` bytes.
#[unsafe(no_mangle)]
extern "C" fn reserve(length: usize) -> *mut u8 {
    Box::leak(vec![0; length].into_boxed_slice()).as_mut_ptr()
}

/// Judges the case in these bytes: the verdict's address in the upper half, its length in the
/// lower.
///
/// # Safety
/// `at` comes from [`reserve`] with this very length.
#[unsafe(no_mangle)]
unsafe extern "C" fn judge_case(at: *const u8, length: usize) -> u64 {
    // SAFETY: the caller's promise; nothing else holds these bytes.
    let json = unsafe { std::slice::from_raw_parts(at, length) };
    let verdict = match serde_json::from_slice(json) {
        Ok(case) => serde_json::to_vec(&judge(&case)),
        Err(error) => serde_json::to_vec(&error.to_string()),
    };
    let verdict = verdict.unwrap_or_default().leak();
    ((verdict.as_ptr() as u64) << 32) | verdict.len() as u64
}
