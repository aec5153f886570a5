//! A connection: head → answer → body, one request after the other.
//!
//! Requests that come together are answered in order, and small answers leave together. Nothing
//! waits for the client without a bound in bytes and time, but for the next piece of an answer:
//! that is waited for as long as the client is there.

mod closing;
mod sending;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response, Version};
use tidegate_core::Scheme;
use tidegate_core::respond::Problem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, watch};

use super::answer::Asker;
use super::head::Extent;
use super::head::request::RequestHead;
use super::input::Input;
use super::output::Output;
use super::patience::{self, Patience};
use super::stopping::Stopping;
use super::upload::{self, Broken, Fed, Receiving};
use super::{Answering, Malformed, Upgrade, Upgraded, interim};
use crate::body::Body;

/// One client's connection.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    scheme: Scheme,
    input: Input,
    output: Output,
    patience: Patience,
    stopping: Stopping,
    interim: Arc<interim::Line>,
    /// A request has come before.
    has_asked: bool,
}

/// What comes next over a connection.
enum Next {
    /// A request, whose head ends there.
    Head(Extent),
    /// What is no request.
    Malformed(Malformed),
    /// The begin of a request, and nothing more.
    Silent,
    /// Nothing.
    Close,
}

/// What an exchange leaves behind.
enum After {
    /// A connection for the next one.
    Next,
    /// A connection that is to be closed, perhaps while the client still sends.
    Close { sends: bool },
    /// A connection of which nothing more can be said.
    Abort,
    /// A connection for another protocol.
    Upgrade(oneshot::Sender<Upgraded>),
}

/// Why an exchange is not brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interrupted {
    /// The client is gone, or takes nothing.
    Gone,
    /// The client has sent nothing of its body for too long.
    Silent,
    /// The request's body is none.
    Malformed(Malformed),
}

/// A request that is being answered.
struct Exchange {
    asker: Asker,
    persists: bool,
    upload: Option<Receiving>,
    upgrade: Option<oneshot::Sender<Upgraded>>,
}

