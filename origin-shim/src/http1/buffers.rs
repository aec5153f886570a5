//! Buffers that the connections of a thread share: one that waits has none, and the few that are
//! in use stay in the processor's cache.

use std::cell::RefCell;

/// What is read at once at most, and room for an answer's head: 16 KiB.
pub(super) const SIZE: usize = 16 * 1024;

/// So many lie ready for the next connection: 1 MiB a thread.
const SPARE_MAX: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for [`SIZE`] bytes.
pub(super) fn take() -> Vec<u8> {
    let spare = SPARE.with(|spare| spare.borrow_mut().pop());
    spare.unwrap_or_else(|| Vec::with_capacity(SIZE))
}

/// Gives a buffer back, and leaves one without room in its place.
pub(super) fn give_back(buffer: &mut Vec<u8>) {
    let mut buffer = std::mem::take(buffer);
    // One that had to grow is rare, and would make them all large in time.
    if buffer.capacity() != SIZE {
        return;
    }
    buffer.clear();
    SPARE.with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(buffer);
        }
    });
}
