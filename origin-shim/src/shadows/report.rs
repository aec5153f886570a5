//! What the shadow found, said once in a while.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Seen, Shadows};

/// Between two lines on a route.
const EVERY: Duration = Duration::from_secs(60);

/// What was said so far.
#[derive(Debug, Default)]
pub struct Report(BTreeMap<String, Told>);

#[derive(Debug)]
struct Told {
    compared: u64,
    differed: u64,
    at: Duration,
}

impl Report {
    /// What there is to say, `elapsed` after the start, in lines for people: on each route at once
    /// when something differs, then once in a minute.
    pub fn look(&mut self, shadows: &Shadows, elapsed: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        for (route, seen) in shadows.seen() {
            let told = self.0.get(&route);
            let before = told.map_or((0, 0), |told| (told.compared, told.differed));
            let is_due = told.is_none_or(|told| elapsed >= told.at + EVERY);
            if is_due && seen.differed > before.1 {
                lines.push(line(&route, &seen, before));
                let Seen { compared, differed, .. } = seen;
                self.0.insert(route, Told { compared, differed, at: elapsed });
            }
        }
        lines
    }
}

fn line(route: &str, seen: &Seen, (compared, differed): (u64, u64)) -> String {
    let (all, differ) = (seen.compared - compared, seen.differed - differed);
    let (key, what) = seen.last.as_ref().map_or(("", ""), |(key, what)| (key, what));
    format!(
        "the shadow of the route `{route}`: of {all} stored answers that would have served, {differ} \
         differ from the origin's; the last one, {key}, in: {what}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::shadow::Differences;

    #[test]
    fn differences_are_said_at_once_and_then_once_in_a_minute() {
        let (shadows, mut report) = (Shadows::default(), Report::default());
        let second = Duration::from_secs(1);
        let same = Differences::default();
        let etag = Differences { status: false, fields: vec!["etag".into()] };
        (0..3).for_each(|_| shadows.compare("list", "http://h/a", &same, Some(false)));
        assert!(report.look(&shadows, second).is_empty(), "nothing differs");
        shadows.compare("list", "http://h/b", &etag, Some(true));
        assert_eq!(
            report.look(&shadows, second),
            [
                "the shadow of the route `list`: of 4 stored answers that would have served, 1 differ \
              from the origin's; the last one, http://h/b, in: body, etag"
            ]
        );
        shadows.compare("list", "http://h/c", &etag, None);
        shadows.compare("other", "http://h/d", &etag, None);
        let lines = report.look(&shadows, second * 2);
        assert!(lines.len() == 1 && lines[0].contains("`other`: of 1 "), "{lines:?}");
        let lines = report.look(&shadows, second + EVERY);
        assert!(lines.len() == 1 && lines[0].contains("`list`: of 1 "), "{lines:?}");
        assert!(lines[0].ends_with("http://h/c, in: etag"), "{lines:?}");
        assert!(report.look(&shadows, EVERY * 10).is_empty());
        let seen = &shadows.seen()["list"];
        assert_eq!((seen.compared, seen.differed, seen.body, seen.status), (5, 2, 1, 0));
    }
}