impl<S> Connection<S>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    /// A connection whose client has had the time `waited` already.
    pub(super) fn new(
        stream: S,
        scheme: Scheme,
        waited: Duration,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        Self {
            stream,
            scheme,
            input: Input::default(),
            output: Output::default(),
            patience: Patience::after(waited),
            stopping: Stopping::new(stopped),
            interim: Arc::default(),
            has_asked: false,
        }
    }

    /// Answers requests until either side closes.
    pub(super) async fn serve(mut self, answering: &impl Answering) {
        loop {
            let after = match poll_fn(|context| self.poll_next(context)).await {
                Next::Head(extent) => match self.input.take_head(extent, self.scheme) {
                    Ok(head) => self.exchange(head, answering).await,
                    Err(why) => self.refuse(answering.refuse(&why.problem())).await,
                },
                Next::Malformed(why) => self.refuse(answering.refuse(&why.problem())).await,
                Next::Silent => self.refuse(answering.refuse(&silent())).await,
                Next::Close => After::Abort,
            };
            match after {
                After::Next => {}
                After::Close { sends } => return self.close(sends).await,
                After::Abort => return,
                After::Upgrade(sender) => {
                    let (upgraded, ended) = Upgraded::new(self.input.take(), self.stream);
                    // Whoever answered 101 and does not care for the rest closes it so.
                    let _ = sender.send(upgraded);
                    // Till then it counts as a connection.
                    return ended.await;
                }
            }
        }
    }

    /// The next request, once what goes before it is written.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        loop {
            // Several that came together are answered together.
            if self.output.has_room() {
                match self.input.find_head() {
                    Ok(Some(extent)) => return Poll::Ready(Next::Head(extent)),
                    Err(malformed) => return Poll::Ready(Next::Malformed(malformed)),
                    Ok(None) => {}
                }
            }
            if ready!(self.poll_write_all(context)).is_err() {
                return Poll::Ready(Next::Close);
            }
            let begins = self.input.is_empty() && self.has_asked;
            match self.input.poll_fill(&mut self.stream, context) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Close),
                // However long it took the client to think of it.
                Poll::Ready(Ok(_)) if begins => self.patience.renew(),
                Poll::Ready(Ok(_)) => {}
                // A request that is here by then is answered.
                Poll::Pending if self.input.is_empty() && self.stopping.poll_set(context) => {
                    return Poll::Ready(Next::Close);
                }
                Poll::Pending => return self.poll_time(context),
            }
        }
    }

    /// Whether the client takes too long to send its next head.
    fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        let is_idle = self.input.is_empty();
        // Who has asked may take a while to ask again; who has just come, came to ask.
        let limit = if is_idle && self.has_asked { patience::IDLE } else { patience::HEAD };
        match self.patience.is_over(limit, context) {
            true if is_idle => Poll::Ready(Next::Close),
            true => Poll::Ready(Next::Silent),
            false => Poll::Pending,
        }
    }

    /// Has one request answered, and sends the answer.
    async fn exchange(&mut self, head: RequestHead, answering: &impl Answering) -> After {
        self.has_asked = true;
        self.patience.renew();
        // HTTP/1.0 has none (RFC 9110 §15.2).
        let interim = (head.version == Version::HTTP_11).then(|| self.interim.open());
        let (request, mut exchange) = match self.begin(head) {
            Ok(begun) => begun,
            Err(why) => return self.refuse(answering.refuse(&why.problem())).await,
        };
        let answered = {
            let mut answer = pin!(answering.answer(request, interim));
            poll_fn(|context| match answer.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(Ok(answer)),
                Poll::Pending => self.poll_beside(&mut exchange.upload, context).map(Err),
            })
            .await
        };
        match answered {
            Ok(answer) => self.send(answer, exchange).await,
            Err(Interrupted::Gone) => After::Abort,
            Err(Interrupted::Silent) => self.refuse(answering.refuse(&silent())).await,
            Err(Interrupted::Malformed(why)) => self.refuse(answering.refuse(&why.problem())).await,
        }
    }

    /// The request that a head begins, and what its answer depends on.
    fn begin(&mut self, head: RequestHead) -> Result<(Request<Body>, Exchange), Malformed> {
        let asker = Asker::new(&head.method, head.version, head.takes_trailers);
        let (upload, body) = match upload::begin(head.framing, head.expects_continue) {
            Some((mut receiving, upload)) => {
                receiving.begin(&mut self.input)?;
                (Some(receiving), Body::Upload(upload))
            }
            None => (None, Body::empty()),
        };
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri;
        *request.version_mut() = head.version;
        *request.headers_mut() = head.fields;
        let mut upgrade = None;
        if head.upgrades {
            let (sender, receiver) = Upgrade::new();
            request.extensions_mut().insert(receiver);
            upgrade = Some(sender);
        }
        Ok((request, Exchange { asker, persists: head.persists, upload, upgrade }))
    }

    /// What goes on beside the answer: the request's body comes in, interim answers go out, and a
    /// client that leaves is noticed.
    fn poll_beside(
        &mut self,
        upload: &mut Option<Receiving>,
        context: &mut Context<'_>,
    ) -> Poll<Interrupted> {
        if self.output.has_room()
            && let Some(interim) = self.interim.take(context)
        {
            self.output.front().extend_from_slice(&interim);
        }
        let waits = match self.receive(upload.as_mut(), context) {
            Ok(waits) => waits,
            Err(interrupted) => return Poll::Ready(interrupted),
        };
        let progress = || self.patience.renew();
        let writes = match self.output.poll_write(&mut self.stream, context, progress) {
            Poll::Ready(Ok(())) => false,
            Poll::Ready(Err(_)) => return Poll::Ready(Interrupted::Gone),
            Poll::Pending => true,
        };
        if !waits && !writes {
            self.patience.renew();
            return Poll::Pending;
        }
        if !self.patience.is_over(patience::BODY, context) {
            return Poll::Pending;
        }
        if let Some(upload) = upload {
            upload.break_off(Broken::Silent);
        }
        Poll::Ready(if writes { Interrupted::Gone } else { Interrupted::Silent })
    }

    /// Reads what the client sends, and hands its body over. Whether more is waited for.
    fn receive(
        &mut self,
        mut upload: Option<&mut Receiving>,
        context: &mut Context<'_>,
    ) -> Result<bool, Interrupted> {
        loop {
            let fed = match &mut upload {
                None => Fed::Ended,
                Some(upload) => upload.feed(&mut self.input, context).map_err(|malformed| {
                    upload.break_off(Broken::Malformed(malformed));
                    Interrupted::Malformed(malformed)
                })?,
            };
            if fed != Fed::Starved && !self.input.has_room() {
                // What comes behind the request is read ahead, but not without a bound.
                return Ok(false);
            }
            if fed == Fed::Starved && upload.as_mut().is_some_and(|upload| upload.takes_continue())
            {
                self.output.front().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            match self.input.poll_fill(&mut self.stream, context) {
                Poll::Ready(Ok(1..)) => self.patience.renew(),
                Poll::Ready(Ok(0) | Err(_)) => return Err(Interrupted::Gone),
                Poll::Pending => return Ok(fed == Fed::Starved),
            }
        }
    }

    /// Writes all there is. An error where that cannot be done, or takes the client too long.
    fn poll_write_all(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Interrupted>> {
        if self.output.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let progress = || self.patience.renew();
        match self.output.poll_write(&mut self.stream, context, progress) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Interrupted::Gone)),
            Poll::Pending if self.patience.is_over(patience::BODY, context) => {
                Poll::Ready(Err(Interrupted::Gone))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Sends an answer to what is no request, and closes.
    async fn refuse(&mut self, answer: Response<Body>) -> After {
        let asker = Asker::new(&http::Method::GET, Version::HTTP_11, false);
        let exchange = Exchange { asker, persists: false, upload: None, upgrade: None };
        match self.send(answer, exchange).await {
            After::Abort => After::Abort,
            _ => After::Close { sends: true },
        }
    }
}

/// The answer to who does not send what was begun (RFC 9110 §15.5.9).
fn silent() -> Problem {
    Problem {
        status: 408,
        reason: "request-timeout",
        detail: "The rest of the request did not come in time.".into(),
        retry_after: None,
        page: None,
    }
}
