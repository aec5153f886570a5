//! Tells whoever supervises this process how it is (sd_notify(3)); nobody, where nobody asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::process_log;

/// It serves.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It reads its policy again, until it is [`ready`].
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// It finishes what runs and ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The process with this number is the one to supervise from now on, and it serves.
pub(super) fn succeeded_by(process: u32) {
    tell(&[NotifyState::MainPid(process), NotifyState::Ready]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        process_log::warning(
            format_args!("cannot tell the supervisor at NOTIFY_SOCKET: {error}"),
            &[],
        );
    }
}

/// Tells the supervisor time and again that all threads are alive, if it wants to know.
#[derive(Debug)]
pub(super) struct Watchdog {
    every: Duration,
    beats: Vec<Arc<AtomicU64>>,
}

/// A thread's word that it is alive.
#[derive(Debug)]
pub(super) struct Pulse {
    every: Duration,
    beats: Arc<AtomicU64>,
}

impl Watchdog {
    /// For so many threads, if the supervisor asks for it (`WatchdogSec=`).
    pub(super) fn wanted(threads: usize) -> Option<Self> {
        // As often as sd_watchdog_enabled(3) recommends.
        let every = sd_notify::watchdog_enabled()? / 2;
        Some(Self { every, beats: (0..threads).map(|_| Arc::default()).collect() })
    }

    /// For thread number `at`.
    pub(super) fn pulse(&self, at: usize) -> Option<Pulse> {
        // So often that a thread has surely spoken when it is asked.
        let beats = Arc::clone(self.beats.get(at)?);
        Some(Pulse { every: self.every / 4, beats })
    }

    /// Says so as long as all threads do, for ever.
    pub(super) async fn keep_telling(&self) {
        let mut last = Vec::new();
        loop {
            let beats: Vec<u64> = self.beats.iter().map(|b| b.load(Ordering::Relaxed)).collect();
            let is_alive = |(now, then): (&u64, &u64)| now != then;
            if beats.iter().zip(&last).all(is_alive) {
                tell(&[NotifyState::Watchdog]);
            }
            last = beats;
            tokio::time::sleep(self.every).await;
        }
    }
}

impl Pulse {
    /// Beats for ever.
    pub(super) async fn beat(self) {
        loop {
            self.beats.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(self.every).await;
        }
    }
}
