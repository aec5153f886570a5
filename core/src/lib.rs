//! Every caching and rate-limit decision of Tidegate, as pure functions of
//! (policy, facts, now).
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
