//! A stored answer as bytes, for stores outside of this process.
//!
//! Lengths stand before texts, and a checksum before all: whatever was not written by this version
//! of this code is no answer, and nothing worse.

use std::hash::Hasher;
use std::io;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::digest::{SHA256, digest};
use siphasher::sip::SipHasher13;
use tidegate_core::headers::Fields;
use tidegate_core::headers::vary::{VariantSignature, Vary};
use tidegate_core::invalidate::{Resource, Tag};
use tidegate_core::policy::Terms;
use tidegate_core::{CacheKey, Stored};

use crate::answer_store::Answer;
use crate::invalidations::LogId;
use crate::stored_head::StoredHead;

/// What every record begins with: a name, and the version of what follows.
const MAGIC: &[u8; 8] = b"tidegat\x01";
/// Magic and checksum.
const PREFIX: usize = 16;
/// Fields of a head at most; no parser of ours takes as many.
const FIELDS_MAX: u32 = 4096;
/// Tags, and names of a Vary, at most.
const NAMES_MAX: u32 = 65_536;
/// Bodies shorter than this gain nothing by being compressed.
const COMPRESSED_MIN: usize = 1024;
/// Quick before small: the network is the next machine.
const LEVEL: i32 = 1;

/// What a record is stored under: an answer of this key, kept under these terms. Neither URL nor
/// user can be read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name([u8; 32]);

/// What is in a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// How far whoever asked for the answer had heard of invalidations then.
    pub heard: LogId,
    /// The facts that decisions need.
    pub stored: Stored,
    /// Which request fields chose it…
    pub vary: Vary,
    /// …and their values then.
    pub signature: VariantSignature,
    /// The resource it is an answer for.
    pub resource: Resource,
    /// What else it is invalidated by.
    pub tags: Vec<Tag>,
    /// The head.
    pub head: StoredHead,
    /// The body.
    pub body: Bytes,
}

impl Name {
    /// The name of the answers of `key` under `terms`.
    pub fn of(key: &CacheKey, terms: Terms) -> Self {
        let mut name = key.as_bytes().to_vec();
        name.extend_from_slice(&terms.as_u64().to_be_bytes());
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest(&SHA256, &name).as_ref()).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// The name as bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Writes an answer, its body compressed where that is wanted and gains something.
pub fn encode(name: &Name, answer: &Answer, compress: bool) -> Vec<u8> {
    let coded = Some(&answer.body).filter(|body| compress && body.len() >= COMPRESSED_MIN);
    let coded = coded.and_then(|body| zstd::bulk::compress(body, LEVEL).ok());
    let coded = coded.filter(|coded| coded.len() < answer.body.len());
    let body = coded.as_deref().unwrap_or(&answer.body);
    let mut to = Vec::with_capacity(body.len() + 1024);
    to.extend_from_slice(MAGIC);
    to.extend_from_slice(&[0; PREFIX - MAGIC.len()]);
    to.extend_from_slice(&name.0);
    to.extend_from_slice(&answer.began.heard().0.to_be_bytes());
    put(&mut to, answer.stored.to_text().as_bytes());
    let names = answer.vary.names();
    put_number(&mut to, names.len());
    names.iter().for_each(|name| put(&mut to, name.as_bytes()));
    put(&mut to, answer.signature.as_bytes());
    put(&mut to, answer.resource.as_str().as_bytes());
    put_number(&mut to, answer.tags.len());
    answer.tags.iter().for_each(|tag| put(&mut to, tag.as_str().as_bytes()));
    put_number(&mut to, answer.head.len());
    for (name, value) in answer.head.lines() {
        put(&mut to, name.as_bytes());
        put(&mut to, value);
    }
    put_number(&mut to, answer.body.len());
    to.push(u8::from(coded.is_some()));
    to.extend_from_slice(body);
    let sum = checksum(&to[PREFIX..]);
    to[MAGIC.len()..PREFIX].copy_from_slice(&sum.to_be_bytes());
    to
}

/// Reads what [`encode`] wrote under this name, if the body has `longest` bytes at most; `None`
/// for anything else.
pub fn decode(name: &Name, bytes: &Bytes, longest: usize) -> Option<Record> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    if checksum(rest) != u64::from_be_bytes(*sum) {
        return None;
    }
    let rest = &mut &*rest;
    if take(rest, 32)? != name.0 {
        return None;
    }
    let heard = LogId(u64::from_be_bytes(*rest.split_off(..8)?.first_chunk()?));
    let stored = Stored::from_text(text(rest)?)?;
    let names = list(rest, NAMES_MAX, text)?;
    let vary = Vary::parse(names.iter().map(|name| name.as_bytes()));
    let signature = VariantSignature::from_bytes(part(rest)?);
    let resource = Resource::from_uri(text(rest)?)?;
    let tags = list(rest, NAMES_MAX, |rest| text(rest).map(Tag::named))?;
    let fields = number(rest).filter(|fields| *fields <= FIELDS_MAX)?;
    let mut head = HeaderMap::with_capacity(usize::try_from(fields).ok()?);
    for _ in 0..fields {
        let name = HeaderName::from_bytes(part(rest)?).ok()?;
        head.try_append(name, HeaderValue::from_bytes(part(rest)?).ok()?).ok()?;
    }
    let length = usize::try_from(number(rest)?).ok().filter(|length| *length <= longest)?;
    let is_coded = take(rest, 1)?[0] == 1;
    let body = match is_coded {
        false => bytes.slice_ref(rest),
        true => decompress(rest, length).ok()?.into(),
    };
    let head = StoredHead::of(&head);
    let record = Record { heard, stored, vary, signature, resource, tags, head, body };
    (record.body.len() == length).then_some(record)
}

