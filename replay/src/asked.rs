//! One request of the past, and what it was answered: what an engine is fed with, be it read from
//! a log or made up.

use std::net::IpAddr;
use std::time::Duration;

use tidegate_core::{Scheme, Timestamp};

/// A field line: the name in lower case, and the raw value.
pub type Field<'a> = (&'a str, &'a [u8]);

/// A request, and the answer that the origin gave. Borrows from wherever it was read; what is not
/// known stays empty, and an [`Assumptions`](crate::Assumptions) takes its place.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// When it came.
    pub at: Timestamp,
    /// For how long it was answered, if that is known. A log that is written behind the answer has
    /// it taken off [`Self::at`] already.
    pub took: Option<Duration>,
    /// Who asked.
    pub client: Option<IpAddr>,
    /// The user that was authenticated; none for an anonymous client.
    pub user: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The scheme.
    pub scheme: Option<Scheme>,
    /// The Host field.
    pub host: Option<&'a str>,
    /// The target in origin form: `/path?query`.
    pub target: &'a str,
    /// The request's fields, as far as they are known.
    pub fields: &'a [Field<'a>],
    /// These are all that caching looks at: none of them is missing because a log lacks it.
    pub has_all_fields: bool,
    /// The status of the answer.
    pub status: u16,
    /// The bytes of its body.
    pub bytes: u64,
    /// What its head said of caching; `None` where nobody knows.
    pub answer: Option<&'a [Field<'a>]>,
}
