//! Counts how often a piece of code asks the allocator for memory, and how much it keeps.
//!
//! A program that wants numbers installs [`Counting`] as its global allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with counts for each thread.
pub struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// How many times `work` allocates, or grows what it has allocated, on this thread.
pub fn count<T>(work: impl FnOnce() -> T) -> u64 {
    let before = COUNT.get();
    std::hint::black_box(work());
    COUNT.get() - before
}

/// What `work` makes, and how many bytes it holds of the allocator more than before, as far as
/// this thread asked for them and gave them back.
pub fn held<T>(work: impl FnOnce() -> T) -> (T, i64) {
    let before = HELD.get();
    let made = work();
    (made, HELD.get() - before)
}

fn note() {
    // The counts are gone while a thread ends; what it does then is nobody's measurement.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

fn hold(bytes: usize, release: usize) {
    let change = bytes as i64 - release as i64;
    let _ = HELD.try_with(|held| held.set(held.get() + change));
}

#[allow(unsafe_code, reason = "the trait cannot be implemented otherwise")]
// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        hold(layout.size(), 0);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        hold(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        hold(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}
