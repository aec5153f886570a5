//! Bodies of answers, whoever gives them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::folder::FileBody;
use super::service::ServiceBody;
use crate::body::BodyError;
use crate::upstream::{self, Tunnel};

/// The body of an answer that does not come from a store.
#[derive(Debug)]
pub enum AnswerBody {
    /// A server's.
    Server(upstream::AnswerBody),
    /// A file, or a part of one.
    File(FileBody),
    /// That of a service in this process.
    Service(ServiceBody),
}

impl AnswerBody {
    /// The server's side of another protocol, where the answer changes to one.
    pub(crate) fn into_tunnel(self) -> Option<Tunnel> {
        match self {
            Self::Server(body) => body.into_tunnel(),
            Self::File(_) | Self::Service(_) => None,
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
        match self.get_mut() {
            Self::Server(body) => Pin::new(body).poll_frame(context),
            Self::File(body) => Pin::new(body).poll_frame(context),
            Self::Service(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Server(body) => body.is_end_stream(),
            Self::File(body) => body.is_end_stream(),
            Self::Service(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Server(body) => body.size_hint(),
            Self::File(body) => body.size_hint(),
            Self::Service(body) => body.size_hint(),
        }
    }
}
