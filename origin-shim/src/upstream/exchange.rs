//! One request and its answer over a connection. All of it happens in the task of whoever asks:
//! no other has to be woken.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tidegate_core::policy::upstream::Timeouts;
use tokio::io::AsyncReadExt;

use super::connect::Stream;
use super::group::Slot;
use super::head::{self, Head, Told};
use super::pool::Pool;
use super::sending::Sending;
use super::timer::Timer;
use super::tunnel::Tunnel;
use super::{Question, Unfit};
use crate::body::{Body, BodyError};
use crate::http1::chunked::{ChunkedDecoder, Decoded};
use crate::http1::framing::Framing;
use crate::http1::head::HeadEnd;

/// A head, and the begin of a body, mostly fit into this.
const FIRST_READ: usize = 8 * 1024;
/// What is read at a time of a body that comes quickly.
const READ_MAX: usize = 64 * 1024;
/// Pieces up to this size are copied rather than hold a whole buffer.
const COPIED: usize = 4 * 1024;

/// A connection, with the room that its messages take.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    /// What has been read and not looked at.
    buffer: BytesMut,
    /// Room for heads to be written.
    room: BytesMut,
    timer: Timer,
}

/// A request that is being sent and answered.
#[derive(Debug)]
pub(super) struct Exchange {
    connection: Connection,
    sending: Sending,
    timeouts: Timeouts,
    /// A head came, if only an interim one.
    is_answered: bool,
}

/// Why no head of an answer came.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection broke before a byte of it came.
    Closed,
    /// The connection broke within it, or it is no HTTP.
    Broken(Unfit),
    /// None came in time, or the request was not taken in time.
    Silent,
    /// The body of the request broke off.
    Request(BodyError),
}

/// The body of an answer from upstream.
#[derive(Debug)]
pub struct AnswerBody(Inner);

#[derive(Debug)]
enum Inner {
    /// It came with its head.
    Whole(Option<Bytes>),
    /// It is still coming.
    Streaming(Box<Streaming>),
    /// It is no body, but another protocol.
    Tunnel(Box<Tunnel>),
}

#[derive(Debug)]
struct Streaming {
    /// None once the body has ended, or broken off.
    live: Option<(Exchange, Lease)>,
    framing: Framing,
    decoder: ChunkedDecoder,
    /// How much is read at a time.
    read: usize,
    /// Between two pieces; events may be quiet for as long as they like.
    quiet_max: Option<Duration>,
    keeps_alive: bool,
}

/// The place with a server, and where its connection goes afterwards.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) slot: Slot,
    pub(super) pool: Arc<Pool>,
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Self {
        let (buffer, room) = (BytesMut::new(), BytesMut::new());
        Self { stream, buffer, room, timer: Timer::default() }
    }

    /// Reads some more; nothing at the end.
    fn poll_read(&mut self, context: &mut Context<'_>, at_least: usize) -> Poll<io::Result<usize>> {
        self.buffer.reserve(at_least);
        pin!(self.stream.read_buf(&mut self.buffer)).poll(context)
    }
}

impl Exchange {
    /// Begins to ask `question`, whose body is `body`.
    pub(super) fn begin(
        mut connection: Connection,
        question: &Question,
        body: Body,
        timeouts: Timeouts,
    ) -> Self {
        let told = told(&question.method, &body);
        let mut room = std::mem::take(&mut connection.room);
        head::write(&mut room, &question.method, &question.target, &question.head, told);
        let sending = Sending::new(room, body, told);
        Self { connection, sending, timeouts, is_answered: false }
    }

    /// The head of the answer, behind any interim ones.
    pub(super) async fn final_head(&mut self, question: &Question) -> Result<Head, Fault> {
        loop {
            let head = self.head(&question.method).await?;
            match head.status {
                StatusCode::SWITCHING_PROTOCOLS => {
                    // Whoever changes before all was said would take the rest for the other protocol.
                    let is_said = self.sending.is_sent();
                    return match is_said && question.may_change_to(&head.fields) {
                        true => Ok(head),
                        false => Err(Fault::Broken(Unfit::Upgrade)),
                    };
                }
                // Whether to send a body was settled at our door.
                StatusCode::CONTINUE => {}
                status if status.is_informational() => {
                    if let Some(interim) = &question.interim {
                        interim.send(status, &super::end_to_end(&head.fields));
                    }
                }
                _ => return Ok(head),
            }
        }
    }

