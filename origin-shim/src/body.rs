//! Bodies on their way through: whole ones from memory, passing ones from a peer, and passing
//! ones that are recorded to be stored or compressed on their way.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::coder::Follower;
use crate::compressing::Compressing;
use crate::http1::{Broken, Upload};
use crate::limited::Limited;
use crate::origin::{AnswerBody, ServiceBody, ServiceError};
use crate::overlay::Overlay;
use crate::recording::Recorder;
use crate::upstream::Unfit;

/// The body of a request or an answer.
#[derive(Debug)]
pub enum Body {
    /// Known as a whole; `None` once it is sent.
    Whole(Option<Bytes>),
    /// Out of memory, with the head that goes with it.
    Stored(Overlay),
    /// A client's, over HTTP/1.1.
    Upload(Upload),
    /// A client's, over HTTP/2.
    Passing(Incoming),
    /// A client's, of a length that nobody knows yet, up to a limit.
    Limited(Box<Limited>),
    /// A client's, as the server around the service has read it.
    OfHost(Box<ServiceBody>),
    /// That of an answer, passed on as it comes.
    Answer(AnswerBody),
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
    /// The client broke off.
    Client(Broken),
    /// Its sender broke off.
    Peer(hyper::Error),
    /// What an upstream sent is no body, or not all of it.
    Upstream(Unfit),
    /// A file cannot be read, or has become shorter.
    File(std::io::Error),
    /// The service in this process, or its client, broke off.
    Service(ServiceError),
    /// It has another length than it said.
    Length,
    /// It is longer than what is taken.
    TooLarge,
    /// It could not be compressed.
    Encoder(std::io::Error),
    /// Whoever compressed it is gone.
    Abandoned,
}

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

    /// The same up to so many bytes.
    ///
    /// # Errors
    /// If it is known to be longer.
    pub fn limited(self, most: u64) -> Result<Self, BodyError> {
        match self.size_hint().exact() {
            Some(length) if length > most => Err(BodyError::TooLarge),
            // Whoever frames it sees to its length.
            Some(_) => Ok(self),
            None => Ok(Self::Limited(Box::new(Limited::new(self, most)))),
        }
    }

    /// A body that the server around a service has read.
    pub fn of_host<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<ServiceError>,
    {
        match body.is_end_stream() {
            true => Self::empty(),
            false => Self::OfHost(Box::new(ServiceBody::new(body))),
        }
    }

    /// Reads to the end what is recorded on the way, for the record alone.
    pub async fn drain(self) {
        match self {
            Self::Recorded(recorder) => recorder.drain().await,
            Self::Compressing(compressing) => compressing.drain().await,
            Self::Whole(_)
            | Self::Stored(_)
            | Self::Upload(_)
            | Self::Passing(_)
            | Self::Limited(_)
            | Self::OfHost(_)
            | Self::Answer(_)
            | Self::Following(_) => {}
        }
    }

    /// The head that goes with a stored one.
    pub(crate) fn overlay(&mut self) -> Option<&mut Overlay> {
        match self {
            Self::Stored(overlay) => Some(overlay),
            _ => None,
        }
    }

    /// A body known as a whole.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()).filter(|bytes: &Bytes| !bytes.is_empty()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Passing(incoming) => {
                let frame = Pin::new(incoming).poll_frame(context);
                frame.map(|frame| frame.map(|frame| frame.map_err(BodyError::Peer)))
            }
            Self::Stored(overlay) => {
                let body = overlay.take_body();
                Poll::Ready((!body.is_empty()).then(|| Ok(Frame::data(body))))
            }
            Self::Upload(upload) => Pin::new(upload).poll_frame(context).map_err(BodyError::Client),
            Self::Limited(limited) => Pin::new(&mut **limited).poll_frame(context),
            Self::OfHost(body) => Pin::new(&mut **body).poll_frame(context),
            Self::Answer(answer) => Pin::new(answer).poll_frame(context),
            Self::Recorded(recorder) => Pin::new(recorder).poll_frame(context),
            Self::Compressing(compressing) => Pin::new(compressing).poll_frame(context),
            Self::Following(follower) => Pin::new(follower).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stored(overlay) => overlay.body().is_empty(),
            Self::Upload(upload) => upload.is_end_stream(),
            Self::Passing(incoming) => incoming.is_end_stream(),
            Self::Limited(limited) => limited.is_end_stream(),
            Self::OfHost(body) => body.is_end_stream(),
            Self::Answer(answer) => answer.is_end_stream(),
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
            Self::Stored(overlay) => SizeHint::with_exact(overlay.body().len() as u64),
            Self::Upload(upload) => upload.size_hint(),
            Self::Passing(incoming) => incoming.size_hint(),
            Self::Limited(limited) => limited.size_hint(),
            Self::OfHost(body) => body.size_hint(),
            Self::Answer(answer) => answer.size_hint(),
            Self::Recorded(recorder) => recorder.size_hint(),
            Self::Compressing(_) | Self::Following(_) => SizeHint::default(),
        }
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
            Self::Client(broken) => broken.fmt(f),
            Self::Peer(error) => write!(f, "its sender broke off: {error}"),
            Self::Upstream(unfit) => unfit.fmt(f),
            Self::File(error) => write!(f, "the file cannot be read: {error}"),
            Self::Service(error) => write!(f, "its sender broke off: {error}"),
            Self::Length => f.write_str("it has another length than it said"),
            Self::TooLarge => f.write_str("it is too large"),
            Self::Encoder(error) => write!(f, "it cannot be compressed: {error}"),
            Self::Abandoned => f.write_str("whoever compressed it is gone"),
        }
    }
}

impl std::error::Error for BodyError {}
