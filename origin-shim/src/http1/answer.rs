//! How an answer is sent: what its head says of its end, and its body in that framing.

mod date;
pub(super) mod encode;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};

use super::chunked::may_be_trailer;
use super::framing::content_length;
use super::output::Output;

/// What of a request its answer depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) version: Version,
    pub(super) is_head: bool,
    pub(super) takes_trailers: bool,
}

/// How the body of an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// There is none, whatever the answer has.
    Nothing,
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunked {
        /// The client takes trailers.
        trailers: bool,
    },
    /// Until the connection closes.
    UntilClose,
}

/// A body that is not as long as the answer's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrongLength;

impl Asker {
    /// Who asked by this method and version.
    pub(super) fn new(method: &Method, version: Version, takes_trailers: bool) -> Self {
        Self { version, is_head: *method == Method::HEAD, takes_trailers }
    }
}

impl Sending {
    /// How a body of `exact` bytes, where that is known, is sent to `asker` behind this head (RFC
    /// 9112 §6.3).
    pub(super) fn of(
        asker: &Asker,
        status: StatusCode,
        fields: &HeaderMap,
        exact: Option<u64>,
    ) -> Self {
        if asker.is_head || !has_content(status) {
            return Self::Nothing;
        }
        // What the body knows of itself goes before what was said of it.
        let length = exact.or_else(|| said_length(fields));
        match length {
            Some(length) => Self::Length(length),
            None if asker.version == Version::HTTP_11 => {
                Self::Chunked { trailers: asker.takes_trailers }
            }
            None => Self::UntilClose,
        }
    }

    /// Sends a piece; where there is room.
    pub(super) fn put(&mut self, piece: Bytes, output: &mut Output) -> Result<(), WrongLength> {
        if piece.is_empty() {
            return Ok(());
        }
        match self {
            Self::Nothing => return Ok(()),
            Self::Length(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(WrongLength)?;
                output.put(piece, b"");
            }
            Self::Chunked { .. } => {
                encode::chunk_size(output.front(), piece.len());
                output.put(piece, b"\r\n");
            }
            Self::UntilClose => output.put(piece, b""),
        }
        Ok(())
    }

    /// Sends the end; where there is room.
    pub(super) fn end(
        self,
        trailers: Option<&HeaderMap>,
        output: &mut Output,
    ) -> Result<(), WrongLength> {
        match self {
            Self::Length(1..) => return Err(WrongLength),
            Self::Chunked { trailers: takes } => {
                let front = output.front();
                front.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten().filter(|_| takes) {
                    if may_be_trailer(name) {
                        encode::field(front, name.as_str(), value.as_bytes());
                    }
                }
                front.extend_from_slice(b"\r\n");
            }
            Self::Nothing | Self::Length(0) | Self::UntilClose => {}
        }
        Ok(())
    }

    /// Whether nothing more is to come, whatever the body has.
    pub(super) const fn is_done(self) -> bool {
        matches!(self, Self::Nothing | Self::Length(0))
    }
}

/// Whether answers with this status have content (RFC 9110 §6.4.1).
fn has_content(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The length that a head says, if it says one.
fn said_length(fields: &HeaderMap) -> Option<u64> {
    let mut said = fields.get_all(http::header::CONTENT_LENGTH).iter();
    let only = said.next().filter(|_| said.next().is_none());
    content_length(only?.as_bytes())
}
