//! The request loop at the origin.
