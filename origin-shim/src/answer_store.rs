//! Where stored answers live in this process: in memory, bounded in bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, EntryAction};
use tidegate_core::compress::Coding;
use tidegate_core::headers::vary::{VariantSignature, Vary};
use tidegate_core::invalidate::{Resource, Tag};
use tidegate_core::policy::Terms;
use tidegate_core::{CacheKey, Lookup, Stored, Timestamp};

use crate::alike::AlikeIndex;
use crate::coder::{CodedBodies, Coder};
use crate::invalidations::{Invalidations, Moment};
use crate::stored_head::StoredHead;

/// Most variants kept of one resource; the oldest goes first.
const VARIANTS_MAX: usize = 32;

/// What an answer costs besides its texts and bodies: itself, its places in tables, and what the
/// allocator adds to a dozen parts. Found by measuring: `cargo xtask bench soak`.
const OVERHEAD: usize = size_of::<Answer>() + 400;

/// A stored answer. Never changed once stored; a refresh puts another in its place.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The facts that decisions need.
    pub stored: Stored,
    /// The head, without what is never stored.
    pub head: StoredHead,
    /// The whole body, or the part that [`Stored::part`] says.
    pub body: Bytes,
    /// The body in the codings that it has been compressed to…
    pub coded: CodedBodies,
    /// …and who makes them; nobody on a route that compresses nothing.
    pub coder: Option<Arc<Coder>>,
    /// The resource it is an answer for: all its answers are invalidated together.
    pub resource: Resource,
    /// What else it is invalidated by.
    pub tags: Arc<[Tag]>,
    /// Under which terms of the policy it was stored.
    pub terms: Terms,
    /// When it was asked for.
    pub began: Moment,
    /// Which request fields chose it…
    pub vary: Vary,
    /// …and their values then.
    pub signature: VariantSignature,
}

/// How much a store holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// About how many bytes, heads and bookkeeping included.
    pub bytes: u64,
    /// How many answers; as many as the bytes allow without it.
    pub answers: Option<u64>,
    /// The bytes of one body.
    pub object: usize,
}

/// Stored answers by key. Evicts what is used least when the bytes run out, and keeps
/// answers that are used often through a scan.
#[derive(Debug)]
pub struct AnswerStore {
    entries: Cache<CacheKey, Variants, Weigh>,
    invalidations: Arc<Invalidations>,
    alike: AlikeIndex,
    bounds: Bounds,
}

type Variants = Arc<[Arc<Answer>]>;

/// Weighs answers in bytes, but none for less than its share of a store that is bounded in
/// answers too: so neither bound is passed, and one policy of eviction sees to both.
#[derive(Clone, Debug)]
struct Weigh {
    least: u64,
}

impl AnswerStore {
    /// A store within `bounds`, whose answers are invalidated by `invalidations`.
    pub fn new(bounds: Bounds, invalidations: Arc<Invalidations>) -> Self {
        // Sizing the table for 16 KiB an object; it grows where they are smaller.
        let by_bytes = bounds.bytes / 16_384;
        let estimate = bounds.answers.map_or(by_bytes, |answers| answers.min(by_bytes));
        let estimate = usize::try_from(estimate).unwrap_or(usize::MAX);
        let least = bounds.answers.map_or(0, |answers| bounds.bytes.div_ceil(answers.max(1)));
        let entries = Cache::with_weighter(estimate, bounds.bytes, Weigh { least });
        Self { entries, invalidations, alike: AlikeIndex::default(), bounds }
    }

    /// A store within other bounds that holds what this one does, as far as that fits. What is
    /// stored here from then on does not get there.
    pub fn resized(&self, bounds: Bounds) -> Self {
        let resized = Self::new(bounds, Arc::clone(&self.invalidations));
        self.entries.iter().for_each(|(key, variants)| resized.entries.insert(key, variants));
        resized
    }

    /// How much it holds at most.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// How many URLs have answers here.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// What they take, heads and bookkeeping included.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// The largest body that is stored, in bytes.
    pub fn object_max(&self) -> usize {
        self.bounds.object
    }

