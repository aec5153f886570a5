//! A body that is compressed on its way through.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use tidegate_core::compress::Coding;

use crate::answer_store::AnswerStore;
use crate::body::{Body, BodyError};
use crate::coder::Coder;
use crate::encoder::{Encoder, PIECE};

/// Compresses a body as it comes. Whatever has come leaves before more is waited for, so that a
/// trickling body is never held back; a body that comes quickly is not cut up by that.
pub struct Compressing {
    from: Body,
    /// None once all is out.
    encoder: Option<Encoder>,
    /// What has come and is not compressed yet.
    rest: Bytes,
    /// Something is still inside the encoder.
    holds_back: bool,
    trailers: Option<HeaderMap>,
    record: Option<Record>,
}

/// Keeps what leaves, for the answer that is stored meanwhile.
pub(crate) struct Record {
    coder: Arc<Coder>,
    store: Arc<AnswerStore>,
    coding: Coding,
    coded: BytesMut,
}

impl Record {
    /// Hands a coded body over to `coder` for `store`, unless it is too long for that.
    pub(crate) fn new(coder: Arc<Coder>, store: Arc<AnswerStore>, coding: Coding) -> Self {
        Self { coder, store, coding, coded: BytesMut::new() }
    }
}

impl Compressing {
    /// Compresses `from` by `encoder`, and records it where it is stored.
    pub(crate) fn new(from: Body, encoder: Encoder, record: Option<Record>) -> Self {
        Self {
            from,
            encoder: Some(encoder),
            rest: Bytes::new(),
            holds_back: false,
            trailers: None,
            record,
        }
    }

    /// Reads to the end for what is stored of it, if anything is.
    pub(crate) async fn drain(mut self) {
        while self.record.is_some() {
            match self.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    /// Compresses one piece of what is there.
    fn press(&mut self) -> io::Result<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        let Some(encoder) = &mut self.encoder else { return Ok(Bytes::new()) };
        encoder.write(&piece)?;
        self.holds_back = true;
        Ok(encoder.take())
    }

    fn flush(&mut self) -> io::Result<Bytes> {
        let Some(encoder) = self.encoder.as_mut().filter(|_| self.holds_back) else {
            return Ok(Bytes::new());
        };
        encoder.flush()?;
        self.holds_back = false;
        Ok(encoder.take())
    }

    /// Records what leaves.
    fn leave(&mut self, coded: Bytes) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(record) = &mut self.record {
            match record.coded.len() + coded.len() <= record.store.object_max() {
                true => record.coded.extend_from_slice(&coded),
                false => self.record = None,
            }
        }
        Poll::Ready(Some(Ok(Frame::data(coded))))
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.encoder = None;
        self.record = None;
        self.trailers = None;
        Poll::Ready(Some(Err(error)))
    }

    /// The end of the coded body, once that of the other is there.
    fn end(&mut self, encoder: Encoder) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match encoder.finish() {
            Err(error) => self.fail(error.into()),
            Ok(coded) => {
                let left = self.leave(coded);
                if let Some(Record { coder, store, coding, coded }) = self.record.take() {
                    // Without the room that a growing buffer has left over.
                    coder.keep(&store, coding, Bytes::copy_from_slice(&coded));
                }
                left
            }
        }
    }
}

impl HttpBody for Compressing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let mut pressed = 0;
        loop {
            if this.encoder.is_none() {
                let trailers = this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)));
                return Poll::Ready(trailers);
            }
            if !this.rest.is_empty() {
                if pressed >= PIECE {
                    // Others on this thread have waited long enough.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                pressed += this.rest.len().min(PIECE);
                match this.press() {
                    Ok(coded) if coded.is_empty() => continue,
                    Ok(coded) => return this.leave(coded),
                    Err(error) => return this.fail(error.into()),
                }
            }
            match Pin::new(&mut this.from).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => this.trailers = frame.into_trailers().ok(),
                },
                Poll::Ready(Some(Err(error))) => return this.fail(error),
                Poll::Ready(None) => {
                    let Some(encoder) = this.encoder.take() else { continue };
                    return this.end(encoder);
                }
                Poll::Pending => match this.flush() {
                    Ok(coded) if coded.is_empty() => return Poll::Pending,
                    Ok(coded) => return this.leave(coded),
                    Err(error) => return this.fail(error.into()),
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.trailers.is_none()
    }
}

impl std::fmt::Debug for Compressing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressing").field("from", &self.from).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_body_leaves_the_thread_to_others_after_every_piece() {
        let text: Vec<u8> = (0..20 * PIECE).map(|at| ((at * at) >> 7) as u8).collect();
        let encoder = Encoder::new(Coding::Gzip, 6).unwrap();
        let mut body = Compressing::new(Body::whole(text), encoder, None);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let (mut polls, mut frames) = (0, 0);
        loop {
            polls += 1;
            match Pin::new(&mut body).poll_frame(&mut context) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(_))) => frames += 1,
                Poll::Ready(Some(Err(error))) => panic!("{error}"),
                Poll::Ready(None) => break,
            }
        }
        assert!(polls >= 20 && frames > 1, "{polls} polls, {frames} frames");
    }
}
