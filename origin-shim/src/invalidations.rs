//! What was invalidated, and whether an answer began before that.
//!
//! Requests and invalidations share one count. An answer takes its number before it is asked
//! for, so that an invalidation is never overtaken by a store that began before it, whatever
//! clocks do. Where shims tell each other what they invalidate, it takes along how far this one
//! had heard of that, so that others can tell, too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidegate_core::Timestamp;
use tidegate_core::invalidate::{Resource, Tag};
use tidegate_core::purge::{Purge, Purges};

/// Resources and tags remembered one by one. Beyond that the older half becomes one line in time, behind
/// which every answer counts as invalidated.
const REMEMBERED_MAX: usize = 1 << 16;

/// A place in the order of requests and invalidations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    count: u64,
    heard: LogId,
}

/// A place in the log by which shims tell each other what they invalidate; later ones are
/// greater. The least comes before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogId(pub u64);

/// Something that is void.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Void {
    /// All answers for a resource.
    Resource(Resource),
    /// All answers with a tag.
    Tag(Tag),
    /// All answers to requests for a URL, or for a path on all hosts.
    Url(String),
    /// All answers to requests for what begins like this.
    Prefix(String),
    /// All answers.
    Everything,
}

/// The invalidations that count in this process.
#[derive(Debug, Default)]
pub struct Invalidations {
    /// The last number given out.
    count: AtomicU64,
    /// The number of the last invalidation: what began later needs no closer look.
    last: AtomicU64,
    /// How far the log of all shims was heard.
    heard: AtomicU64,
    remembered: Mutex<Voids>,
}

/// What is void, and since when, as a number: what has a lower one began before.
#[derive(Debug, Default)]
pub struct Voids {
    by_resource: HashMap<Resource, u64>,
    by_tag: HashMap<Tag, u64>,
    /// These numbers stand for times there: both only say what came before what.
    purges: Purges,
    /// Everything that began before this is void.
    floor: u64,
}

impl Moment {
    /// How far the log was heard by then: an answer that was asked for later is older than
    /// nothing of that.
    pub const fn heard(self) -> LogId {
        self.heard
    }

    /// The moment of an answer that another shim asked for when it had heard so much, and that was
    /// found good after this moment.
    #[must_use]
    pub const fn of_another(self, heard: LogId) -> Self {
        Self { heard, ..self }
    }
}

impl Invalidations {
    /// The moment in which an answer begins: take it before asking upstream.
    pub fn begin(&self) -> Moment {
        let heard = LogId(self.heard.load(Ordering::Acquire));
        Moment { count: self.next(), heard }
    }

    fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Invalidates what has begun.
    pub fn invalidate<'v>(&self, voids: impl IntoIterator<Item = &'v Void>) {
        let mut remembered = self.remembered();
        let now = self.next();
        voids.into_iter().for_each(|void| remembered.add(void, now));
        self.last.store(now, Ordering::Release);
    }

    /// All that others have invalidated up to here was invalidated here as well.
    pub fn has_heard(&self, heard: LogId) {
        self.heard.store(heard.0, Ordering::Release);
    }

    /// Whether an answer for `resource` with these tags that began at `moment` has been
    /// invalidated.
    pub fn cover(&self, resource: &Resource, tags: &[Tag], moment: Moment) -> bool {
        moment.count <= self.last.load(Ordering::Acquire)
            && self.remembered().cover(resource, tags, moment.count)
    }

    fn remembered(&self) -> MutexGuard<'_, Voids> {
        // Insertions are whole whatever panics around them.
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Voids {
    /// Nothing, of all that began at `floor` or later; of what began before nobody knows, so that
    /// it counts as void.
    pub fn since(floor: u64) -> Self {
        Self { floor, ..Self::default() }
    }

    /// Remembers that this is void since `at`.
    pub fn add(&mut self, void: &Void, at: u64) {
        let purge = match void {
            Void::Resource(resource) => {
                note(&mut self.by_resource, resource, at);
                None
            }
            Void::Tag(tag) => {
                note(&mut self.by_tag, tag, at);
                None
            }
            // What nobody can read may mean anything.
            Void::Url(text) => Some(Purge::url(text).unwrap_or(Purge::everything())),
            Void::Prefix(text) => Some(Purge::prefix(text).unwrap_or(Purge::everything())),
            Void::Everything => Some(Purge::everything()),
        };
        if let Some(purge) = purge {
            self.purges.add(&purge, Timestamp::from_millis(at));
        }
        if self.by_resource.len() + self.by_tag.len() > REMEMBERED_MAX {
            self.forget_the_older_half();
        }
    }

    /// Whether an answer for `resource` with these tags that began at `at` is void.
    pub fn cover(&self, resource: &Resource, tags: &[Tag], at: u64) -> bool {
        let by_resource = self.by_resource.get(resource).into_iter();
        let by_tag = tags.iter().filter_map(|tag| self.by_tag.get(tag));
        by_resource.chain(by_tag).chain([&self.floor]).any(|since| at < *since)
            || self.is_purged(resource, at)
    }

    fn is_purged(&self, resource: &Resource, at: u64) -> bool {
        // A purge of that very moment is of what began before it.
        let began = Timestamp::from_millis(at.saturating_add(1));
        if !self.purges.any_since(began) {
            return false;
        }
        let nothing: [&str; 0] = [];
        match resource.address() {
            Some((_, host, target)) => self.purges.void(&host, &target, nothing, began),
            None => true,
        }
    }

    fn forget_the_older_half(&mut self) {
        let all = self.by_resource.values().chain(self.by_tag.values());
        let mut moments: Vec<u64> = all.copied().collect();
        let middle = moments.len() / 2;
        let (_, median, _) = moments.select_nth_unstable(middle);
        self.floor = self.floor.max(*median);
        self.by_resource.retain(|_, moment| *moment > self.floor);
        self.by_tag.retain(|_, moment| *moment > self.floor);
    }
}

