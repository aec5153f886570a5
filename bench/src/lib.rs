//! What the benches share: a clock that others on the machine do not disturb much, and an
//! allocator that counts, and how they are called and judge.

pub mod allocations;
pub mod cache_service;
pub mod clock;
pub mod command;
pub mod measure;
pub mod process;
pub mod redis_server;
pub mod spread;
