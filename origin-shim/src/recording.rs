//! Bodies that are recorded while they pass.
//!
//! The client that a body is for reads it at its own pace. Whoever waits for the record fetches
//! more of it meanwhile, so that nobody waits for a client that reads slowly, or has left. What
//! the client has not read yet waits in memory: no more than may be stored at all.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::body::BodyError;
use crate::origin::AnswerBody;

/// Takes the whole body, or hears why there is none.
pub type HandOver = Box<dyn FnOnce(Result<Bytes, NotWhole>) + Send + Sync>;

/// Why a body was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWhole {
    /// It is longer than what is stored.
    TooLong,
    /// It broke off.
    Broken,
}

/// A body on its way to its client, recorded, and handed over when it ends as it should. A body
/// that breaks off, or grows over the limit, is passed on all the same.
#[derive(Debug)]
pub struct Recorder {
    recording: Arc<Recording>,
    /// Bytes that are still to come, where that is known.
    left: Option<u64>,
    is_over: bool,
}

/// The record of a body, and where the rest of it comes from.
pub struct Recording {
    state: Mutex<State>,
    /// Who waits for more. A lock of its own, since upstream may wake in the middle of being
    /// asked for more.
    waiting: Mutex<Vec<Waker>>,
}

struct State {
    /// `None` once nothing more comes, or nobody wants it.
    incoming: Option<AnswerBody>,
    /// All that came while it is recorded; else what the client has not read.
    pieces: VecDeque<Bytes>,
    /// Where among them the client goes on.
    next: usize,
    recorded: usize,
    limit: usize,
    hand_over: Option<HandOver>,
    trailers: Option<HeaderMap>,
    error: Option<BodyError>,
    /// The client is there.
    is_read: bool,
    /// So many others wait for the record.
    fetching: usize,
}

/// Somebody who waits for the record.
struct Fetching<'a>(&'a Arc<Recording>);

impl Recorder {
    /// Records `begin` and then `incoming`, up to `limit` bytes in all. A body that announces
    /// more is not recorded.
    pub fn new(begin: Bytes, incoming: AnswerBody, limit: usize, hand_over: HandOver) -> Self {
        Self::with(begin, incoming, limit, Some(hand_over))
    }

    /// Passes `begin` and then `incoming` on without recording them.
    pub fn unrecorded(begin: Bytes, incoming: AnswerBody) -> Self {
        Self::with(begin, incoming, 0, None)
    }

    fn with(begin: Bytes, incoming: AnswerBody, limit: usize, hand_over: Option<HandOver>) -> Self {
        let left = incoming.size_hint().exact().map(|size| size + begin.len() as u64);
        let mut state = State {
            incoming: Some(incoming),
            pieces: VecDeque::new(),
            next: 0,
            recorded: 0,
            limit,
            hand_over,
            trailers: None,
            error: None,
            is_read: true,
            fetching: 0,
        };
        let is_too_long = |size| usize::try_from(size).map_or(true, |size: usize| size > limit);
        if left.is_some_and(is_too_long) {
            state.give_up(NotWhole::TooLong);
        }
        state.push(begin);
        // A body without content may never be polled.
        state.finish_at_the_end();
        let is_over = state.is_over();
        let recording = Recording { state: Mutex::new(state), waiting: Mutex::default() };
        Self { recording: Arc::new(recording), left, is_over }
    }

    /// What others wait for.
    pub fn recording(&self) -> &Arc<Recording> {
        &self.recording
    }

    /// Reads to the end for the record alone.
    pub async fn drain(mut self) {
        while self.recording.state().hand_over.is_some() {
            match self.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    }
}

impl Recording {
    /// Fetches what is to come until it is recorded, or clear that it will not be.
    pub async fn fetch(self: Arc<Self>) {
        self.state().fetching += 1;
        let fetching = Fetching(&self);
        std::future::poll_fn(|context| fetching.0.poll_record(context)).await;
    }

