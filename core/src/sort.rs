//! Sorting with little code. The standard library's is quicker for thousands, and four kilobytes in
//! each upload of the worker for every type that is sorted; what is sorted here are a few names.

/// Sorts in place by n log n comparisons (heapsort). Not stable: what neither is before the other
/// ends up in any order.
pub(crate) fn sort_by<T>(list: &mut [T], is_before: impl Fn(&T, &T) -> bool) {
    let mut end = list.len();
    let mut root = end / 2;
    while end > 1 {
        if root > 0 {
            root -= 1;
        } else {
            end -= 1;
            list.swap(0, end);
        }
        let mut at = root;
        while 2 * at + 1 < end {
            let mut child = 2 * at + 1;
            if child + 1 < end && is_before(&list[child], &list[child + 1]) {
                child += 1;
            }
            if !is_before(&list[at], &list[child]) {
                break;
            }
            list.swap(at, child);
            at = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn every_list_of_up_to_a_hundred_comes_out_as_from_the_standard_library() {
        let mut state = 1u32;
        for length in 0..100 {
            let mut list: Vec<u32> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state >> 27
                })
                .collect();
            let mut expected = list.clone();
            expected.sort_unstable();
            sort_by(&mut list, |one, other| one < other);
            assert_eq!(list, expected);
        }
    }
}
