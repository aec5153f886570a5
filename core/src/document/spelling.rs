//! "Did you mean …?"

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The known word nearest to `word`, if it is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let tolerance = (word.chars().count() / 3).max(1);
    known
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A hint that names the nearest known word, or all of them.
pub(super) fn hint<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(meant) = nearest(word, known.clone()) {
        return format!("did you mean `{meant}`?");
    }
    let all: Vec<_> = known.map(|known| format!("`{known}`")).collect();
    match all.as_slice() {
        [] => "none is defined".to_string(),
        all => format!("known are {}", all.join(", ")),
    }
}

/// How many letters must be changed, added, dropped or swapped with their neighbour.
fn distance(one: &str, two: &str) -> usize {
    let (one, two): (Vec<char>, Vec<char>) = (one.chars().collect(), two.chars().collect());
    let mut rows: [Vec<usize>; 3] = [Vec::new(), Vec::new(), (0..=two.len()).collect()];
    for i in 0..one.len() {
        rows.rotate_left(1);
        let mut row = alloc::vec![i + 1];
        for j in 0..two.len() {
            let change = rows[1][j] + usize::from(one[i] != two[j]);
            let mut best = change.min(rows[1][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && one[i] == two[j - 1] && one[i - 1] == two[j] {
                best = best.min(rows[0][j - 1] + 1);
            }
            row.push(best);
        }
        rows[2] = row;
    }
    rows[2][two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_swaps_as_one() {
        for (one, two, expected) in [
            ("ttl", "ttl", 0),
            ("tll", "ttl", 1),
            ("tlt", "ttl", 1),
            ("", "abc", 3),
            ("override", "overide", 1),
        ] {
            assert_eq!(distance(one, two), expected, "{one} {two}");
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let known = ["mode", "ttl", "key"];
        assert_eq!(nearest("tll", known.into_iter()), Some("ttl"));
        assert_eq!(nearest("compression", known.into_iter()), None);
    }
}
