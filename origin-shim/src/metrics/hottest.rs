//! Which URLs are asked for most, by a sample, in a bounded memory.
//!
//! The "space saving" sketch (Metwally, Agrawal, El Abbadi 2005): whoever is new takes the place
//! of who was seen least, and its count. What makes up more than one in 64 of the sample is
//! in it for certain, and a count is at most that of the replaced one too high.

use std::cell::Cell;
use std::sync::Mutex;

/// URLs that are told apart.
const PLACES: usize = 64;
/// One request in so many of a thread is looked at. A prime, so that no pattern of requests is
/// likely to be in step with it.
pub(super) const EVERY: u64 = 61;

thread_local! {
    static UNTIL_NEXT: Cell<u64> = const { Cell::new(0) };
}

/// The sample of all threads.
#[derive(Debug, Default)]
pub struct Hottest(Mutex<Sketch>);

#[derive(Debug, Default)]
struct Sketch {
    places: Vec<Seen>,
    looked_at: u64,
}

/// A URL that was asked for often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The route's name; empty where none matched.
    pub route: String,
    /// The path, without the query: that may be nobody's business.
    pub path: String,
    /// How often it was in the sample, at most.
    pub count: u64,
    /// By how much that may be too high.
    pub excess: u64,
}

impl Hottest {
    /// Looks at this request, if it is its turn. Else a subtraction in this thread.
    pub(crate) fn sample(&self, route: &str, path: &str) {
        let left = UNTIL_NEXT.get();
        if left > 0 {
            return UNTIL_NEXT.set(left - 1);
        }
        UNTIL_NEXT.set(EVERY - 1);
        // Nobody waits for a sample.
        if let Ok(mut sketch) = self.0.try_lock() {
            sketch.add(route, path);
        }
    }

    /// How many requests were looked at, and what they asked for, the hottest first.
    pub fn told(&self) -> (u64, Vec<Seen>) {
        let sketch = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (looked_at, mut seen) = (sketch.looked_at, sketch.places.clone());
        drop(sketch);
        seen.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.path.cmp(&b.path)));
        (looked_at, seen)
    }
}

impl Sketch {
    fn add(&mut self, route: &str, path: &str) {
        self.looked_at += 1;
        let is_it = |seen: &&mut Seen| seen.path == path && seen.route == route;
        if let Some(seen) = self.places.iter_mut().find(is_it) {
            seen.count += 1;
            return;
        }
        let new = |least: u64| Seen {
            route: route.into(),
            path: cut(path),
            count: least + 1,
            excess: least,
        };
        if self.places.len() < PLACES {
            self.places.push(new(0));
        } else if let Some(least) = self.places.iter_mut().min_by_key(|seen| seen.count) {
            *least = new(least.count);
        }
    }
}

/// As much of a path as is kept.
pub(super) fn cut(path: &str) -> String {
    const LONGEST: usize = 256;
    let end = (0..=LONGEST.min(path.len())).rev().find(|end| path.is_char_boundary(*end));
    path[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_what_is_hot_is_found_among_much_that_is_not() {
        let mut sketch = Sketch::default();
        for number in 0..10_000 {
            sketch.add("a", &format!("/{number}"));
            if number % 10 == 0 {
                sketch.add("a", "/hot");
            }
        }
        assert_eq!(sketch.places.len(), PLACES);
        let hot = sketch.places.iter().find(|seen| seen.path == "/hot").expect("it is there");
        assert!(hot.count >= 1000 && hot.count - hot.excess <= 1000, "{hot:?}");
        assert!(sketch.places.iter().all(|seen| seen.count <= hot.count));
    }

    #[test]
    fn p10_one_request_in_so_many_is_looked_at() {
        let hottest = Hottest::default();
        (0..EVERY * 10).for_each(|_| hottest.sample("a", "/x"));
        let (looked_at, seen) = hottest.told();
        assert_eq!((looked_at, seen[0].count), (10, 10));
    }

    #[test]
    fn p10_long_paths_are_cut_between_characters() {
        let path = "/".to_owned() + &"ä".repeat(300);
        assert_eq!(cut(&path).len(), 255);
        assert_eq!(cut("/short"), "/short");
    }
}
