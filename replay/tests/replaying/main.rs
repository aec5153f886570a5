//! What is found of logs: of samples, counted by hand, and of any.

mod laws;
mod logs;
mod replayed;
