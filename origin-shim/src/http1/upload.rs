//! The body of a request on its way from its connection to whoever reads it, which may be another
//! task. One piece at a time is between them: a reader that is slow slows the client down.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Malformed;
use super::chunked::{ChunkedDecoder, Decoded};
use super::framing::Framing;
use super::input::Input;

/// The body of a request, to be read.
#[derive(Debug)]
pub struct Upload {
    between: Arc<Between>,
    /// What is to come, where its length is known.
    left: Option<u64>,
    is_ended: bool,
}

/// Why a request's body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broken {
    /// The client went before it had sent all of it, or its request was answered before.
    Off,
    /// It is not what its framing says.
    Malformed(Malformed),
    /// The client sent nothing for 60 s.
    Silent,
}

/// The connection's end of an upload.
#[derive(Debug)]
pub(super) struct Receiving {
    between: Arc<Between>,
    decoder: Decoder,
    /// The client waits for 100.
    expects_continue: bool,
    is_ended: bool,
}

#[derive(Debug)]
enum Decoder {
    Length(u64),
    Chunked(Box<ChunkedDecoder>),
}

/// What feeding an upload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// All of it was handed over.
    Ended,
    /// Nobody reads at the moment.
    NotWanted,
    /// The client has to send more first.
    Starved,
}

#[derive(Debug, Default)]
struct Between(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    piece: Option<Result<Frame<Bytes>, Broken>>,
    /// Somebody has asked for it once, and will again.
    is_read: bool,
    /// Nobody will read it any more.
    is_abandoned: bool,
    is_ended: bool,
    reader: Option<Waker>,
    connection: Option<Waker>,
}

/// The two ends of an upload with this framing; none where there is no body.
pub(super) fn begin(framing: Framing, expects_continue: bool) -> Option<(Receiving, Upload)> {
    let (decoder, left) = match framing {
        Framing::Length(0) => return None,
        Framing::Length(length) => (Decoder::Length(length), Some(length)),
        // A request never lasts until its connection closes.
        Framing::Chunked | Framing::UntilClose => (Decoder::Chunked(Box::default()), None),
    };
    let between = Arc::<Between>::default();
    let upload = Upload { between: Arc::clone(&between), left, is_ended: false };
    Some((Receiving { between, decoder, expects_continue, is_ended: false }, upload))
}

impl Receiving {
    /// Whether all of it came.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Whether nobody will read it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.between.state().is_abandoned
    }

    /// Whether the client still waits for 100.
    pub(super) fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// How much is to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match &self.decoder {
            Decoder::Length(left) => Some(*left),
            Decoder::Chunked(_) => None,
        }
    }

    /// Hands over what is here and wanted.
    pub(super) fn feed(
        &mut self,
        input: &mut Input,
        context: &Context<'_>,
    ) -> Result<Fed, Malformed> {
        while !self.is_ended {
            if !self.between.wants(context) {
                return Ok(Fed::NotWanted);
            }
            match self.next(input)? {
                Some(piece) => {
                    // A client that sends does not wait.
                    self.expects_continue = false;
                    self.between.hand_over(Ok(piece), self.is_ended);
                }
                None if self.is_ended => self.between.end(),
                None => return Ok(Fed::Starved),
            }
        }
        Ok(Fed::Ended)
    }

    /// Whether the client is to be told now that it may send; once.
    pub(super) fn takes_continue(&mut self) -> bool {
        std::mem::take(&mut self.expects_continue)
    }

    /// Hands over the first piece of what is here already, wanted or not.
    pub(super) fn begin(&mut self, input: &mut Input) -> Result<(), Malformed> {
        if input.is_empty() {
            return Ok(());
        }
        if let Some(piece) = self.next(input)? {
            self.expects_continue = false;
            self.between.hand_over(Ok(piece), self.is_ended);
        } else if self.is_ended {
            self.between.end();
        }
        Ok(())
    }

    /// Throws away what is here. Whether that was all.
    pub(super) fn discard(&mut self, input: &mut Input) -> Result<bool, Malformed> {
        while !self.is_ended && !input.is_empty() {
            self.next(input)?;
        }
        Ok(self.is_ended)
    }

    /// Ends it for its reader.
    pub(super) fn break_off(&mut self, why: Broken) {
        if !self.is_ended {
            self.is_ended = true;
            self.between.hand_over(Err(why), true);
        }
    }

    /// The next piece of what is here, or that it ends.
    fn next(&mut self, input: &mut Input) -> Result<Option<Frame<Bytes>>, Malformed> {
        let bytes = input.bytes();
        match &mut self.decoder {
            Decoder::Length(left) => {
                let length =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                if length == 0 {
                    return Ok(None);
                }
                let data = Bytes::copy_from_slice(&bytes[..length]);
                *left -= length as u64;
                self.is_ended = *left == 0;
                input.consume(length);
                Ok(Some(Frame::data(data)))
            }
            Decoder::Chunked(decoder) => match decoder.decode(bytes)? {
                Decoded::Nothing { taken } => {
                    input.consume(taken);
                    Ok(None)
                }
                Decoded::Data { skip, length } => {
                    let data = Bytes::copy_from_slice(&bytes[skip..skip + length]);
                    input.consume(skip + length);
                    Ok(Some(Frame::data(data)))
                }
                Decoded::End { taken, trailers } => {
                    input.consume(taken);
                    self.is_ended = true;
                    Ok((!trailers.is_empty()).then(|| Frame::trailers(trailers)))
                }
            },
        }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.break_off(Broken::Off);
    }
}