    /// The next head that comes.
    async fn head(&mut self, asked: &Method) -> Result<Head, Fault> {
        let mut end = HeadEnd::default();
        let head = poll_fn(|context| self.poll_head(context, &mut end, asked)).await?;
        self.is_answered = true;
        Ok(head)
    }

    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        end: &mut HeadEnd,
        asked: &Method,
    ) -> Poll<Result<Head, Fault>> {
        let was_over = self.sending.is_over();
        self.sending.has_moved = false;
        if let Poll::Ready(Err(error)) = self.sending.poll(context, &mut self.connection.stream) {
            return Poll::Ready(Err(Fault::Request(error)));
        }
        let Connection { buffer, timer, .. } = &mut self.connection;
        if self.sending.has_moved || was_over != self.sending.is_over() {
            timer.restart();
        }
        if !buffer.is_empty()
            && let Some(head) = take(buffer, end, asked)?
        {
            return Poll::Ready(Ok(head));
        }
        while let Poll::Ready(read) = self.connection.poll_read(context, FIRST_READ) {
            let buffer = &mut self.connection.buffer;
            match read {
                Ok(0) | Err(_) if buffer.is_empty() && !self.is_answered => {
                    return Poll::Ready(Err(Fault::Closed));
                }
                Ok(0) | Err(_) => return Poll::Ready(Err(Fault::Broken(Unfit::CutOff))),
                Ok(_) => {
                    if let Some(head) = take(buffer, end, asked)? {
                        return Poll::Ready(Ok(head));
                    }
                }
            }
        }
        let span = match (self.sending.is_over(), self.sending.waits_for_body) {
            (true, _) => self.timeouts.head,
            (false, false) => self.timeouts.send,
            // Whoever sends the body has a time-out of its own.
            (false, true) => return Poll::Pending,
        };
        match self.connection.timer.is_over(context, span) {
            true => Poll::Ready(Err(Fault::Silent)),
            false => Poll::Pending,
        }
    }

    /// The answer with this head, whose body follows.
    pub(super) fn answer(mut self, head: Head, lease: Lease) -> Response<AnswerBody> {
        let keeps_alive = head.keeps_alive();
        let Head { status, framing, fields, .. } = head;
        self.connection.timer.restart();
        let body = match framing {
            Framing::Length(length) if length <= self.connection.buffer.len() as u64 => {
                let body = take_bytes(&mut self.connection.buffer, length as usize);
                self.end(keeps_alive, lease);
                Inner::Whole(Some(body).filter(|body| !body.is_empty()))
            }
            framing => {
                let quiet_max = (!is_event_stream(&fields)).then_some(self.timeouts.read);
                Inner::Streaming(Box::new(Streaming {
                    live: Some((self, lease)),
                    framing,
                    decoder: ChunkedDecoder::default(),
                    read: FIRST_READ,
                    quiet_max,
                    keeps_alive,
                }))
            }
        };
        let mut response = Response::new(AnswerBody(body));
        *response.status_mut() = status;
        *response.headers_mut() = fields;
        response
    }

    /// The answer with which both sides leave HTTP.
    pub(super) fn tunnel(self, head: Head, lease: Lease) -> Response<AnswerBody> {
        let Self { connection: Connection { stream, buffer, .. }, timeouts, .. } = self;
        let tunnel = Tunnel::new(stream, buffer.freeze(), lease.slot, timeouts.tunnel);
        let mut response = Response::new(AnswerBody(Inner::Tunnel(Box::new(tunnel))));
        *response.status_mut() = head.status;
        *response.headers_mut() = head.fields;
        response
    }

    /// Gives the connection back, if it is good for another request: all of this one was sent and
    /// will have been understood, all of the answer was read, and nothing else came.
    fn end(self, keeps_alive: bool, lease: Lease) {
        let is_sent = self.sending.is_sent() && !self.sending.has_trailers();
        if keeps_alive && is_sent && self.connection.buffer.is_empty() {
            let room = self.sending.into_room();
            lease.pool.keep(&lease.slot, Connection { room, ..self.connection });
        }
    }

    /// The body of the request, if nothing of it was taken yet.
    pub(super) fn into_body(self) -> Option<Body> {
        self.sending.into_body()
    }
}

/// How a request's body is told to end. A method that usually has content says so where there is
/// none (RFC 9110 §8.6).
fn told(method: &Method, body: &Body) -> Told {
    match body.size_hint().exact() {
        Some(0) if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => Told::Length(0),
        Some(0) => Told::Nothing,
        Some(length) => Told::Length(length),
        None => Told::Chunked { begun: false },
    }
}

fn take(buffer: &mut BytesMut, end: &mut HeadEnd, asked: &Method) -> Result<Option<Head>, Fault> {
    let taken = head::take(buffer, end, asked);
    taken.map_err(|malformed| Fault::Broken(Unfit::Malformed(malformed)))
}

/// Takes so many bytes off the front of `buffer`.
fn take_bytes(buffer: &mut BytesMut, length: usize) -> Bytes {
    if length > COPIED {
        return buffer.split_to(length).freeze();
    }
    let copy = Bytes::copy_from_slice(&buffer[..length]);
    match length == buffer.len() {
        // The room stays.
        true => buffer.clear(),
        false => drop(buffer.split_to(length)),
    }
    copy
}

