//! What was invalidated, and whether an answer began before that.
//!
//! Requests and invalidations share one count. An answer takes its number before it is asked
//! for, so that an invalidation is never overtaken by a store that began before it, whatever
//! clocks do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tidegate_core::invalidate::{Resource, Tag};

/// Resources and tags remembered one by one. Beyond that the older half becomes one line in time, behind
/// which every answer counts as invalidated.
const REMEMBERED_MAX: usize = 1 << 16;

/// A place in the order of requests and invalidations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// The invalidations of this process.
#[derive(Debug, Default)]
pub struct Invalidations {
    /// The last number given out.
    count: AtomicU64,
    /// The number of the last invalidation: what began later needs no closer look.
    last: AtomicU64,
    remembered: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    by_resource: HashMap<Resource, u64>,
    by_tag: HashMap<Tag, u64>,
    /// Everything that began before this is invalidated.
    floor: u64,
}

impl Invalidations {
    /// The moment in which an answer begins: take it before asking upstream.
    pub fn begin(&self) -> Moment {
        Moment(self.count.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// Invalidates every answer for `resource` that has begun.
    pub fn invalidate(&self, resource: Resource) {
        self.remember(|remembered, now| remembered.by_resource.insert(resource, now));
    }

    /// Invalidates every answer with this tag that has begun.
    pub fn invalidate_tag(&self, tag: Tag) {
        self.remember(|remembered, now| remembered.by_tag.insert(tag, now));
    }

    fn remember(&self, insert: impl FnOnce(&mut Remembered, u64) -> Option<u64>) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let Moment(now) = self.begin();
        insert(&mut remembered, now);
        if remembered.by_resource.len() + remembered.by_tag.len() > REMEMBERED_MAX {
            remembered.forget_the_older_half();
        }
        self.last.store(now, Ordering::Release);
    }

    /// Whether an answer for `resource` with these tags that began at `moment` has been
    /// invalidated.
    pub fn cover(&self, resource: &Resource, tags: &[Tag], moment: Moment) -> bool {
        if moment.0 > self.last.load(Ordering::Acquire) {
            return false;
        }
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let by_resource = remembered.by_resource.get(resource).into_iter();
        let by_tag = tags.iter().filter_map(|tag| remembered.by_tag.get(tag));
        by_resource.chain(by_tag).chain([&remembered.floor]).any(|since| moment.0 < *since)
    }
}

impl Remembered {
    fn forget_the_older_half(&mut self) {
        let all = self.by_resource.values().chain(self.by_tag.values());
        let mut moments: Vec<u64> = all.copied().collect();
        let middle = moments.len() / 2;
        let (_, median, _) = moments.select_nth_unstable(middle);
        self.floor = *median;
        self.by_resource.retain(|_, moment| *moment > self.floor);
        self.by_tag.retain(|_, moment| *moment > self.floor);
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
        invalidations.invalidate(resource("/a"));
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
        invalidations.invalidate_tag(team.clone());
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
            invalidations.invalidate(resource(&format!("/{number}")));
            invalidations.invalidate_tag(Tag::named(format!("tag:{number}")));
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
}
