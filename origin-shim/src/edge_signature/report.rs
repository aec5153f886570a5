//! What was refused, said once in a while: whoever changes keys must hear of a tier that was
//! forgotten, and a line for each request would cost more than the requests.

use std::time::Duration;

use tidegate_core::signature::Refusal;

use super::EdgeSignature;

/// Between two lines.
const EVERY: Duration = Duration::from_secs(60);

/// What was said so far.
#[derive(Debug, Default)]
pub struct Report {
    told: [u64; Refusal::ALL.len()],
    at: Option<Duration>,
}

impl Report {
    /// What there is to say, `elapsed` after the start: at once when refusals begin, then once in a
    /// minute.
    pub fn look(&mut self, edge: &EdgeSignature, elapsed: Duration) -> Option<String> {
        if self.at.is_some_and(|at| elapsed < at + EVERY) {
            return None;
        }
        let mut news = Vec::new();
        for (told, (refusal, count)) in self.told.iter_mut().zip(edge.refused()) {
            if count > *told {
                news.push(format!("{refusal} {}", count - *told));
                *told = count;
            }
        }
        if news.is_empty() {
            return None;
        }
        self.at = Some(elapsed);
        Some(format!("requests were refused that the edge has not signed: {}", news.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::Policy;

    #[test]
    fn refusals_are_said_at_once_and_then_once_in_a_minute() {
        let policy = Policy::from_json(r#"{"schema":1}"#).expect("a policy");
        let edge = EdgeSignature::new(&policy, |_| None).expect("no secrets");
        let (mut report, second) = (Report::default(), Duration::from_secs(1));
        assert_eq!(report.look(&edge, second), None);
        (0..3).for_each(|_| edge.count(Refusal::Missing));
        edge.count(Refusal::UnknownKey);
        let said = report.look(&edge, second).expect("news");
        assert!(said.ends_with("signature-missing 3, signature-unknown-key 1"), "{said}");
        edge.count(Refusal::Missing);
        assert_eq!(report.look(&edge, EVERY), None);
        let said = report.look(&edge, EVERY + second).expect("more news");
        assert!(said.ends_with("signed: signature-missing 1"), "{said}");
    }
}