fn is_event_stream(fields: &HeaderMap) -> bool {
    let begin = b"text/event-stream";
    let is_it =
        |value: &[u8]| value.get(..begin.len()).is_some_and(|v| v.eq_ignore_ascii_case(begin));
    fields.get(CONTENT_TYPE).is_some_and(|value| is_it(value.as_bytes()))
}

impl Streaming {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match ready!(self.poll_piece(context)) {
            Ok(Piece::Data(data)) => {
                // Whoever knows the length may not ask for the end.
                if self.framing == Framing::Length(0) {
                    self.end();
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Ok(Piece::End(trailers)) => {
                self.end();
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Err(error) => {
                self.live = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, BodyError>> {
        let Some((Exchange { connection, sending, .. }, _)) = &mut self.live else {
            return Poll::Ready(Ok(Piece::End(None)));
        };
        // A server may answer before it has heard all; what it still takes, it gets.
        if !sending.is_over()
            && let Poll::Ready(Err(error)) = sending.poll(context, &mut connection.stream)
        {
            return Poll::Ready(Err(error));
        }
        loop {
            if let Some(piece) = next(&mut self.framing, &mut self.decoder, &mut connection.buffer)?
            {
                connection.timer.restart();
                return Poll::Ready(Ok(piece));
            }
            match connection.poll_read(context, self.read) {
                Poll::Ready(Ok(0)) if self.framing == Framing::UntilClose => {
                    self.keeps_alive = false;
                    return Poll::Ready(Ok(Piece::End(None)));
                }
                Poll::Ready(Ok(read @ 1..)) => {
                    let is_full = connection.buffer.len() == connection.buffer.capacity();
                    self.read = match read {
                        _ if is_full => READ_MAX,
                        ..FIRST_READ => FIRST_READ,
                        _ => self.read,
                    };
                }
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Poll::Ready(Err(BodyError::Upstream(Unfit::CutOff)));
                }
                Poll::Pending => {
                    let timer = &mut connection.timer;
                    return match self.quiet_max.is_some_and(|span| timer.is_over(context, span)) {
                        true => Poll::Ready(Err(BodyError::Upstream(Unfit::Quiet))),
                        false => Poll::Pending,
                    };
                }
            }
        }
    }

    fn end(&mut self) {
        if let Some((exchange, lease)) = self.live.take() {
            exchange.end(self.keeps_alive, lease);
        }
    }
}

/// What comes next of a body.
enum Piece {
    Data(Bytes),
    End(Option<HeaderMap>),
}

/// What is next of a body, as far as it has been read.
fn next(
    framing: &mut Framing,
    decoder: &mut ChunkedDecoder,
    buffer: &mut BytesMut,
) -> Result<Option<Piece>, BodyError> {
    if buffer.is_empty() {
        return Ok(None);
    }
    match framing {
        Framing::UntilClose => Ok(Some(Piece::Data(take_bytes(buffer, buffer.len())))),
        Framing::Length(left) => {
            let length = usize::try_from(*left).map_or(buffer.len(), |l| l.min(buffer.len()));
            *left -= length as u64;
            Ok(Some(Piece::Data(take_bytes(buffer, length))))
        }
        Framing::Chunked => {
            let decoded = decoder.decode(buffer);
            match decoded.map_err(|bad| BodyError::Upstream(Unfit::Malformed(bad)))? {
                Decoded::Nothing { taken } => {
                    buffer.advance(taken);
                    Ok(None)
                }
                Decoded::Data { skip, length } => {
                    buffer.advance(skip);
                    Ok(Some(Piece::Data(take_bytes(buffer, length))))
                }
                Decoded::End { taken, trailers } => {
                    buffer.advance(taken);
                    Ok(Some(Piece::End(Some(trailers).filter(|map| !map.is_empty()))))
                }
            }
        }
    }
}

impl AnswerBody {
    /// The other protocol, where the answer changes to one.
    pub(crate) fn into_tunnel(self) -> Option<Tunnel> {
        match self.0 {
            Inner::Tunnel(tunnel) => Some(*tunnel),
            Inner::Whole(_) | Inner::Streaming(_) => None,
        }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().0 {
            Inner::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Streaming(streaming) => streaming.poll_frame(context),
            Inner::Tunnel(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(bytes) => bytes.is_none(),
            Inner::Streaming(streaming) => streaming.live.is_none(),
            Inner::Tunnel(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let length = match &self.0 {
            Inner::Whole(bytes) => Some(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Streaming(streaming) => match streaming.framing {
                Framing::Length(left) => Some(left),
                Framing::Chunked | Framing::UntilClose => None,
            },
            Inner::Tunnel(_) => Some(0),
        };
        length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
