//! What `deploy/` holds, by the validators and builders that read it where it is deployed.
//!
//! `cargo xtask test` brings them and runs this.

mod compose;
mod container;
mod grafana;
mod kubernetes;
mod prometheus;
mod systemd;
mod validators;