    /// The answer stored under these terms for a request with these fields.
    pub fn find(&self, key: &CacheKey, terms: Terms, request: &HeaderMap) -> Lookup<Arc<Answer>> {
        let Some(variants) = self.entries.get(key) else { return Lookup::Nothing };
        // The most recent of those that match (RFC 9111 §4.1) stands last.
        match variants.iter().rev().find(|answer| answer.suits(request)) {
            Some(answer) if self.holds(answer, terms) => Lookup::Found(Arc::clone(answer)),
            None if variants.iter().any(|answer| self.holds(answer, terms)) => {
                Lookup::OtherVariants
            }
            Some(_) | None => Lookup::Nothing,
        }
    }

    /// What chooses the answer to a request with these fields, by the Vary of the latest answer
    /// that is stored; empty without any.
    pub fn variant(&self, key: &CacheKey, request: &HeaderMap) -> VariantSignature {
        let variants = self.entries.get(key);
        let latest = variants.as_ref().and_then(|variants| variants.last());
        latest.map(|answer| answer.vary.signature(request)).unwrap_or_default()
    }

    /// All answers that a request with these fields could have chosen (RFC 9111 §4.3.4),
    /// `chosen` last.
    pub fn candidates(
        &self,
        key: &CacheKey,
        request: &HeaderMap,
        chosen: &Arc<Answer>,
    ) -> Vec<Arc<Answer>> {
        let variants = self.entries.get(key);
        let others = variants.iter().flat_map(|variants| variants.iter()).filter(|answer| {
            !answer.is_or_has_body_of(chosen)
                && answer.suits(request)
                && self.holds(answer, chosen.terms)
        });
        others.chain([chosen]).cloned().collect()
    }

    /// Whether an answer counts under these terms, and nothing has invalidated it.
    fn holds(&self, answer: &Answer, terms: Terms) -> bool {
        answer.terms == terms && self.is_good(answer)
    }

    /// Which queries answers of this store suit besides their own.
    pub fn alike(&self) -> &AlikeIndex {
        &self.alike
    }

    /// Stores an answer in place of the one that the same request fields chose.
    ///
    /// Two answers for one key that arrive at the same instant may leave only one behind,
    /// which costs a later miss.
    pub fn put(&self, key: CacheKey, answer: Answer, now: Timestamp) -> Arc<Answer> {
        self.store(key, None, answer, now)
    }

    /// Stores an answer in place of `old`, whose successor it is, though other request fields
    /// may choose it by now.
    pub fn replace(
        &self,
        key: CacheKey,
        old: &Answer,
        answer: Answer,
        now: Timestamp,
    ) -> Arc<Answer> {
        self.store(key, Some(old), answer, now)
    }

    fn store(
        &self,
        key: CacheKey,
        old: Option<&Answer>,
        answer: Answer,
        now: Timestamp,
    ) -> Arc<Answer> {
        let is_old = |other: &Arc<Answer>| old.is_some_and(|old| other.is_or_has_body_of(old));
        let before = self.entries.get(&key);
        let mut variants: Vec<Arc<Answer>> = before
            .iter()
            .flat_map(|variants| variants.iter())
            .filter(|other| !is_old(other) && !other.is_replaced_by(&answer))
            .filter(|other| now < other.stored.useful_until())
            .cloned()
            .collect();
        let surplus = (variants.len() + 1).saturating_sub(VARIANTS_MAX);
        variants.drain(..surplus);
        let answer = Arc::new(answer);
        variants.push(Arc::clone(&answer));
        self.entries.insert(key, variants.into());
        answer
    }

    /// Puts a coded body beside the one that `coder` has made it of, if that is still stored.
    pub(crate) fn attach(&self, key: &CacheKey, coder: &Arc<Coder>, coding: Coding, coded: Bytes) {
        if !self.entries.contains_key(key) {
            return;
        }
        // What is weighed anew is the entry as this leaves it.
        let attached = self.entries.entry(key, Some(Duration::ZERO), |_, variants| {
            let with = |answer: &Arc<Answer>| match answer.is_coded_by(coder) {
                false => Arc::clone(answer),
                true => {
                    let mut answer = Answer::clone(answer);
                    answer.coded = answer.coded.with(coding, coded.clone());
                    Arc::new(answer)
                }
            };
            *variants = variants.iter().map(with).collect();
            EntryAction::Retain(())
        });
        drop(attached);
    }

