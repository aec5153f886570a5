//! How many connections are held at once, and what becomes of those beyond.

use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_core::Tier;
use tidegate_core::policy::listen::DEFAULT_CONNECTIONS;
use tidegate_core::respond::Problem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::process_log;

/// Files besides connections: upstreams, Redis, certificates. A quarter of all is left for them.
const OTHERS: u64 = 1024;
/// How many are told at once that there are too many; more are closed without a word.
const TOLD_AT_ONCE: usize = 256;
/// A client has this long to read that, and may send so much meanwhile.
const TELLING: Duration = Duration::from_secs(2);
const READ_WHILE_TELLING: usize = 64 * 1024;
/// The same trouble is told once in this time.
const SILENCE: Duration = Duration::from_secs(10);

/// Counts the connections of all threads. Nothing of a request goes through here.
#[derive(Debug)]
pub struct Capacity {
    most: usize,
    held: AtomicUsize,
    told: AtomicUsize,
    refusal: Vec<u8>,
    complained: Mutex<Option<Instant>>,
}

/// One of the connections that are held; it makes room when dropped.
#[derive(Debug)]
pub(super) struct Held(Arc<Capacity>);

impl Capacity {
    /// Room for what the policy says, and the right to open as many files as that takes, if the
    /// process may give it to itself; if not, there is room for fewer, and a sentence for whoever
    /// asked for more.
    pub(super) fn new(said: Option<NonZeroU32>) -> (Self, Option<String>) {
        let wanted = u64::from(said.map_or(DEFAULT_CONNECTIONS, NonZeroU32::get));
        let files = allow_files(wanted * 2 + OTHERS);
        let possible = files - files / 4;
        let most = wanted.min(possible);
        let complaint = (most < wanted && said.is_some()).then(|| {
            format!(
                "there is room for {most} connections, not for {wanted}: this process may open \
                 {files} files\n= hint: raise its limit (`LimitNOFILE=` in a unit of systemd, \
                 `ulimit -n`), or lower `connections` in `[shim]`"
            )
        });
        (Self::of(usize::try_from(most).unwrap_or(usize::MAX)), complaint)
    }

    fn of(most: usize) -> Self {
        Self {
            most,
            held: AtomicUsize::new(0),
            told: AtomicUsize::new(0),
            refusal: refusal(),
            complained: Mutex::default(),
        }
    }

    /// Connections that are held at this moment.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Connections that can be held at once.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// Room for one more connection, if there is.
    pub(super) fn hold(self: &Arc<Self>) -> Option<Held> {
        let held = Held(Arc::clone(self));
        let before = self.held.fetch_add(1, Ordering::Relaxed);
        (before < self.most).then_some(held)
    }

    /// Tells a client for whom there is no room to come back: 503. It is no loss if it does not
    /// hear that.
    pub(super) async fn refuse(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        if self.told.fetch_add(1, Ordering::Relaxed) < TOLD_AT_ONCE {
            let tell = async {
                stream.write_all(&self.refusal).await?;
                stream.shutdown().await?;
                // To close before the request is read would take the answer away from who sent it.
                let mut read = 0;
                let mut unread = [0; 4096];
                while read < READ_WHILE_TELLING {
                    match stream.read(&mut unread).await? {
                        0 => break,
                        count => read += count,
                    }
                }
                io::Result::Ok(())
            };
            let _ = tokio::time::timeout(TELLING, tell).await;
        }
        self.told.fetch_sub(1, Ordering::Relaxed);
    }

    /// Says what keeps clients out, now and then.
    pub(super) fn complain(&self, trouble: std::fmt::Arguments<'_>) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|then| then.elapsed() >= SILENCE) {
            *complained = Some(Instant::now());
            process_log::warning(trouble, &[]);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets this process open so many files, or as many as it may allow itself. Returns how many
/// those are.
pub fn allow_files(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let enough = current.is_none_or(|current| current >= wanted);
    let raised = maximum.map_or(wanted, |maximum| wanted.min(maximum));
    match enough || setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_err()
    {
        true => current.unwrap_or(u64::MAX),
        false => raised,
    }
}

/// The whole answer, ready to be written.
fn refusal() -> Vec<u8> {
    let problem = Problem::too_many_connections();
    let mut fields = HeaderMap::new();
    problem.fields(&mut fields, Tier::Origin);
    let body = problem.body();
    let mut answer = format!("HTTP/1.1 {} Service Unavailable\r\n", problem.status).into_bytes();
    for (name, value) in &fields {
        answer.extend_from_slice(name.as_str().as_bytes());
        answer.extend_from_slice(b": ");
        answer.extend_from_slice(value.as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    let rest = format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    answer.extend_from_slice(rest.as_bytes());
    answer.extend_from_slice(body.as_bytes());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_again_when_one_goes() {
        let capacity = Arc::new(Capacity::of(2));
        let one = capacity.hold();
        let two = capacity.hold();
        assert!(one.is_some() && two.is_some() && capacity.hold().is_none());
        assert_eq!(capacity.held(), 2, "who is turned away takes no room");
        drop(one);
        assert!(capacity.hold().is_some());
        assert_eq!(capacity.held(), 1);
    }

    #[test]
    fn p8_ten_thousand_connections_fit_where_the_system_lets_them() {
        let files = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let (capacity, complaint) = Capacity::new(None);
        assert_eq!(complaint, None, "what nobody asked for is nothing to complain of");
        let expected = (files - files / 4).min(u64::from(DEFAULT_CONNECTIONS));
        assert!(capacity.most() as u64 >= expected, "{} of {files}", capacity.most());
    }

    #[test]
    fn who_asks_for_more_than_can_be_is_told() {
        let (capacity, complaint) = Capacity::new(NonZeroU32::new(u32::MAX));
        if let Some(files) = getrlimit(Resource::Nofile).maximum.filter(|files| *files < 1 << 32) {
            assert_eq!(capacity.most() as u64, files - files / 4);
            assert!(complaint.expect("a complaint").contains("`LimitNOFILE=`"));
        }
    }
}
