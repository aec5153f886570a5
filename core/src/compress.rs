//! In which coding does the body leave? (RFC 9110 §8.4, §12.5.3)
//!
//! A request is looked at once ([`Offer`]), each answer to it once ([`Verdict`]); what the head
//! then says is in [`fields`], and how the tags of coded bodies are told from those of the origin
//! in [`tag`]. Who compresses is asked upstream for answers without coding, so that each is stored
//! once, and coded once for each coding.

pub mod fields;
mod rule;
pub mod tag;

pub use rule::{CodingRule, CompressionRule};

use crate::headers::accept_encoding::AcceptEncoding;
pub use crate::headers::accept_encoding::Coding;
use crate::headers::etag::ETag;
use crate::headers::media_type;
use crate::headers::{Fields, ResponseDirectives};
use crate::request::Request;

/// The request field by which a client wants bodies as they are (P3), whatever its value.
pub const OPT_OUT: &str = "x-no-compression";

/// What a rule offers to one request.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'p> {
    rule: &'p CompressionRule,
    accepted: AcceptEncoding,
    /// The coding that the client likes best, of equals the one that the policy does; or why
    /// none.
    pub coding: Result<Coding, Uncompressed>,
}

/// An answer as the question of its coding sees it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a, F: ?Sized> {
    /// The status code.
    pub status: u16,
    /// The head that the origin sent.
    pub head: &'a F,
    /// The length of the body in bytes, where that is known before it ends.
    pub length: Option<u64>,
    /// It comes from a shared cache, or is on its way there, under a key that does not tell
    /// people apart: so it is nobody's own.
    pub is_shared: bool,
}

/// The answer to "in which coding?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The coding, or why none.
    pub coding: Result<Coding, Uncompressed>,
    /// Another request could get this answer coded, so that it varies by Accept-Encoding (RFC
    /// 9110 §12.5.5).
    pub varies: bool,
}

/// Why an answer leaves without a coding of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Uncompressed {
    /// The policy says nothing of compression for this route.
    Policy,
    /// At the edge the platform compresses.
    Edge,
    /// The client has sent `x-no-compression`.
    OptOut,
    /// The request says `no-transform` (RFC 9111 §5.2.1.6).
    RequestNoTransform,
    /// The client accepts none of the policy's codings.
    NotAccepted,
    /// The client likes no coding better than any of the policy's.
    IdentityPreferred,
    /// The status has no content.
    Status,
    /// It is a part, whose bytes are counted without coding.
    Partial,
    /// The origin has coded it already.
    Encoded,
    /// The answer says `no-transform` (RFC 9111 §5.2.2.6).
    NoTransform,
    /// Its media type is none of the policy's, or it has none.
    MediaType,
    /// It is shorter than `min_bytes`.
    TooSmall,
    /// It is for one person, and may hold a secret beside what somebody else made the browser
    /// send: its compressed length would tell (BREACH).
    Personal,
    /// There is no room for an encoder: the one reason that shells find themselves.
    NoEncoder,
}

impl Uncompressed {
    /// The word for logs and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Edge => "edge",
            Self::OptOut => "opt-out",
            Self::RequestNoTransform => "request-no-transform",
            Self::NotAccepted => "not-accepted",
            Self::IdentityPreferred => "identity-preferred",
            Self::Status => "status",
            Self::Partial => "partial",
            Self::Encoded => "encoded",
            Self::NoTransform => "no-transform",
            Self::MediaType => "media-type",
            Self::TooSmall => "too-small",
            Self::Personal => "personal",
            Self::NoEncoder => "no-encoder",
        }
    }

    /// The reason as a sentence.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::Policy => "the policy says nothing of compression for this route",
            Self::Edge => "Cloudflare compresses on the way to clients, the worker never",
            Self::OptOut => "the client has sent x-no-compression",
            Self::RequestNoTransform => "the request says no-transform",
            Self::NotAccepted => "the client's Accept-Encoding names none of the codings",
            Self::IdentityPreferred => "the client likes bodies without coding better",
            Self::Status => "the status has no content",
            Self::Partial => "it is a part, whose bytes are counted without coding",
            Self::Encoded => "the origin has coded it already",
            Self::NoTransform => "the answer says no-transform",
            Self::MediaType => "its media type is none of those to compress",
            Self::TooSmall => "it is shorter than min_bytes",
            Self::Personal => "it is for one person, and its length could give a secret away",
            Self::NoEncoder => "there is no room for an encoder",
        }
    }
}

impl<'p> Offer<'p> {
    /// Finds the coding for a request. Linear in Accept-Encoding; allocates nothing.
    pub fn to<F: Fields + ?Sized>(rule: &'p CompressionRule, request: &Request<'_, F>) -> Self {
        let accepted = AcceptEncoding::read(request.fields);
        let coding = if request.fields.first(OPT_OUT).is_some() {
            Err(Uncompressed::OptOut)
        } else if request.directives.no_transform {
            Err(Uncompressed::RequestNoTransform)
        } else {
            choose(rule, &accepted)
        };
        Self { rule, accepted, coding }
    }