    /// All answers with their keys.
    pub fn all(&self) -> impl Iterator<Item = (CacheKey, Arc<Answer>)> {
        let entries = self.entries.iter();
        entries.flat_map(|(key, variants)| {
            variants.iter().map(|answer| (key.clone(), Arc::clone(answer))).collect::<Vec<_>>()
        })
    }

    /// Whether nothing has invalidated an answer.
    pub fn is_good(&self, answer: &Answer) -> bool {
        !self.invalidations.cover(&answer.resource, &answer.tags, answer.began)
    }

    /// Forgets all answers.
    pub fn clear(&self) {
        self.entries.clear();
    }

    /// Forgets all variants of an answer.
    pub fn remove(&self, key: &CacheKey) {
        self.entries.remove(key);
    }
}

impl Answer {
    /// The same answer under new terms, with its head brought up to date by the answer to
    /// `request`, whose fields chose it as well (RFC 9111 §4.1).
    pub fn renewed(
        &self,
        (stored, vary): (Stored, Vary),
        head: StoredHead,
        request: &HeaderMap,
        began: Moment,
    ) -> Self {
        Self {
            stored: Stored { part: self.stored.part, ..stored },
            head,
            body: self.body.clone(),
            coded: self.coded.clone(),
            coder: self.coder.clone(),
            signature: vary.signature(request),
            vary,
            resource: self.resource.clone(),
            tags: Arc::clone(&self.tags),
            terms: self.terms,
            began,
        }
    }

    fn suits(&self, request: &HeaderMap) -> bool {
        self.vary.suits(&self.signature, request)
    }

    fn is_coded_by(&self, coder: &Arc<Coder>) -> bool {
        self.coder.as_ref().is_some_and(|own| Arc::ptr_eq(own, coder))
    }

    /// Whether this is `other`, or what became of it when a coded body was put beside its own.
    fn is_or_has_body_of(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || other.coder.as_ref().is_some_and(|coder| self.is_coded_by(coder))
    }

    fn is_replaced_by(&self, other: &Self) -> bool {
        self.vary == other.vary && self.signature == other.signature
    }

    fn weight(&self) -> usize {
        let tags: usize = self.tags.iter().map(|tag| tag.as_str().len() + 40).sum();
        let names = self.resource.as_str().len() + self.signature.as_bytes().len();
        let bodies = self.body.len() + self.coded.len();
        OVERHEAD + self.head.bytes() + tags + names + bodies
    }
}

impl tidegate_core::reuse::Answer for Answer {
    fn stored(&self) -> &Stored {
        &self.stored
    }
}