/// Notes the latest moment of something.
fn note<K: Clone + Eq + std::hash::Hash>(all: &mut HashMap<K, u64>, key: &K, at: u64) {
    match all.get_mut(key) {
        Some(known) => *known = at.max(*known),
        None => drop(all.insert(key.clone(), at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::{Host, Method, Request, Scheme, Target};

    fn resource(path: &str) -> Resource {
        let host = Host::parse("h", Scheme::Http).unwrap();
        let target = Target::parse(path).unwrap();
        let fields = http::HeaderMap::new();
        Resource::of(&Request::read(Method::Get, Scheme::Http, &host, &target, &fields))
    }

    #[test]
    fn c4_what_began_before_is_covered_and_what_begins_after_is_not() {
        let invalidations = Invalidations::default();
        let before = invalidations.begin();
        invalidations.invalidate([&Void::Resource(resource("/a"))]);
        let after = invalidations.begin();
        assert!(invalidations.cover(&resource("/a"), &[], before));
        assert!(!invalidations.cover(&resource("/a"), &[], after));
        assert!(!invalidations.cover(&resource("/b"), &[], before));
    }

    #[test]
    fn c4_a_tag_covers_all_that_carry_it() {
        let invalidations = Invalidations::default();
        let before = invalidations.begin();
        let [team, other] = ["team:42", "team:7"].map(Tag::named);
        invalidations.invalidate([&Void::Tag(team.clone())]);
        let tagged = [other.clone(), team];
        assert!(invalidations.cover(&resource("/a"), &tagged, before));
        assert!(invalidations.cover(&resource("/b"), &tagged[1..], before));
        assert!(!invalidations.cover(&resource("/a"), &[other], before));
        assert!(!invalidations.cover(&resource("/a"), &tagged, invalidations.begin()));
    }

    #[test]
    fn memory_is_bounded_and_nothing_invalidated_comes_back() {
        let invalidations = Invalidations::default();
        let before = invalidations.begin();
        for number in 0..REMEMBERED_MAX / 2 + 2 {
            let tag = Tag::named(format!("tag:{number}"));
            let path = Void::Resource(resource(&format!("/{number}")));
            invalidations.invalidate([&path, &Void::Tag(tag)]);
        }
        {
            let remembered = invalidations.remembered.lock().unwrap();
            assert!(remembered.by_resource.len() + remembered.by_tag.len() <= REMEMBERED_MAX);
        }
        let tag = [Tag::named("tag:0")];
        assert!(invalidations.cover(&resource("/0"), &[], before));
        assert!(invalidations.cover(&resource("/else"), &tag, before));
        assert!(!invalidations.cover(&resource("/0"), &tag, invalidations.begin()));
    }

    #[test]
    fn c4_urls_prefixes_and_everything_cover_what_began_before() {
        for (void, covered, others) in [
            (Void::Url("/a?b".into()), vec!["/a?b"], vec!["/a", "/a?b1", "/a/"]),
            (Void::Url("https://h/a".into()), vec!["/a"], vec!["/b"]),
            (Void::Url("https://other/a".into()), vec![], vec!["/a"]),
            (Void::Prefix("/a/".into()), vec!["/a/", "/a/b?c"], vec!["/a", "/b"]),
            (Void::Everything, vec!["/", "/a?b"], vec![]),
            (Void::Url("what nobody reads".into()), vec!["/"], vec![]),
        ] {
            let invalidations = Invalidations::default();
            let before = invalidations.begin();
            invalidations.invalidate([&void]);
            let after = invalidations.begin();
            for path in &covered {
                assert!(invalidations.cover(&resource(path), &[], before), "{void:?} {path}");
                assert!(!invalidations.cover(&resource(path), &[], after), "{void:?} {path}");
            }
            for path in &others {
                assert!(!invalidations.cover(&resource(path), &[], before), "{void:?} {path}");
            }
        }
    }

    #[test]
    fn what_began_at_the_very_number_of_an_invalidation_had_heard_of_it() {
        for void in [Void::Resource(resource("/a")), Void::Url("/a".into()), Void::Everything] {
            let mut voids = Voids::since(5);
            voids.add(&void, 7);
            let covered = |at| voids.cover(&resource("/a"), &[], at);
            assert!(covered(4) && covered(5) && covered(6) && !covered(7), "{void:?}");
            assert!(voids.cover(&resource("/b"), &[], 4), "nobody knows of that");
        }
    }
}
