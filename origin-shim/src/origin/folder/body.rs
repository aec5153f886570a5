//! The content of a file on its way, read in pieces where waiting for a disk holds nobody up.

use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::body::BodyError;

/// What is read at a time.
const PIECE: u64 = 128 * 1024;

/// The body of an answer that is a file, or a part of one.
#[derive(Debug)]
pub struct FileBody(Inner);

#[derive(Debug)]
enum Inner {
    Whole(Option<Bytes>),
    Streamed(Box<Streamed>),
}

#[derive(Debug)]
struct Streamed {
    file: Arc<File>,
    left: Range<u64>,
    /// The piece that is being read.
    piece: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self(Inner::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    pub(super) fn streamed(file: File, bytes: Range<u64>) -> Self {
        Self(Inner::Streamed(Box::new(Streamed { file: Arc::new(file), left: bytes, piece: None })))
    }
}

impl Streamed {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let piece = self.piece.get_or_insert_with(|| {
            let (file, at) = (Arc::clone(&self.file), self.left.start);
            let length = PIECE.min(self.left.end - at) as usize;
            tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; length];
                // One that has become shorter is not what its head says.
                file.read_exact_at(&mut piece, at)?;
                Ok(piece.into())
            })
        });
        let read = ready!(Pin::new(piece).poll(context)).map_err(io::Error::other).flatten();
        self.piece = None;
        match &read {
            Ok(piece) => self.left.start += piece.len() as u64,
            Err(_) => self.left.start = self.left.end,
        }
        Poll::Ready(Some(read))
    }
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Inner::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Streamed(streamed) => streamed
                .poll_piece(context)
                .map(|piece| piece.map(|piece| piece.map(Frame::data).map_err(BodyError::File))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Inner::Whole(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Inner::Streamed(streamed) => streamed.left.end - streamed.left.start,
        })
    }
}
