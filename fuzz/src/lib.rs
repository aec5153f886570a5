//! What the fuzz targets do with what they are given: not panicking is the least.

pub mod cache;
pub mod key;
pub mod model;
pub mod parsers;
pub mod policy;
