//! A service in this process, asked without a connection.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Request, Response, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::AnswerBody;
use crate::body::{Body, BodyError};
use crate::upstream::{Question, UpstreamError};

/// What a service says that does not answer.
pub type ServiceError = Box<dyn std::error::Error + Send + Sync>;

/// What comes of asking a service.
pub type Answering =
    Pin<Box<dyn Future<Output = Result<Response<ServiceBody>, ServiceError>> + Send>>;

/// Something in this process that answers requests.
pub trait Service: fmt::Debug + Send + Sync {
    /// Asks it.
    fn ask(&self, request: Request<Body>) -> Answering;
}

/// The body of a service's answer, or of the request that its server has read.
pub struct ServiceBody {
    /// Some services' bodies cannot be shared between threads. The lock is never waited for, since
    /// whoever reads a body has it alone.
    body: Mutex<Pin<Box<dyn HttpBody<Data = Bytes, Error = ServiceError> + Send>>>,
}

/// Asks `service` what its client asked in `parts`, as `question` has it: with the extensions that
/// others in this process have put there.
pub(super) async fn ask(
    service: &dyn Service,
    parts: &Parts,
    question: Question,
) -> Result<Response<AnswerBody>, UpstreamError> {
    let Question { method, target, head, body, .. } = question;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = at(&parts.uri, &target);
    *request.version_mut() = parts.version;
    *request.headers_mut() = head;
    *request.extensions_mut() = parts.extensions.clone();
    let answered = service.ask(request).await.map_err(UpstreamError::Service)?;
    Ok(answered.map(AnswerBody::Service))
}

/// Has the service hear that its client would change to another protocol: whoever answers 101 takes
/// the connection over from the server, past the policy.
pub(super) fn ask_to_upgrade(question: &mut Question, parts: &Parts) {
    if let Some(protocol) = parts.headers.get(UPGRADE) {
        question.head.insert(UPGRADE, protocol.clone());
        question.head.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// `target` where `uri` is: over HTTP/2 that says the host.
fn at(uri: &Uri, target: &str) -> Uri {
    let mut parts = uri.clone().into_parts();
    // What was read as a target is one.
    parts.path_and_query = target.parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

impl ServiceBody {
    /// What a service gives as its body.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<ServiceError>,
    {
        let body = http_body_util::BodyExt::map_err(body, Into::into);
        Self { body: Mutex::new(Box::pin(body)) }
    }
}

impl HttpBody for ServiceBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        body.as_mut().poll_frame(context).map_err(BodyError::Service)
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

impl fmt::Debug for ServiceBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBody").field("length", &self.size_hint()).finish()
    }
}
