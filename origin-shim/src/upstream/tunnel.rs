//! Connections that have left HTTP: what one side sends is the other's.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::connect::Stream;
use super::group::Slot;
use crate::http1::Upgrade;

/// What is on its way in one direction at most.
const PIECE: usize = 8 * 1024;

/// The upstream's side of a connection in which another protocol is spoken.
#[derive(Debug)]
pub struct Tunnel {
    stream: Stream,
    /// What it has said already.
    ahead: Bytes,
    quiet_max: Duration,
    /// The server is at it for as long as it lasts.
    _slot: Slot,
}

/// Counts the tunnels of all threads.
#[derive(Debug, Default)]
pub struct OpenTunnels(AtomicUsize);

/// One of them, until this is dropped.
struct Open<'a>(&'a OpenTunnels);

/// When something was last moved, in either direction.
struct LastMoved {
    start: Instant,
    millis: AtomicU64,
}

impl Tunnel {
    pub(super) fn new(stream: Stream, ahead: Bytes, slot: Slot, quiet_max: Duration) -> Self {
        Self { stream, ahead, quiet_max, _slot: slot }
    }

    /// Joins it with the client's side, once that has been told, until both sides have ended,
    /// one has broken off, or both were quiet for too long.
    pub(crate) async fn run(self, upgrade: Upgrade, open: &OpenTunnels) {
        let Self { stream, ahead, quiet_max, _slot } = self;
        let Ok(client) = upgrade.await else { return };
        let _open = open.another();
        let moved = LastMoved { start: Instant::now(), millis: AtomicU64::new(0) };
        let (from_client, to_client) = tokio::io::split(client);
        let (from_server, to_server) = tokio::io::split(stream);
        let both = async {
            tokio::try_join!(
                copy(from_client, to_server, &moved),
                copy(io::Cursor::new(ahead).chain(from_server), to_client, &moved)
            )
        };
        tokio::select! {
            _ = both => {}
            () = moved.quiet_for(quiet_max) => {}
        }
    }
}

/// Moves what one side sends to the other, and its end.
async fn copy(from: impl AsyncRead, to: impl AsyncWrite, moved: &LastMoved) -> io::Result<()> {
    let (mut from, mut to) = (pin!(from), pin!(to));
    let mut piece = vec![0; PIECE];
    loop {
        let count = from.read(&mut piece).await?;
        moved.now();
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..count]).await?;
        to.flush().await?;
        moved.now();
    }
}

impl OpenTunnels {
    /// How many there are at this moment.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn another(&self) -> Open<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LastMoved {
    fn now(&self) {
        let millis = self.start.elapsed().as_millis();
        self.millis.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Comes back when nothing has moved for so long.
    async fn quiet_for(&self, span: Duration) {
        loop {
            let last = Duration::from_millis(self.millis.load(Ordering::Relaxed));
            let end = self.start + last + span;
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}