    fn poll_record(self: &Arc<Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut state = self.state();
            if state.hand_over.is_none() {
                return Poll::Ready(());
            }
            if self.poll_more(&mut state, context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Waits for more, on behalf of all who do.
    fn poll_more(self: &Arc<Self>, state: &mut State, context: &mut Context<'_>) -> Poll<()> {
        {
            let mut waiting = self.waiting();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
        }
        let waker = Waker::from(Arc::clone(self));
        let polled = state.poll_incoming(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            // What one has fetched others may wait for.
            let others = std::mem::take(&mut *self.waiting()).into_iter();
            others.filter(|other| !other.will_wake(context.waker())).for_each(Waker::wake);
        }
        polled
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under this lock is one of the body's sender, which then sends no more.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(()) };
        let polled = Pin::new(incoming).poll_frame(context);
        let Poll::Ready(frame) = polled else { return Poll::Pending };
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    self.push(data);
                    // Whoever knows the length may not ask for the end.
                    self.finish_at_the_end();
                }
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok();
                    // Whoever has them does not ask for the end either.
                    self.finish();
                }
            },
            Some(Err(error)) => {
                self.error = Some(error);
                self.incoming = None;
                self.give_up(NotWhole::Broken);
            }
            None => self.finish(),
        }
        Poll::Ready(())
    }

    fn push(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        self.recorded += data.len();
        self.pieces.push_back(data);
        if self.recorded > self.limit {
            self.give_up(NotWhole::TooLong);
        }
    }

    fn finish_at_the_end(&mut self) {
        if self.incoming.as_ref().is_some_and(HttpBody::is_end_stream) {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.incoming = None;
        if let Some(hand_over) = self.hand_over.take() {
            let mut whole = Vec::with_capacity(self.recorded);
            self.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
            hand_over(Ok(whole.into()));
        }
        self.forget_what_is_read();
    }

    fn give_up(&mut self, why: NotWhole) {
        if let Some(hand_over) = self.hand_over.take() {
            hand_over(Err(why));
        }
        self.forget_what_is_read();
    }

    /// What is not recorded is kept for the client alone.
    fn forget_what_is_read(&mut self) {
        let read = if self.is_read { self.next } else { self.pieces.len() };
        self.pieces.drain(..read);
        self.next = 0;
        if !self.is_read {
            self.incoming = None;
        }
    }

    /// What comes next for the client, if it is there.
    fn read(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        if self.hand_over.is_none() {
            self.next = 0;
            if let Some(piece) = self.pieces.pop_front() {
                return Some(Ok(Frame::data(piece)));
            }
        } else if let Some(piece) = self.pieces.get(self.next) {
            self.next += 1;
            return Some(Ok(Frame::data(piece.clone())));
        }
        if let Some(trailers) = self.trailers.take() {
            return Some(Ok(Frame::trailers(trailers)));
        }
        self.error.take().map(Err)
    }

    /// Whether nothing is left for the client.
    fn is_over(&self) -> bool {
        self.incoming.is_none()
            && self.next >= self.pieces.len()
            && self.trailers.is_none()
            && self.error.is_none()
    }

    /// Leaves a body that neither its client nor anybody else wants.
    fn abandon_unless_wanted(&mut self) {
        if !self.is_read && self.fetching == 0 {
            self.incoming = None;
            self.hand_over = None;
            self.pieces.clear();
        }
    }
}

impl HttpBody for Recorder {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        let mut state = this.recording.state();
        loop {
            if let Some(frame) = state.read() {
                this.is_over = state.is_over() || frame.is_err();
                let read = frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
                this.left = this.left.map(|left| left.saturating_sub(read as u64));
                return Poll::Ready(Some(frame));
            }
            if state.incoming.is_none() {
                this.is_over = true;
                return Poll::Ready(None);
            }
            if this.recording.poll_more(&mut state, context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let mut state = self.recording.state();
        state.is_read = false;
        if state.hand_over.is_none() {
            state.forget_what_is_read();
        }
        state.abandon_unless_wanted();
    }
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.fetching -= 1;
        state.abandon_unless_wanted();
    }
}

impl Wake for Recording {
    fn wake(self: Arc<Self>) {
        let waiting = std::mem::take(&mut *self.waiting());
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").finish_non_exhaustive()
    }
}