impl Weighter<CacheKey, Variants> for Weigh {
    fn weight(&self, key: &CacheKey, variants: &Variants) -> u64 {
        // Each has its key once more, to put coded bodies beside its own.
        let of = |answer: &Arc<Answer>| (2 * key.as_bytes().len() + answer.weight()) as u64;
        variants.iter().map(|answer| of(answer).max(self.least)).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::invalidations::Void;
    use tidegate_core::key::KeyRule;
    use tidegate_core::{Host, Identity, Method, Request, Scheme, Target};

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn with_request<T>(path: &str, look: impl FnOnce(&Request<'_, HeaderMap>) -> T) -> T {
        let host = Host::parse("h", Scheme::Http).unwrap();
        let target = Target::parse(path).unwrap();
        let fields = HeaderMap::new();
        look(&Request::read(Method::Get, Scheme::Http, &host, &target, &fields))
    }

    fn key(path: &str) -> CacheKey {
        with_request(path, |request| {
            CacheKey::of(&KeyRule::default(), request, &Identity::Anonymous)
        })
    }

    fn resource(path: &str) -> Resource {
        with_request(path, Resource::of)
    }

    fn request(language: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::header::ACCEPT_LANGUAGE, language.parse().unwrap())])
    }

    pub(crate) fn answer(body: &'static [u8], vary: &'static str, asked: &HeaderMap) -> Answer {
        let vary = Vary::parse([vary.as_bytes()].into_iter());
        Answer {
            stored: Stored {
                status: 200,
                received_at: NOW,
                initial_age_ms: 0,
                fresh_until: Timestamp::MAX,
                serve_while_refreshing_until: NOW,
                serve_on_error_until: NOW,
                forbids_stale: false,
                always_revalidate: false,
                has_validator: false,
                part: None,
            },
            head: StoredHead::default(),
            body: Bytes::from_static(body),
            coded: CodedBodies::default(),
            coder: None,
            resource: resource("/"),
            tags: Arc::default(),
            terms: Terms::default(),
            began: Invalidations::default().begin(),
            signature: vary.signature(asked),
            vary,
        }
    }

    fn within(bytes: u64, answers: Option<u64>) -> AnswerStore {
        AnswerStore::new(Bounds { bytes, answers, object: 1 << 16 }, Arc::default())
    }

    fn store() -> AnswerStore {
        within(1 << 20, None)
    }

    #[test]
    fn variants_are_told_apart_and_the_latest_match_wins() {
        let store = store();
        let (de, en) = (request("de"), request("en"));
        let found = |asked: &HeaderMap| match store.find(&key("/"), Terms::default(), asked) {
            Lookup::Found(answer) => Some(answer.body.clone()),
            Lookup::OtherVariants => None,
            Lookup::Nothing => panic!("something is stored"),
        };
        store.put(key("/"), answer(b"hallo", "accept-language", &de), NOW);
        assert_eq!(found(&en), None);
        store.put(key("/"), answer(b"hello", "accept-language", &en), NOW);
        assert_eq!(found(&de).unwrap(), "hallo");
        assert_eq!(found(&en).unwrap(), "hello");
        store.put(key("/"), answer(b"servus", "accept-language", &de), NOW);
        assert_eq!(found(&de).unwrap(), "servus");
        store.put(key("/"), answer(b"any", "", &de), NOW);
        assert_eq!(found(&de).unwrap(), "any");
        assert_eq!(found(&en).unwrap(), "any");
    }

    #[test]
    fn candidates_are_all_that_suit_and_the_chosen_one_is_last() {
        let store = store();
        let (de, en) = (request("de"), request("en"));
        let began = store.invalidations.begin();
        let hallo = Answer { began, ..answer(b"hallo", "accept-language", &de) };
        store.put(key("/"), hallo, NOW);
        store.put(key("/"), answer(b"hello", "accept-language", &en), NOW);
        store.put(key("/"), answer(b"any", "", &de), NOW);
        let Lookup::Found(chosen) = store.find(&key("/"), Terms::default(), &de) else {
            panic!("it is stored")
        };
        let bodies = |asked: &HeaderMap| -> Vec<Bytes> {
            let found = store.candidates(&key("/"), asked, &chosen);
            found.iter().map(|answer| answer.body.clone()).collect()
        };
        assert_eq!(bodies(&de), ["hallo", "any"]);
        assert_eq!(bodies(&en), ["hello", "any"]);
        store.invalidations.invalidate([&Void::Resource(resource("/"))]);
        assert_eq!(bodies(&de), ["any"]);
        assert_eq!(store.candidates(&key("/other"), &de, &chosen).len(), 1);
    }

    #[test]
    fn c4_an_invalidation_takes_all_variants_and_what_is_on_its_way() {
        let store = store();
        let (de, en) = (request("de"), request("en"));
        let on_its_way = Answer { began: store.invalidations.begin(), ..answer(b"late", "", &de) };
        store.put(key("/"), answer(b"hallo", "accept-language", &de), NOW);
        store.invalidations.invalidate([&Void::Resource(resource("/"))]);
        for asked in [&de, &en] {
            assert!(matches!(store.find(&key("/"), Terms::default(), asked), Lookup::Nothing));
        }
        store.put(key("/"), on_its_way, NOW);
        assert!(matches!(store.find(&key("/"), Terms::default(), &de), Lookup::Nothing));
        let later = Answer { began: store.invalidations.begin(), ..answer(b"later", "", &de) };
        store.put(key("/"), later, NOW);
        assert!(matches!(store.find(&key("/"), Terms::default(), &de), Lookup::Found(_)));
    }

    #[test]
    fn p3_c8_a_coded_body_is_weighed_and_goes_with_the_answer() {
        let store = Arc::new(store());
        let coder = Coder::new(key("/"));
        let made_of = |body| Answer {
            coder: Some(Arc::clone(&coder)),
            ..answer(body, "", &HeaderMap::new())
        };
        let coded = || match store.find(&key("/"), Terms::default(), &HeaderMap::new()) {
            Lookup::Found(answer) => answer.coded.get(Coding::Br).cloned(),
            Lookup::OtherVariants | Lookup::Nothing => panic!("it is stored"),
        };
        store.put(key("/"), made_of(b"text"), NOW);
        assert_eq!(coded(), None);
        let before = store.entries.weight();
        coder.keep(&store, Coding::Br, Bytes::from_static(&[0; 1000]));
        assert_eq!(store.entries.weight(), before + 1000);
        assert_eq!(coded().unwrap().len(), 1000);

        let other = answer(b"another", "", &HeaderMap::new());
        store.put(key("/"), other, NOW);
        coder.keep(&store, Coding::Gzip, Bytes::from_static(&[0; 1000]));
        assert_eq!(coded(), None, "made of another body");
        store.remove(&key("/"));
        coder.keep(&store, Coding::Gzip, Bytes::from_static(&[0; 1000]));
        assert_eq!(store.entries.weight(), 0);
    }

    #[test]
    fn variants_of_one_resource_are_bounded() {
        let store = store();
        for number in 0..200 {
            let asked = HeaderMap::from_iter([(http::header::ACCEPT, number.into())]);
            store.put(key("/"), answer(b"x", "accept", &asked), NOW);
        }
        assert_eq!(store.entries.get(&key("/")).unwrap().len(), VARIANTS_MAX);
    }

    #[test]
    fn bytes_are_bounded_under_a_scan() {
        let store = store();
        for number in 0..10_000 {
            store.put(key(&format!("/{number}")), answer(&[0; 1024], "", &HeaderMap::new()), NOW);
        }
        assert!(store.entries.weight() <= 1 << 20, "{}", store.entries.weight());
    }

    /// Most of what a crawler asks for nobody asks for again.
    #[test]
    fn a_scan_does_not_push_out_what_is_asked_for_often() {
        let store = store();
        let is_there = |path: &str| {
            matches!(store.find(&key(path), Terms::default(), &HeaderMap::new()), Lookup::Found(_))
        };
        let put = |path: &str| {
            let answer = answer(&[0; 1024], "", &HeaderMap::new());
            store.put(key(path), answer, NOW);
        };
        let popular: Vec<String> = (0..200).map(|number| format!("/popular/{number}")).collect();
        popular.iter().for_each(|path| put(path));
        for _ in 0..3 {
            assert!(popular.iter().all(|path| is_there(path)), "they fit");
        }
        // Twenty times what the store holds.
        (0..15_000).for_each(|number| put(&format!("/scan/{number}")));
        let left = popular.iter().filter(|path| is_there(path)).count();
        assert!(left >= 190, "{left} of {}", popular.len());
        let scanned = (0..15_000).filter(|number| is_there(&format!("/scan/{number}"))).count();
        assert!(scanned > 100, "the rest of it is for what is new: {scanned}");
    }

    #[test]
    fn c8_answers_are_bounded_in_number_and_in_bytes() {
        for (capacity, size) in [(50, 1), (1000, 1), (1000, 4096)] {
            let store = within(1 << 20, Some(capacity));
            let body = vec![0; size].leak();
            for number in 0..5000 {
                store.put(key(&format!("/{number}")), answer(body, "", &HeaderMap::new()), NOW);
            }
            assert!(store.entries.len() as u64 <= capacity, "{}", store.entries.len());
            assert!(store.entries.weight() <= 1 << 20, "{}", store.entries.weight());
            let fitting = capacity.min((1 << 20) / (size as u64 + 300));
            assert!(store.entries.len() as u64 >= fitting / 2, "{}", store.entries.len());
        }
    }
}
