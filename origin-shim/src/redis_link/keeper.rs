//! Keeps the connection: a thread that connects, looks after the server when requests have
//! failed, and says what has changed, once.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use redis::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::breaker::probes;
use super::digest::Digest;
use super::failure::Failure;
use super::link::Link;
use super::{Inner, PATIENCE, Purpose};
use crate::process_log;

/// Between two looks at a server that does not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// A connection that fails sooner than this is not made again at once.
const CALM: Duration = Duration::from_secs(5);

/// Starts the thread, which lives until it is told to stop.
pub(super) fn start<P: Purpose>(inner: Arc<Inner<P>>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let keep = move || {
        let mut stopped = inner.stop.subscribe();
        let mut keeper = Keeper::new(&inner);
        runtime.block_on(async {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => {}
                () = keeper.keep() => {}
            }
        });
        // Whoever still asks gets an answer, and it is no.
        inner.link.store(None);
    };
    thread::Builder::new().name("tidegate-redis".into()).spawn(keep).map(drop)
}

struct Keeper<'i, P> {
    inner: &'i Arc<Inner<P>>,
    probes: Vec<Digest>,
    outage: Option<Outage>,
    warned_of: Option<String>,
}

/// A time without Redis.
struct Outage {
    since: Instant,
    /// Questions without an answer before.
    missed: u64,
}

impl<'i, P: Purpose> Keeper<'i, P> {
    fn new(inner: &'i Arc<Inner<P>>) -> Self {
        let probes = match inner.address.is_cluster() {
            true => probes(),
            false => vec![Digest::from_number(0)],
        };
        Self { inner, probes, outage: None, warned_of: None }
    }

    async fn keep(&mut self) {
        loop {
            let looked = self.look().await;
            let is_well = looked.is_ok();
            self.tell(looked);
            self.inner.tried.send_replace(true);
            if !is_well {
                sleep(PAUSE).await;
                continue;
            }
            let since = Instant::now();
            while !self.inner.is_to_look() {
                self.inner.look.notified().await;
            }
            if let Some(failure) = self.inner.breakers.why() {
                self.tell(Err(failure));
            }
            if since.elapsed() < CALM {
                sleep(PAUSE).await;
            }
        }
    }

    /// Connects where that is needed, and closes the breakers of what answers.
    async fn look(&mut self) -> Result<(), Failure> {
        let inner = self.inner;
        let before = inner.link.load_full();
        let connect = Link::connect(&inner.address, before.as_deref());
        // Sentinels, and the nodes of a cluster, are asked first.
        let link = timeout(PATIENCE * 3, connect).await;
        let link = Arc::new(link.map_err(|_| Failure::TimedOut(PATIENCE * 3))??);
        self.warn_of_eviction(&link).await;
        inner.link.store(Some(Arc::clone(&link)));
        let mut looks = JoinSet::new();
        for at in inner.breakers.which_open() {
            let (inner, link, digest) = (Arc::clone(inner), Arc::clone(&link), self.probes[at]);
            looks.spawn(async move { (at, probe(&inner, &link, digest).await) });
        }
        let mut failures = Vec::new();
        while let Some(look) = looks.join_next().await {
            match look {
                Ok((at, Ok(()))) => inner.breakers.close(at),
                Ok((_, Err(failure))) => failures.push(failure),
                // It was not cancelled, so it panicked: then nobody knows.
                Err(_) => failures.push(Failure::Nonsense),
            }
        }
        let all = inner.breakers.len();
        match failures.pop() {
            None => Ok(()),
            Some(_) if failures.len() + 1 < all => Err(Failure::Part(failures.len() + 1, all)),
            Some(failure) => Err(failure),
        }
    }

    /// Says what has changed.
    fn tell(&mut self, looked: Result<(), Failure>) {
        match (looked, &self.outage) {
            (Err(failure), None) => {
                let (name, without) = (P::NAME, P::WITHOUT);
                process_log::warning(
                    format_args!("{name} {failure}; until that is over, {without}"),
                    &[("store", &name)],
                );
                let missed = self.inner.missed();
                self.outage = Some(Outage { since: Instant::now(), missed });
            }
            (Ok(()), Some(Outage { since, missed })) => {
                let (seconds, missed) =
                    (since.elapsed().as_secs_f32(), self.inner.missed() - missed);
                let (name, what) = (P::NAME, P::MISSED);
                process_log::info(
                    format_args!(
                        "{name} does its work again after {seconds:.1} s; {missed} {what} without it"
                    ),
                    &[("store", &name)],
                );
                self.outage = None;
            }
            _ => {}
        }
    }

    /// R8: a server that evicts drops blocks. Every key here has an expiry, so `volatile-…` drops
    /// them as well. Where INFO is forbidden nothing is known.
    async fn warn_of_eviction(&mut self, link: &Link) {
        let Some(loss) = P::EVICTION else { return };
        let mut info = redis::cmd("INFO");
        info.arg("memory");
        let Ok(answers) = timeout(PATIENCE, link.ask_all(&info)).await else { return };
        let evicts = answers.iter().filter_map(text).find_map(|info| evicting_policy(&info));
        if let Some(policy) = evicts.as_ref().filter(|_| evicts != self.warned_of) {
            process_log::warning(
                format_args!(
                    "warning: Redis drops keys when its memory is full (maxmemory-policy \
                     {policy}), and {loss}; set `maxmemory-policy noeviction`"
                ),
                &[("maxmemory-policy", policy)],
            );
        }
        self.warned_of = evicts;
    }
}

/// Whether Redis does what it is for, within a time.
async fn probe<P: Purpose>(inner: &Inner<P>, link: &Link, digest: Digest) -> Result<(), Failure> {
    match timeout(PATIENCE, inner.purpose.probe(link, digest)).await {
        Ok(probed) => probed,
        Err(_) => Err(Failure::TimedOut(PATIENCE)),
    }
}

/// The policy by which a server evicts, if it does.
fn evicting_policy(info: &str) -> Option<String> {
    let field = |name| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let (memory, policy) = (field("maxmemory")?, field("maxmemory_policy")?);
    (memory.trim() != "0" && policy.trim() != "noeviction").then(|| policy.trim().into())
}

fn text(answer: &Value) -> Option<Cow<'_, str>> {
    match answer {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes)),
        Value::VerbatimString { text, .. } => Some(text.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_a_server_evicts_that_has_a_bound_and_may_drop_keys() {
        let of = |memory, policy| {
            let info = format!("# Memory\r\nmaxmemory:{memory}\r\nmaxmemory_policy:{policy}\r\n");
            evicting_policy(&info)
        };
        assert_eq!(of("1000", "allkeys-lru").as_deref(), Some("allkeys-lru"));
        assert_eq!(of("1000", "volatile-ttl").as_deref(), Some("volatile-ttl"));
        assert_eq!(of("1000", "noeviction"), None);
        assert_eq!(of("0", "allkeys-lru"), None);
    }
}
