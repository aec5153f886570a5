//! What the benches share: a clock that others on the machine do not disturb much, and an
//! allocator that counts.

pub mod allocations;
pub mod clock;
pub mod measure;
