//! Sending an answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use tidegate_core::respond::Problem;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{After, Connection, Exchange};
use crate::body::Body;
use crate::http1::answer::{Sending, encode};
use crate::http1::head::names;
use crate::http1::upload::Receiving;
use crate::overlay;

/// So much of a request's body that nobody reads is read for the sake of the connection: 64 KiB.
const DRAIN_MAX: u64 = 64 * 1024;

/// An answer on its way.
struct Underway {
    body: Body,
    sending: Sending,
    trailers: Option<HeaderMap>,
    is_ended: bool,
}

/// The answer cannot be brought to its end.
struct BrokenOff;

impl<S> Connection<S>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    /// Sends an answer; what is small may still lie here afterwards, to leave with the next one.
    pub(super) async fn send(&mut self, answer: Response<Body>, exchange: Exchange) -> After {
        let Exchange { asker, persists, mut upload, upgrade } = exchange;
        let answer = match (answer.status(), &upgrade) {
            (StatusCode::SWITCHING_PROTOCOLS, Some(_)) => answer,
            (status, _) if !status.is_informational() => answer,
            _ => unasked(),
        };
        if let Some(waiting) = self.interim.close() {
            self.output.front().extend_from_slice(&waiting);
        }
        let answer = match answer.headers().is_empty() {
            true => answer,
            // Fields beside an overlay are none that it knows.
            false => overlay::complete(answer),
        };
        let (head, body) = answer.into_parts();
        let exact = body.size_hint().exact();
        let sending = Sending::of(&asker, head.status, &head.headers, exact);
        let upgrade = upgrade.filter(|_| head.status == StatusCode::SWITCHING_PROTOCOLS);
        let closes = !persists
            || sending == Sending::UntilClose
            || self.stopping.is_set()
            || says_close(&head.headers)
            || upload.as_mut().is_some_and(|upload| self.is_too_much(upload));
        let connection = match (&upgrade, closes) {
            (Some(_), _) => encode::Connection::Upgrades,
            (None, true) => encode::Connection::Closes,
            (None, false) => encode::Connection::Persists,
        };
        let front = self.output.front();
        let fields = match &body {
            Body::Stored(overlay) => encode::Head::Overlay(overlay),
            _ => encode::Head::Map(&head.headers),
        };
        encode::head(front, &asker, head.status, fields, sending, exact, connection);
        drop(head);

        let mut underway = Underway { body, sending, trailers: None, is_ended: sending.is_done() };
        while !underway.is_ended {
            let sent = poll_fn(|context| self.poll_send(&mut underway, &mut upload, context)).await;
            if sent.is_err() {
                return After::Abort;
            }
        }
        drop(underway);
        if let Some(sender) = upgrade {
            let written = poll_fn(|context| self.poll_write_all(context)).await;
            return if written.is_ok() { After::Upgrade(sender) } else { After::Abort };
        }
        let Some(upload) = upload.filter(|upload| !upload.is_ended()) else {
            return if closes { After::Close { sends: false } } else { After::Next };
        };
        match !closes && self.drain(upload).await {
            true => After::Next,
            false => After::Close { sends: true },
        }
    }

    /// Sends pieces of an answer until it ends or nothing more goes at the moment.
    fn poll_send(
        &mut self,
        underway: &mut Underway,
        upload: &mut Option<Receiving>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), BrokenOff>> {
        loop {
            let waits = match self.put_pieces(underway, context) {
                Ok(waits) => waits,
                Err(broken) => {
                    // What came before is the client's; that no end comes tells it the rest.
                    let _ = self.output.poll_write(&mut self.stream, context, || {});
                    return Poll::Ready(Err(broken));
                }
            };
            if underway.is_ended && self.output.has_room() {
                return Poll::Ready(Ok(()));
            }
            match self.poll_write_all(context) {
                Poll::Ready(Err(_)) => return Poll::Ready(Err(BrokenOff)),
                Poll::Ready(Ok(())) if underway.is_ended => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if !waits => {}
                _ => return self.poll_beside(upload, context).map(|_| Err(BrokenOff)),
            }
        }
    }

    /// Puts pieces of a body into the output while there are some and there is room. Whether the
    /// body has none at the moment.
    fn put_pieces(
        &mut self,
        underway: &mut Underway,
        context: &mut Context<'_>,
    ) -> Result<bool, BrokenOff> {
        while !underway.is_ended && self.output.has_room() {
            match Pin::new(&mut underway.body).poll_frame(context) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Some(Err(_))) => return Err(BrokenOff),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        let put = underway.sending.put(data, &mut self.output);
                        put.map_err(|_| BrokenOff)?;
                        underway.is_ended = underway.sending.is_done();
                    }
                    Err(frame) => underway.trailers = frame.into_trailers().ok(),
                },
                Poll::Ready(None) => {
                    let trailers = underway.trailers.as_ref();
                    let end = underway.sending.end(trailers, &mut self.output);
                    end.map_err(|_| BrokenOff)?;
                    underway.is_ended = true;
                }
            }
        }
        Ok(false)
    }

    /// Whether more of the request's body is to come than is worth reading when nobody wants it.
    fn is_too_much(&mut self, upload: &mut Receiving) -> bool {
        if upload.is_ended() {
            return false;
        }
        if !upload.is_abandoned() {
            return upload.expects_continue();
        }
        // What is here costs nothing.
        match upload.discard(&mut self.input) {
            Ok(true) => false,
            // A client that waits for 100 sends the body now, or does not: nobody knows.
            Ok(false) => {
                upload.expects_continue() || upload.left().is_some_and(|left| left > DRAIN_MAX)
            }
            Err(_) => true,
        }
    }

    /// Reads the rest of a request that is answered. Whether it came to its end within bounds.
    async fn drain(&mut self, mut upload: Receiving) -> bool {
        let mut drained = 0;
        poll_fn(|context| {
            loop {
                let before = self.input.bytes().len();
                match upload.discard(&mut self.input) {
                    Ok(true) => return Poll::Ready(true),
                    Ok(false) => drained += before as u64,
                    Err(_) => return Poll::Ready(false),
                }
                if drained > DRAIN_MAX {
                    return Poll::Ready(false);
                }
                // The answer first: it may be what the client waits for.
                match self.poll_write_all(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
                match self.input.poll_fill(&mut self.stream, context) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(false),
                    Poll::Pending if self.patience.is_over(super::patience::LINGER, context) => {
                        return Poll::Ready(false);
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }
}

/// In place of an answer that says it is none.
fn unasked() -> Response<Body> {
    let problem = Problem::upstream_failed("The origin server changed a protocol unasked.");
    crate::gate::problem(&problem)
}

/// Whether an answer wants its connection closed.
fn says_close(fields: &HeaderMap) -> bool {
    let mut lines = fields.get_all(http::header::CONNECTION).iter();
    lines.any(|line| names(line.as_bytes(), b"close"))
}
