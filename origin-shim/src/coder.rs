//! Stored bodies in the codings that clients have asked for: each is made once, and kept beside
//! the body it was made of.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tidegate_core::CacheKey;
use tidegate_core::compress::Coding;

use crate::answer_store::AnswerStore;
use crate::body::{Body, BodyError};
use crate::encoder::{Encoder, PIECE};

/// The codings of one body that have been made so far.
#[derive(Clone, Debug, Default)]
pub struct CodedBodies([Option<Bytes>; Coding::ALL.len()]);

/// Makes the codings of one stored body, each once at a time, and puts them beside it. All
/// answers that have this body share it: a 304 gives a body a new head.
#[derive(Debug)]
pub struct Coder {
    key: CacheKey,
    making: Mutex<[Option<Arc<Growing>>; Coding::ALL.len()]>,
}

/// A coded body that is being made.
#[derive(Debug, Default)]
struct Growing(Mutex<Growth>);

#[derive(Debug, Default)]
struct Growth {
    pieces: Vec<Bytes>,
    end: Option<End>,
    /// Who waits for more.
    waiting: Vec<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// Whoever made it is gone.
    Abandoned,
}

/// A body that follows one that is being made, from its begin.
#[derive(Debug)]
pub struct Follower {
    growing: Arc<Growing>,
    next: usize,
}

impl CodedBodies {
    /// The body in `coding`, if it has been made.
    pub fn get(&self, coding: Coding) -> Option<&Bytes> {
        self.0[coding as usize].as_ref()
    }

    /// The same with another one.
    #[must_use]
    pub fn with(mut self, coding: Coding, body: Bytes) -> Self {
        self.0[coding as usize] = Some(body);
        self
    }

    /// Their bytes together.
    pub fn len(&self) -> usize {
        self.0.iter().flatten().map(Bytes::len).sum()
    }

    /// Whether none has been made, or all are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Coder {
    /// Makes the codings of a body that is stored, or will be, under `key`.
    pub fn new(key: CacheKey) -> Arc<Self> {
        Arc::new(Self { key, making: Mutex::default() })
    }

    /// `body`, which `store` has, in `coding`. A short one is made on the spot; the making of a long one leaves the
    /// thread to others after every piece, and whoever asks meanwhile gets what is there and
    /// follows.
    pub fn make(
        self: &Arc<Self>,
        store: &Arc<AnswerStore>,
        body: &Bytes,
        coding: Coding,
        level: u32,
    ) -> io::Result<Body> {
        if body.len() <= PIECE {
            let mut encoder = Encoder::new(coding, level)?;
            encoder.write(body)?;
            let coded = encoder.finish()?;
            self.keep(store, coding, coded.clone());
            return Ok(Body::whole(coded));
        }
        let mut making = self.making();
        let slot = &mut making[coding as usize];
        if let Some(growing) = slot {
            return Ok(Body::Following(Follower { growing: Arc::clone(growing), next: 0 }));
        }
        let encoder = Encoder::new(coding, level)?;
        let growing = Arc::<Growing>::default();
        *slot = Some(Arc::clone(&growing));
        let follower = Follower { growing: Arc::clone(&growing), next: 0 };
        let (coder, store) = (Arc::clone(self), Arc::clone(store));
        let job = Job { coder, store, growing, coding };
        tokio::spawn(job.run(encoder, body.clone()));
        Ok(Body::Following(follower))
    }

    /// Puts a coded body beside the one it was made of, where that is still stored.
    pub(crate) fn keep(self: &Arc<Self>, store: &AnswerStore, coding: Coding, coded: Bytes) {
        store.attach(&self.key, self, coding, coded);
    }