    /// How hard to try.
    pub fn level(&self, coding: Coding) -> u32 {
        let rule = self.rule.codings.iter().find(|rule| rule.coding == coding);
        rule.map_or_else(|| coding.default_level(), |rule| rule.level)
    }

    /// Whether the client can decode `coding`, though another may suit it better.
    pub fn accepts(&self, coding: Coding) -> bool {
        self.accepted.weight(coding) > 0
    }

    /// Decides for one answer. Constant time but for the media types of the policy; allocates
    /// nothing.
    pub fn decide<F: Fields + ?Sized>(
        &self,
        request: &Request<'_, impl Fields + ?Sized>,
        answer: &Answer<'_, F>,
    ) -> Verdict {
        let against = self.objection(answer);
        let varies = match against {
            None => true,
            // They stand for answers that may be coded, and say what those would (RFC 9110
            // §15.3.7, §15.4.5).
            Some(Uncompressed::Partial | Uncompressed::Status) => {
                matches!(answer.status, 206 | 304) && self.could_code(answer)
            }
            Some(_) => false,
        };
        let coding = match against {
            Some(why) => Err(why),
            None if !self.rule.personal && is_personal(request, answer) => {
                Err(Uncompressed::Personal)
            }
            None => self.coding,
        };
        Verdict { coding, varies }
    }

    /// What an answer itself has against being coded.
    fn objection<F: Fields + ?Sized>(&self, answer: &Answer<'_, F>) -> Option<Uncompressed> {
        let Answer { status, head, length, .. } = *answer;
        if matches!(status, 100..=199 | 204 | 205 | 304) {
            return Some(Uncompressed::Status);
        }
        if status == 206 || head.first("content-range").is_some() {
            return Some(Uncompressed::Partial);
        }
        if is_coded(head) {
            return Some(Uncompressed::Encoded);
        }
        let content_type = head.first("content-type").map(media_type::essence);
        if !content_type.is_some_and(|essence| self.rule.means(essence)) {
            return Some(Uncompressed::MediaType);
        }
        if length.is_some_and(|length| length < u64::from(self.rule.min_bytes)) {
            return Some(Uncompressed::TooSmall);
        }
        forbids_transforming(head).then_some(Uncompressed::NoTransform)
    }

    /// Whether the whole that a part or a 304 stands for could be coded. A 304 need not say
    /// which type that is of.
    fn could_code<F: Fields + ?Sized>(&self, answer: &Answer<'_, F>) -> bool {
        let content_type = answer.head.first("content-type").map(media_type::essence);
        content_type.map_or(answer.status == 304, |essence| self.rule.means(essence))
            && !is_coded(answer.head)
            && !forbids_transforming(answer.head)
    }

    /// Whether the Range of a request is not to be heeded (RFC 9110 §14.2 allows that): a date in
    /// If-Range may be that of a coded answer, whose parts are not those of the answer without
    /// coding that ranges are cut from.
    pub fn voids_range(&self, request: &Request<'_, impl Fields + ?Sized>) -> bool {
        let is_date = |condition| ETag::parse(condition).is_none();
        request.has_range
            && self.coding.is_ok()
            && request.fields.first("if-range").is_some_and(is_date)
    }
}

/// The coding that the client likes best, of equals the one that the policy does.
fn choose(rule: &CompressionRule, accepted: &AcceptEncoding) -> Result<Coding, Uncompressed> {
    let mut best: Option<(u16, Coding)> = None;
    for CodingRule { coding, .. } in &rule.codings {
        let weight = accepted.weight(*coding);
        if weight > best.map_or(0, |(weight, _)| weight) {
            best = Some((weight, *coding));
        }
    }
    match best {
        None => Err(Uncompressed::NotAccepted),
        Some((weight, _)) if accepted.identity().is_some_and(|identity| identity > weight) => {
            Err(Uncompressed::IdentityPreferred)
        }
        Some((_, coding)) => Ok(coding),
    }
}

fn is_coded(head: &(impl Fields + ?Sized)) -> bool {
    head.first("content-encoding").is_some()
}

fn forbids_transforming(head: &(impl Fields + ?Sized)) -> bool {
    head.first("cache-control").is_some()
        && ResponseDirectives::parse(head.lines_of("cache-control")).no_transform
}

/// Whether an answer may hold a secret of whoever asks, where somebody else could have made the
/// browser ask: it sends cookies and its own kinds of Authorization unbidden, but no bearer token.
fn is_personal<F: Fields + ?Sized>(
    request: &Request<'_, impl Fields + ?Sized>,
    answer: &Answer<'_, F>,
) -> bool {
    if answer.is_shared {
        return false;
    }
    let said = ResponseDirectives::parse(answer.head.lines_of("cache-control"));
    if said.public || said.s_maxage.is_some() {
        return false;
    }
    let by_token = request.authorization.is_some_and(is_token);
    let unbidden =
        request.fields.first("cookie").is_some() || (request.authorization.is_some() && !by_token);
    unbidden || ((said.private || !said.private_fields.is_empty()) && !by_token)
}

/// Whether a credential is one that only a script of the site itself attaches (RFC 6750, RFC
/// 9449).
fn is_token(authorization: &[u8]) -> bool {
    let scheme = authorization.split(|b| *b == b' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"dpop")
}

#[cfg(test)]
mod tests;
