//! Lines of access logs, in every format.

use tidegate_replay::log::{self, Format, Unreadable};

/// A line that can be read has a request in it that could be one, and whatever a log holds, each of its
/// lines is counted once.
pub fn access_log(data: &[u8]) {
    for (format, _) in Format::ALL {
        let _ = log::parse(format, data, |asked| {
            assert!((100..600).contains(&asked.status));
            assert!(!asked.method.is_empty() && !asked.target.is_empty());
        });
    }
    let _ = Format::detect(data);
    let (mut unreadable, mut read) = (Unreadable::default(), 0);
    let outcome = log::read(data, "log", Some(Format::Combined), &mut unreadable, |_| read += 1);
    assert!(outcome.is_ok(), "memory does not fail");
    assert_eq!(read + unreadable.count(), unreadable.lines);
    let ends = data.iter().filter(|byte| **byte == b'\n').count();
    let has_rest = data.last().is_some_and(|byte| *byte != b'\n');
    assert_eq!(unreadable.lines, ends as u64 + u64::from(has_rest));
}