    fn making(&self) -> MutexGuard<'_, [Option<Arc<Growing>>; Coding::ALL.len()]> {
        // Nothing that could panic runs under this lock.
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The making of one coded body. However it ends, who follows is told.
struct Job {
    coder: Arc<Coder>,
    store: Arc<AnswerStore>,
    growing: Arc<Growing>,
    coding: Coding,
}

impl Job {
    async fn run(self, mut encoder: Encoder, body: Bytes) {
        for piece in body.chunks(PIECE) {
            if encoder.write(piece).is_err() {
                return;
            }
            self.growing.push(encoder.take());
            tokio::task::yield_now().await;
        }
        let Ok(rest) = encoder.finish() else { return };
        self.growing.push(rest);
        let whole = self.growing.lock().pieces.concat();
        self.coder.keep(&self.store, self.coding, whole.into());
        self.growing.end(End::Whole);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.growing.end(End::Abandoned);
        self.coder.making()[self.coding as usize] = None;
    }
}

impl Growing {
    fn lock(&self) -> MutexGuard<'_, Growth> {
        // Nothing that could panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let waiting = {
            let mut growth = self.lock();
            growth.pieces.push(piece);
            std::mem::take(&mut growth.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Ends it; the first end counts.
    fn end(&self, end: End) {
        let waiting = {
            let mut growth = self.lock();
            growth.end.get_or_insert(end);
            std::mem::take(&mut growth.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl HttpBody for Follower {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let mut growth = this.growing.lock();
        if let Some(piece) = growth.pieces.get(this.next) {
            this.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(piece.clone()))));
        }
        match growth.end {
            Some(End::Whole) => Poll::Ready(None),
            Some(End::Abandoned) => Poll::Ready(Some(Err(BodyError::Abandoned))),
            None => {
                growth.waiting.push(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer_store::Bounds;
    use http_body_util::BodyExt;
    use tidegate_core::key::KeyRule;
    use tidegate_core::{Host, Identity, Method, Request, Scheme, Target};

    fn key() -> CacheKey {
        let host = Host::parse("h", Scheme::Http).unwrap();
        let target = Target::parse("/").unwrap();
        let fields = http::HeaderMap::new();
        let request = Request::read(Method::Get, Scheme::Http, &host, &target, &fields);
        CacheKey::of(&KeyRule::default(), &request, &Identity::Anonymous)
    }

    fn store() -> Arc<AnswerStore> {
        let bounds = Bounds { bytes: 1 << 20, answers: None, object: 1 << 20 };
        Arc::new(AnswerStore::new(bounds, Arc::default()))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    const LONG: &[u8] = &[b'x'; 5 * PIECE];

    /// The begin of what a follower gets; clones of one piece are the same bytes in memory.
    async fn first_piece(body: &mut Body) -> *const u8 {
        body.frame().await.unwrap().unwrap().into_data().unwrap().as_ptr()
    }

    #[test]
    fn p3_who_asks_while_a_coding_is_being_made_follows_it() {
        runtime().block_on(async {
            let (coder, store, body) = (Coder::new(key()), store(), Bytes::from_static(LONG));
            let make = || coder.make(&store, &body, Coding::Gzip, 6).unwrap();
            let (mut one, mut two) = (make(), make());
            assert_eq!(first_piece(&mut one).await, first_piece(&mut two).await);
            let rest = |body: Body| async { body.collect().await.unwrap().to_bytes() };
            let rest_of_one = rest(one).await;
            assert_eq!(rest_of_one, rest(two).await);
            tokio::task::yield_now().await;
            assert!(coder.making().iter().all(Option::is_none), "nothing is left of it");
            // Another coding is another making.
            assert_ne!(rest(coder.make(&store, &body, Coding::Br, 5).unwrap()).await, rest_of_one);
        });
    }

    #[test]
    fn whoever_follows_a_making_that_ends_early_is_told() {
        let (coder, store, body) = (Coder::new(key()), store(), Bytes::from_static(LONG));
        let runtime_that_ends = runtime();
        let follower = runtime_that_ends
            .block_on(async { coder.make(&store, &body, Coding::Zstd, 3).unwrap() });
        drop(runtime_that_ends);
        runtime().block_on(async {
            let error = follower.collect().await.unwrap_err();
            assert!(matches!(error, BodyError::Abandoned), "{error}");
            let again = coder.make(&store, &body, Coding::Zstd, 3).unwrap();
            assert!(again.collect().await.is_ok(), "it begins anew");
        });
    }

    #[test]
    fn a_short_body_is_made_on_the_spot() {
        let (coder, store) = (Coder::new(key()), store());
        let body = Bytes::from_static(&LONG[..PIECE]);
        let made = coder.make(&store, &body, Coding::Gzip, 6).unwrap();
        assert!(matches!(made, Body::Whole(Some(coded)) if coded.len() < 200));
    }
}
