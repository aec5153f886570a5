//! Bodies on their way through: whole ones from memory, passing ones from a peer, and passing
//! ones that are recorded to be stored or compressed on their way.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::coder::Follower;
use crate::compressing::Compressing;

/// The body of a request or an answer.
#[derive(Debug)]
pub enum Body {
    /// Known as a whole; `None` once it is sent.
    Whole(Option<Bytes>),
    /// Passed on as it comes.
    Passing(Incoming),
    /// Passed on as it comes, and recorded.
    Recorded(Recorder),
    /// Compressed as it comes.
    Compressing(Box<Compressing>),
    /// A stored one that is being compressed.
    Following(Follower),
}

/// Why a body broke off.
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// Its sender broke off.
    Peer(hyper::Error),
    /// It could not be compressed.
    Encoder(std::io::Error),
    /// Whoever compressed it is gone.
    Abandoned,
}

/// Records a body while it passes, and hands it over when it ends as it should. A body that
/// breaks off, or grows over the limit, is passed on all the same but never handed over.
pub struct Recorder {
    /// What goes before, where a stored begin is completed.
    begin: Bytes,
    incoming: Incoming,
    recorded: BytesMut,
    limit: usize,
    hand_over: Option<HandOver>,
}

/// Takes the whole body.
pub type HandOver = Box<dyn FnOnce(Bytes) + Send + Sync>;

impl Body {
    /// A body without content.
    pub const fn empty() -> Self {
        Self::Whole(None)
    }

    /// A body passed on as it comes.
    pub fn passing(incoming: Incoming) -> Self {
        match incoming.is_end_stream() {
            true => Self::empty(),
            false => Self::Passing(incoming),
        }
    }

    /// Reads to the end what is recorded on the way, for the record alone.
    pub async fn drain(self) {
        match self {
            Self::Recorded(recorder) => recorder.drain().await,
            Self::Compressing(compressing) => compressing.drain().await,
            Self::Whole(_) | Self::Passing(_) | Self::Following(_) => {}
        }
    }

    /// A body known as a whole.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()).filter(|bytes: &Bytes| !bytes.is_empty()))
    }
}

impl Recorder {
    /// Records `begin` and then `incoming`, up to `limit` bytes in all. A body that announces
    /// more is not recorded.
    pub fn new(begin: Bytes, incoming: Incoming, limit: usize, hand_over: HandOver) -> Self {
        let announced = incoming.size_hint().exact().and_then(|size| usize::try_from(size).ok());
        let announced = announced.map(|size| size.saturating_add(begin.len()));
        let recorded = BytesMut::from(&*begin);
        let mut recorder = Self { begin, incoming, recorded, limit, hand_over: Some(hand_over) };
        match announced {
            Some(size) if size > limit => recorder.give_up(),
            Some(size) => recorder.recorded.reserve(size - recorder.recorded.len()),
            None => {}
        }
        // A body without content may never be polled.
        if recorder.incoming.is_end_stream() {
            recorder.finish();
        }
        recorder
    }

    /// Passes `begin` and then `incoming` on without recording them.
    pub fn unrecorded(begin: Bytes, incoming: Incoming) -> Self {
        Self { begin, incoming, recorded: BytesMut::new(), limit: 0, hand_over: None }
    }

    /// Reads to the end for the record alone.
    pub async fn drain(mut self) {
        while self.hand_over.is_some() {
            match self.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    fn record(&mut self, data: &Bytes) {
        if self.hand_over.is_none() {
            return;
        }
        match self.recorded.len() + data.len() <= self.limit {
            true => self.recorded.extend_from_slice(data),
            false => self.give_up(),
        }
    }

    fn give_up(&mut self) {
        self.hand_over = None;
        self.recorded = BytesMut::new();
    }

    fn finish(&mut self) {
        if let Some(hand_over) = self.hand_over.take() {
            hand_over(std::mem::take(&mut self.recorded).freeze());
        }
    }
}

impl HttpBody for Recorder {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if !self.begin.is_empty() {
            let begin = std::mem::take(&mut self.begin);
            return Poll::Ready(Some(Ok(Frame::data(begin))));
        }
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.record(data);
                }
                // Whoever knows the length may not ask for the end.
                if self.incoming.is_end_stream() {
                    self.finish();
                }
            }
            Some(Err(_)) => self.give_up(),
            None => self.finish(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.begin.is_empty() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.incoming.size_hint();
        match rest.exact() {
            Some(size) => SizeHint::with_exact(size + self.begin.len() as u64),
            None => rest,
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match self.get_mut() {
            Self::Whole(bytes) => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
            Self::Passing(incoming) => Pin::new(incoming).poll_frame(context),
            Self::Recorded(recorder) => Pin::new(recorder).poll_frame(context),
            Self::Compressing(compressing) => return Pin::new(compressing).poll_frame(context),
            Self::Following(follower) => return Pin::new(follower).poll_frame(context),
        };
        frame.map(|frame| frame.map(|frame| frame.map_err(BodyError::Peer)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Passing(incoming) => incoming.is_end_stream(),
            Self::Recorded(recorder) => recorder.is_end_stream(),
            Self::Compressing(compressing) => compressing.is_end_stream(),
            Self::Following(follower) => follower.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Self::Passing(incoming) => incoming.size_hint(),
            Self::Recorded(recorder) => recorder.size_hint(),
            Self::Compressing(_) | Self::Following(_) => SizeHint::default(),
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("recorded", &self.recorded.len()).finish_non_exhaustive()
    }
}

impl From<std::io::Error> for BodyError {
    fn from(error: std::io::Error) -> Self {
        Self::Encoder(error)
    }
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Peer(error) => write!(f, "its sender broke off: {error}"),
            Self::Encoder(error) => write!(f, "it cannot be compressed: {error}"),
            Self::Abandoned => f.write_str("whoever compressed it is gone"),
        }
    }
}

impl std::error::Error for BodyError {}
