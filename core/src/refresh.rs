//! What does this answer to a revalidation do to the stored ones? (RFC 9111 §4.3.3, §4.3.4)

use alloc::vec::Vec;

use crate::headers::etag::ETag;
use crate::headers::{Fields, last_modified};
use crate::reuse::{is_upstream_failure, serves_on_error};
use crate::stored::Stored;
use crate::time::Timestamp;

/// What to do with the answer to a request that we sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// 304: stored answers are good, given by their positions among the candidates. Update the
    /// fields of each (§3.2, but for those of [`crate::forward::is_kept_on_update`]) and ask
    /// [`crate::store::renew`] for its new terms.
    Freshen {
        /// The most recent of them, to be served.
        serve: usize,
        /// The others.
        also: Vec<usize>,
    },
    /// 304, but about none of the stored answers, which must all stay as they are (§4.3.4): send
    /// the request once more without validators of ours. Another 304 is for the client then.
    AskAgain,
    /// The origin failed, and the stored answer may serve stale (RFC 5861 §4).
    ServeStale,
    /// Any other: a new answer in place of the stored one.
    Replace,
}

/// Decides by what the origin answered, status and head; `None` when it did not answer at all.
///
/// `stored` may serve if the origin failed. `candidates` are the heads of all stored answers that
/// the request could have chosen (§4.3.4), the most recent last: the one whose validators we sent.
/// Without candidates nothing was asked about, and a 304 is for the client.
pub fn refresh<C: Fields + ?Sized, U: Fields + ?Sized>(
    stored: &Stored,
    candidates: &[&C],
    answer: Option<(u16, &U)>,
    now: Timestamp,
) -> Refresh {
    match answer {
        Some((304, update)) if !candidates.is_empty() => {
            let mut also = identified(update, candidates, now);
            also.pop().map_or(Refresh::AskAgain, |serve| Refresh::Freshen { serve, also })
        }
        Some((status, _)) if !is_upstream_failure(status) => Refresh::Replace,
        _ if serves_on_error(stored, now) => Refresh::ServeStale,
        _ => Refresh::Replace,
    }
}

/// Which of the candidates a 304 is about, by the first rule of §4.3.4 that applies.
fn identified<C: Fields + ?Sized, U: Fields + ?Sized>(
    update: &U,
    candidates: &[&C],
    now: Timestamp,
) -> Vec<usize> {
    let of = |is_meant: &dyn Fn(&C) -> bool| -> Vec<usize> {
        (0..candidates.len()).filter(|at| is_meant(candidates[*at])).collect()
    };
    let is_strong = |line: &[u8]| ETag::parse(line).is_some_and(|tag| !tag.is_weak());
    if update.lines_of("etag").any(is_strong) {
        return of(&|stored| same_strong(stored, update, now));
    }
    if update.first("etag").is_some() || update.first("last-modified").is_some() {
        let all = of(&|stored| same_weak(stored, update, now));
        return all.last().copied().into_iter().collect();
    }
    // A 304 that names nothing answers what we asked about: one answer, whose validators stood in
    // the question. The RFC has the stored one lack validators too, but only says so of questions
    // whose date came from elsewhere.
    match candidates {
        [_] => Vec::from([0]),
        _ => Vec::new(),
    }
}

/// Whether both have a strong validator in common. Where both have tags, these decide alone.
fn same_strong<C: Fields + ?Sized, U: Fields + ?Sized>(
    stored: &C,
    update: &U,
    now: Timestamp,
) -> bool {
    match stored.first("etag") {
        Some(tag) => {
            let stored = ETag::parse(tag);
            update
                .lines_of("etag")
                .filter_map(ETag::parse)
                .any(|tag| stored.is_some_and(|stored| stored.matches_strongly(&tag)))
        }
        None => {
            let modified = last_modified::read_strong(stored, now);
            modified.is_some() && modified == last_modified::read(update, now)
        }
    }
}

