//! In which coding an answer leaves, and what that makes of its head and body.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response};
use http_body::Body as _;
use tidegate_core::compress::{self, Coding, Uncompressed, Verdict, fields, tag};
use tidegate_core::headers::{Fields, FieldsMut, Vary};
use tidegate_core::{Method, Store};

use super::Passage;
use crate::body::Body;
use crate::compressing::{Compressing, Record};
use crate::encoder::Encoder;

impl Passage<'_> {
    /// In which coding an answer leaves; `None` where the policy compresses nothing.
    pub(super) fn verdict(
        &self,
        status: u16,
        head: &(impl Fields + ?Sized),
        length: Option<u64>,
        is_kept: bool,
    ) -> Option<Verdict> {
        let is_shared = is_kept && self.plan.cache.is_ok_and(|rule| !rule.key.is_personal());
        let answer = compress::Answer { status, head, length, is_shared };
        Some(self.offer?.decide(self.asked, &answer))
    }

    /// Whether the client says that it has the answer with this head in a coding of ours.
    pub(super) fn has_coded(&self, head: &(impl Fields + ?Sized)) -> bool {
        let (request, etag) = (&self.parts.headers, head.first("etag"));
        self.offer.is_some_and(|offer| tag::client_has_coded(&offer, request, etag))
    }

    /// Whether the request's Range counts.
    pub(super) fn has_range(&self) -> bool {
        self.asked.has_range && !self.offer.is_some_and(|offer| offer.voids_range(self.asked))
    }

    /// What tells variants of an answer with this head apart. Where we compress, the origin is
    /// asked for the same coding whoever asks; it counts all the same where the origin does not
    /// heed that. Files that were compressed beforehand are each a variant of its own.
    pub(super) fn own_variance(&self, decision: Store, head: &HeaderMap) -> Store {
        match decision {
            Store::Keep { stored, vary: vary @ Vary::Fields(_) }
                if self.offer.is_some()
                    && !head.contains_key("content-encoding")
                    && !self.has_coded_files() =>
            {
                Store::Keep { stored, vary: vary.without("accept-encoding") }
            }
            decision => decision,
        }
    }

    /// Whether a folder answers that has files in several codings.
    pub(super) fn has_coded_files(&self) -> bool {
        let name = self.plan.route.and_then(|route| route.upstream.as_ref());
        let folder = name.and_then(|name| self.in_force.folders.of(name));
        folder.is_some_and(|folder| folder.is_precompressed())
    }

    /// Compresses the body of an answer from upstream that came with `head`, if that is to be,
    /// and says in its head what it is. `record` is where the coded body goes as well.
    pub(super) fn compress(
        &self,
        response: &mut Response<Body>,
        head: &HeaderMap,
        is_kept: bool,
        record: impl FnOnce(Coding) -> Option<Record>,
    ) {
        let Some(offer) = self.offer else { return };
        let status = response.status().as_u16();
        let length = match self.asked.method {
            Method::Head => content_length(head),
            _ => response.body().size_hint().exact(),
        };
        let Some(mut verdict) = self.verdict(status, head, length, is_kept) else { return };
        // A HEAD says what a GET would, without the body.
        if let Some(coding) = verdict.coding.ok().filter(|_| self.asked.method != Method::Head) {
            match Encoder::new(coding, offer.level(coding)) {
                Err(_) => verdict.coding = Err(Uncompressed::NoEncoder),
                Ok(encoder) => {
                    let body = std::mem::replace(response.body_mut(), Body::empty());
                    let compressing = Compressing::new(body, encoder, record(coding));
                    *response.body_mut() = Body::Compressing(Box::new(compressing));
                }
            }
        }
        self.describe(response.headers_mut(), status, head, Some(&verdict));
    }

    /// Says what the body of an answer with this status and `head` is.
    pub(super) fn describe(
        &self,
        fields: &mut impl FieldsMut,
        status: u16,
        head: &(impl Fields + ?Sized),
        verdict: Option<&Verdict>,
    ) {
        let (Some(offer), Some(verdict)) = (self.offer, verdict) else { return };
        fields::write(fields, head, verdict);
        if status == 304 {
            fields::write_not_modified(fields, &offer, &self.parts.headers, head);
        }
    }
}

fn content_length(head: &HeaderMap) -> Option<u64> {
    head.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
