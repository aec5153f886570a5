//! Why a message is refused.

use std::fmt;

use tidegate_core::respond::Problem;

/// What is wrong with a message, or too much of it. Nothing is mended: what another reader
/// understands differently is how requests are smuggled (RFC 9112 §11.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// A line feed without its carriage return (§2.2).
    BareLineFeed,
    /// A carriage return without its line feed (§2.2).
    BareCarriageReturn,
    /// NUL, or another control that no field value may hold (RFC 9110 §5.5).
    Control,
    /// A field continued on the next line, or white space before the first one (§2.2, §5.2).
    Folded,
    /// White space between a field's name and its colon (§5.1).
    SpaceBeforeColon,
    /// A field whose name is empty or no token (RFC 9110 §5.1).
    FieldName,
    /// No method, target and version with single spaces between them (§3).
    RequestLine,
    /// The method is no token (RFC 9110 §9.1).
    Method,
    /// The target has none of the four forms, or not the one of its method (§3.2).
    Target,
    /// An authority with user information (RFC 9110 §4.2.4).
    UserInformation,
    /// A target of another scheme than that of the connection (RFC 9110 §7.4).
    Misdirected,
    /// CONNECT: nobody tunnels here.
    Connect,
    /// What should be a version is none (§2.3).
    Version,
    /// A version that is neither 1.0 nor 1.1.
    UnknownVersion,
    /// No version, status and reason (§4).
    StatusLine,
    /// The first line is longer than [`head::LINE_MAX`](super::head::LINE_MAX).
    LineTooLong,
    /// The head is longer than [`head::HEAD_MAX`](super::head::HEAD_MAX).
    HeadTooLong,
    /// There are more fields than [`head::FIELDS_MAX`](super::head::FIELDS_MAX).
    TooManyFields,
    /// Host is missing, repeated or malformed (§3.2).
    Host,
    /// Content-Length is no number, too large, a list or repeated (§6.3).
    ContentLength,
    /// Both Content-Length and Transfer-Encoding (§6.3).
    TwoLengths,
    /// Transfer-Encoding is repeated, or does not end in `chunked` (§6.3).
    TransferEncoding,
    /// A transfer coding that is not known here (§6.1).
    UnknownCoding,
    /// Transfer-Encoding in HTTP/1.0, which has none (§6.1).
    CodingInHttp10,
    /// Expect with something else than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// A chunk whose size is no hexadecimal number, or too large (§7.1).
    ChunkSize,
    /// A chunk that is longer or shorter than its size says.
    ChunkEnd,
    /// Chunk extensions of more than
    /// [`chunked::EXTENSIONS_MAX`](super::chunked::EXTENSIONS_MAX).
    ChunkExtension,
    /// The trailer section is longer than [`chunked::TRAILERS_MAX`](super::chunked::TRAILERS_MAX).
    TrailersTooLong,
}

impl Malformed {
    /// The word for logs and Cache-Status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BareLineFeed => "bare-line-feed",
            Self::BareCarriageReturn => "bare-carriage-return",
            Self::Control => "control-character",
            Self::Folded => "folded-field",
            Self::SpaceBeforeColon => "space-before-colon",
            Self::FieldName => "bad-field-name",
            Self::RequestLine => "bad-request-line",
            Self::Method => "bad-method",
            Self::Target => "bad-target",
            Self::UserInformation => "user-information",
            Self::Misdirected => "misdirected",
            Self::Connect => "connect",
            Self::Version => "bad-version",
            Self::UnknownVersion => "unknown-version",
            Self::StatusLine => "bad-status-line",
            Self::LineTooLong => "line-too-long",
            Self::HeadTooLong => "head-too-long",
            Self::TooManyFields => "too-many-fields",
            Self::Host => "bad-host",
            Self::ContentLength => "bad-content-length",
            Self::TwoLengths => "two-lengths",
            Self::TransferEncoding => "bad-transfer-encoding",
            Self::UnknownCoding => "unknown-transfer-coding",
            Self::CodingInHttp10 => "transfer-encoding-in-1.0",
            Self::Expectation => "unknown-expectation",
            Self::ChunkSize => "bad-chunk-size",
            Self::ChunkEnd => "bad-chunk-end",
            Self::ChunkExtension => "chunk-extension-too-long",
            Self::TrailersTooLong => "trailers-too-long",
        }
    }

    /// A sentence for who sent it.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::BareLineFeed => "A line ends in LF without CR.",
            Self::BareCarriageReturn => "A CR stands without its LF.",
            Self::Control => "A field has a control character.",
            Self::Folded => "A field is continued on a line that begins with white space.",
            Self::SpaceBeforeColon => "White space stands between a field's name and its colon.",
            Self::FieldName => "A field's name is empty, or has a character that no name may have.",
            Self::RequestLine => {
                "The first line is not a method, a target and a version with one space between them."
            }
            Self::Method => "The method has a character that no method may have.",
            Self::Target => "The target has a form that this method does not have.",
            Self::UserInformation => "The target names a user.",
            Self::Misdirected => "The target has another scheme than the connection.",
            Self::Connect => "No tunnels are opened here.",
            Self::Version => "The first line does not end in a version such as HTTP/1.1.",
            Self::UnknownVersion => "Only HTTP/1.0 and HTTP/1.1 are spoken here.",
            Self::StatusLine => "The first line is not a version, a status and a reason.",
            Self::LineTooLong => "The first line is longer than 8 KiB.",
            Self::HeadTooLong => "The head is longer than 64 KiB.",
            Self::TooManyFields => "There are more than 100 fields.",
            Self::Host => "The Host field is missing, repeated or malformed.",
            Self::ContentLength => "Content-Length is not one number.",
            Self::TwoLengths => "There are both Content-Length and Transfer-Encoding.",
            Self::TransferEncoding => "Transfer-Encoding is not `chunked`.",
            Self::UnknownCoding => "Transfer-Encoding names a coding that is not known here.",
            Self::CodingInHttp10 => "HTTP/1.0 has no Transfer-Encoding.",
            Self::Expectation => "Only `100-continue` may be expected.",
            Self::ChunkSize => "The size of a chunk is no hexadecimal number, or too large.",
            Self::ChunkEnd => "A chunk does not end where its size says.",
            Self::ChunkExtension => "The extensions of the chunks are longer than 16 KiB.",
            Self::TrailersTooLong => "The trailers are longer than 16 KiB.",
        }
    }

    /// The status that a request gets for it.
    pub const fn status(self) -> u16 {
        match self {
            Self::LineTooLong => 414,
            Self::Expectation => 417,
            Self::Misdirected => 421,
            Self::HeadTooLong | Self::TooManyFields | Self::TrailersTooLong => 431,
            Self::UnknownCoding | Self::Connect => 501,
            Self::UnknownVersion => 505,
            _ => 400,
        }
    }

    /// The answer to a request of which this is true.
    pub fn problem(self) -> Problem {
        let (status, reason, detail) = (self.status(), self.as_str(), self.explain().into());
        Problem { status, reason, detail, retry_after: None, page: None }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explain())
    }
}

impl std::error::Error for Malformed {}