fn decompress(coded: &[u8], length: usize) -> io::Result<Vec<u8>> {
    zstd::bulk::decompress(coded, length)
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

fn put_number(to: &mut Vec<u8>, number: usize) {
    // Nothing here has four billion parts.
    to.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}

fn put(to: &mut Vec<u8>, part: &[u8]) {
    put_number(to, part.len());
    to.extend_from_slice(part);
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    rest.split_off(..length)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*take(rest, 4)?.first_chunk()?))
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)?;
    take(rest, usize::try_from(length).ok()?)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    str::from_utf8(part(rest)?).ok()
}

fn list<'a, T>(
    rest: &mut &'a [u8],
    most: u32,
    read: impl Fn(&mut &'a [u8]) -> Option<T>,
) -> Option<Vec<T>> {
    let length = number(rest).filter(|length| *length <= most)?;
    (0..length).map(|_| read(rest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coder::CodedBodies;
    use crate::invalidations::{Invalidations, Moment};
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use tidegate_core::headers::range::ContentRange;
    use tidegate_core::key::KeyRule;
    use tidegate_core::{Host, Identity, Method, Request, Scheme, Target, Timestamp};

    const LONGEST: usize = 1 << 20;

    fn name() -> Name {
        let host = Host::parse("h", Scheme::Http).unwrap();
        let target = Target::parse("/").unwrap();
        let fields = HeaderMap::new();
        let request = Request::read(Method::Get, Scheme::Http, &host, &target, &fields);
        let key = CacheKey::of(&KeyRule::default(), &request, &Identity::Anonymous);
        Name::of(&key, Terms::default())
    }

    fn moment(heard: u64) -> Moment {
        Invalidations::default().begin().of_another(LogId(heard))
    }

    fn answers() -> impl Strategy<Value = Answer> {
        let field = ("[a-z]{1,8}", prop::collection::vec(32_u8..127, 0..20));
        let parts = (
            prop::collection::vec(field, 0..6),
            prop::collection::vec(any::<u8>(), 0..3000),
            prop::collection::vec(any::<String>(), 0..4),
            prop::collection::vec("[a-z-]{1,10}", 0..3),
            any::<[u64; 5]>(),
            any::<u16>(),
            any::<bool>(),
        );
        parts.prop_map(|(fields, body, tags, names, times, status, is_part)| {
            let vary = Vary::parse(names.iter().map(String::as_bytes));
            let head: HeaderMap = fields
                .iter()
                .map(|(name, value)| {
                    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                    (name, HeaderValue::from_bytes(value).unwrap())
                })
                .collect();
            let at = times.map(Timestamp::from_millis);
            let part = is_part.then_some(ContentRange { first: 0, last: 4, complete: None });
            Answer {
                stored: Stored {
                    status,
                    received_at: at[0],
                    initial_age_ms: times[1],
                    fresh_until: at[1],
                    serve_while_refreshing_until: at[2],
                    serve_on_error_until: at[3],
                    forbids_stale: is_part,
                    always_revalidate: !is_part,
                    has_validator: is_part,
                    part,
                },
                signature: vary.signature(&head),
                vary,
                head: StoredHead::of(&head),
                // Half of it gains by being compressed.
                body: if is_part { body.into() } else { vec![b'x'; body.len()].into() },
                coded: CodedBodies::default(),
                coder: None,
                resource: Resource::from_uri("https://a.example/x?y").unwrap(),
                tags: tags.into_iter().map(Tag::named).collect(),
                terms: Terms::default(),
                began: moment(times[4]),
            }
        })
    }

    fn read(answer: &Answer) -> Record {
        Record {
            heard: answer.began.heard(),
            stored: answer.stored,
            vary: answer.vary.clone(),
            signature: answer.signature.clone(),
            resource: answer.resource.clone(),
            tags: answer.tags.to_vec(),
            head: answer.head.clone(),
            body: answer.body.clone(),
        }
    }

    /// Makes the checksum fit, as if somebody had written this on purpose.
    fn summed(mut bytes: Vec<u8>) -> Bytes {
        if let Some(rest) = bytes.get(PREFIX..) {
            let sum = checksum(rest).to_be_bytes();
            bytes[MAGIC.len()..PREFIX].copy_from_slice(&sum);
        }
        bytes.into()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(answer in answers(), compress: bool) {
            let bytes = Bytes::from(encode(&name(), &answer, compress));
            prop_assert_eq!(decode(&name(), &bytes, LONGEST), Some(read(&answer)));
            let is_smaller = bytes.len() < answer.body.len();
            prop_assert!(!is_smaller || compress);
            let shorter = answer.body.len().saturating_sub(1);
            let fits = decode(&name(), &bytes, shorter).is_some();
            prop_assert_eq!(fits, answer.body.is_empty());
        }

        #[test]
        fn what_was_changed_or_cut_is_nothing(
            answer in answers(),
            at: prop::sample::Index,
            flip in 1_u8..,
        ) {
            let bytes = encode(&name(), &answer, true);
            let at = at.index(bytes.len());
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            prop_assert_eq!(decode(&name(), &changed.into(), LONGEST), None);
            prop_assert_eq!(decode(&name(), &bytes[..at].to_vec().into(), LONGEST), None);
        }

        #[test]
        fn no_bytes_are_more_than_nothing_or_an_answer(
            answer in answers(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut: prop::sample::Index,
            noise in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut bytes = encode(&name(), &answer, true);
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = decode(&name(), &summed(bytes.clone()), LONGEST);
            bytes.truncate(cut.index(bytes.len()));
            let _ = decode(&name(), &summed(bytes), LONGEST);
            let noise = [MAGIC.as_slice(), &[0; 8], &name().0, &noise].concat();
            prop_assert_eq!(decode(&name(), &noise.clone().into(), LONGEST), None);
            let _ = decode(&name(), &summed(noise), LONGEST);
        }
    }

    #[test]
    fn names_of_other_keys_and_terms_are_others() {
        let bytes = |name: &Name| {
            let answer = answers().new_tree(&mut Default::default()).unwrap().current();
            Bytes::from(encode(name, &answer, false))
        };
        let other = Name([7; 32]);
        assert!(decode(&other, &bytes(&name()), LONGEST).is_none());
        assert!(decode(&other, &bytes(&other), LONGEST).is_some());
    }
}