impl Between {
    /// Whether somebody waits for a piece; wakes the connection when somebody does.
    fn wants(&self, context: &Context<'_>) -> bool {
        let mut state = self.state();
        if state.is_read && state.piece.is_none() && !state.is_abandoned {
            return true;
        }
        if !state.connection.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            state.connection = Some(context.waker().clone());
        }
        false
    }

    fn hand_over(&self, piece: Result<Frame<Bytes>, Broken>, is_ended: bool) {
        let reader = {
            let mut state = self.state();
            // An error comes in place of a piece that nobody has taken: all of it is lost.
            state.piece = Some(piece);
            state.is_ended = is_ended;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn end(&self) {
        let reader = {
            let mut state = self.state();
            state.is_ended = true;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole whatever panics around it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_ended {
            return Poll::Ready(None);
        }
        let (piece, connection, is_last) = {
            let mut state = self.between.state();
            state.is_read = true;
            let piece = state.piece.take();
            if piece.is_none() && !state.is_ended {
                state.reader = Some(context.waker().clone());
            }
            // One piece is read ahead of who reads.
            let connection = match state.is_ended {
                true => None,
                false => state.connection.take(),
            };
            (piece, connection, state.is_ended)
        };
        if let Some(connection) = connection {
            connection.wake();
        }
        let Some(piece) = piece else {
            self.is_ended = is_last;
            return if is_last { Poll::Ready(None) } else { Poll::Pending };
        };
        self.is_ended = is_last;
        if let (Some(left), Ok(frame)) = (&mut self.left, &piece) {
            *left -= frame.data_ref().map_or(0, |data| data.len() as u64).min(*left);
        }
        Poll::Ready(Some(piece))
    }

    fn is_end_stream(&self) -> bool {
        self.is_ended
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let connection = {
            let mut state = self.between.state();
            state.is_abandoned = true;
            state.piece = None;
            state.connection.take()
        };
        if let Some(connection) = connection {
            connection.wake();
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("the client broke off"),
            Self::Malformed(why) => why.fmt(f),
            Self::Silent => f.write_str("the client sent nothing for too long"),
        }
    }
}

impl std::error::Error for Broken {}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::body::Body as AnyBody;

    /// A body that says what comes over a channel.
    pub(crate) fn said(
        mut pieces: tokio::sync::mpsc::Receiver<Result<Frame<Bytes>, Broken>>,
    ) -> AnyBody {
        let between = Arc::<Between>::default();
        let upload = Upload { between: Arc::clone(&between), left: None, is_ended: false };
        tokio::spawn(async move {
            loop {
                // A receiving end by itself, without a connection around it.
                std::future::poll_fn(|context| match between.wants(context) {
                    true => Poll::Ready(()),
                    false if between.state().is_abandoned => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
                if between.state().is_abandoned {
                    return;
                }
                match pieces.recv().await {
                    Some(piece) => {
                        let is_last = piece.is_err();
                        between.hand_over(piece, is_last);
                        if is_last {
                            return;
                        }
                    }
                    None => return between.end(),
                }
            }
        });
        AnyBody::Upload(upload)
    }
}