/// Whether the weak validators of `update` are those of `stored`: the tags where both have one,
/// else the dates. Tags that are none compare as they stand.
fn same_weak<C: Fields + ?Sized, U: Fields + ?Sized>(
    stored: &C,
    update: &U,
    now: Timestamp,
) -> bool {
    if let (Some(one), Some(two)) = (stored.first("etag"), update.first("etag")) {
        return match (ETag::parse(one), ETag::parse(two)) {
            (Some(one), Some(two)) => one.matches_weakly(&two),
            _ => one == two,
        };
    }
    let (one, two) = (stored.first("last-modified"), update.first("last-modified"));
    let modified = last_modified::read(stored, now);
    one.is_some()
        && (one == two || modified.is_some() && modified == last_modified::read(update, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const STORED: Stored = Stored {
        status: 200,
        received_at: Timestamp::from_secs(1000),
        initial_age_ms: 0,
        fresh_until: Timestamp::from_secs(1010),
        serve_while_refreshing_until: Timestamp::from_secs(1010),
        serve_on_error_until: Timestamp::from_secs(1020),
        forbids_stale: false,
        always_revalidate: false,
        has_validator: true,
        part: None,
    };
    const MONDAY: &str = "Mon, 07 Nov 1994 08:49:37 GMT";
    const TUESDAY: &str = "Tue, 08 Nov 1994 08:49:37 GMT";

    type Lines = &'static [(&'static str, &'static str)];

    fn answered(candidates: &[Lines], update: Lines) -> Refresh {
        refresh(&STORED, candidates, Some((304, update)), Timestamp::from_secs(1_795_000_000))
    }

    fn freshen(serve: usize) -> Refresh {
        Refresh::Freshen { serve, also: vec![] }
    }

    #[test]
    fn a_failing_origin_leaves_the_stored_answer_only_within_its_window() {
        let stored: [Lines; 1] = [&[("etag", "\"1\"")]];
        let none: Lines = &[];
        let at = |status: Option<u16>, second| {
            let answer = status.map(|status| (status, none));
            refresh(&STORED, &stored, answer, Timestamp::from_secs(second))
        };
        assert_eq!(at(Some(200), 1015), Refresh::Replace);
        assert_eq!(at(Some(404), 1015), Refresh::Replace);
        for failure in [Some(500), Some(502), Some(503), Some(504), None] {
            assert_eq!(at(failure, 1019), Refresh::ServeStale, "{failure:?}");
            assert_eq!(at(failure, 1020), Refresh::Replace, "{failure:?}");
        }
    }

    #[test]
    fn a_strong_tag_identifies_all_that_have_it_and_else_none() {
        let (a, b): (Lines, Lines) = (&[("etag", "\"a\"")], &[("etag", "\"b\"")]);
        assert_eq!(answered(&[a], a), freshen(0));
        assert_eq!(answered(&[a, b, a], a), Refresh::Freshen { serve: 2, also: vec![0] });
        assert_eq!(answered(&[a, b], a), freshen(0), "another than was asked about");
        let weak: Lines = &[("etag", "W/\"a\"")];
        for other in [b, weak, &[("last-modified", MONDAY)], &[]] {
            assert_eq!(answered(&[other], a), Refresh::AskAgain, "{other:?}");
        }
    }

    #[test]
    fn a_strong_tag_beside_the_date_of_an_answer_without_tag_is_no_other() {
        let update: Lines = &[("etag", "\"a\""), ("last-modified", MONDAY)];
        let old: Lines = &[("last-modified", MONDAY), ("date", TUESDAY)];
        let new: Lines = &[("last-modified", MONDAY), ("date", MONDAY)];
        let tagged: Lines = &[("etag", "\"b\""), ("last-modified", MONDAY), ("date", TUESDAY)];
        assert_eq!(answered(&[old], update), freshen(0));
        assert_eq!(answered(&[new], update), Refresh::AskAgain, "a weak date");
        assert_eq!(answered(&[tagged], update), Refresh::AskAgain, "its tag says otherwise");
    }

    #[test]
    fn weak_validators_identify_the_most_recent_that_has_them() {
        let (strong, weak): (Lines, Lines) = (&[("etag", "\"a\"")], &[("etag", "W/\"a\"")]);
        assert_eq!(answered(&[weak], weak), freshen(0));
        assert_eq!(answered(&[strong, weak, &[]], weak), freshen(1));
        assert_eq!(answered(&[&[("etag", "W/\"b\"")]], weak), Refresh::AskAgain);
        let (monday, tuesday): (Lines, Lines) =
            (&[("last-modified", MONDAY)], &[("last-modified", TUESDAY)]);
        assert_eq!(answered(&[monday, monday], monday), freshen(1));
        assert_eq!(answered(&[tuesday], monday), Refresh::AskAgain);
        let spelt: Lines = &[("last-modified", "Mon Nov  7 08:49:37 1994")];
        assert_eq!(answered(&[monday], spelt), freshen(0));
        let unquoted: Lines = &[("etag", "a")];
        assert_eq!(answered(&[unquoted], unquoted), freshen(0));
        assert_eq!(answered(&[strong], unquoted), Refresh::AskAgain);
    }

    #[test]
    fn a_304_that_names_nothing_is_about_the_only_one() {
        let (a, none): (Lines, Lines) = (&[("etag", "\"a\"")], &[]);
        assert_eq!(answered(&[a], none), freshen(0));
        assert_eq!(answered(&[none], none), freshen(0));
        assert_eq!(answered(&[a, a], none), Refresh::AskAgain);
        assert_eq!(answered(&[], none), Refresh::Replace, "nothing was asked about");
    }
}
