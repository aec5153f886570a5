//! Whether a request is sent once more, and to whom (RFC 9110 §9.2.2, RFC 9112 §9.3.1).

use crate::policy::upstream::Retry;

/// How a request to one server went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, so that nothing was sent.
    Unreachable,
    /// A connection that had lain idle broke before a byte of the answer came: the server has
    /// closed it meanwhile, in all likelihood before it saw the request.
    Gone,
    /// The connection broke, or what came over it was no HTTP.
    Broken,
    /// No head in time, or the request was not taken in time.
    Silent,
    /// The answer has a status for which the policy wants another server to be asked.
    Status,
}

/// What was asked, as far as asking again goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Doing it twice is doing it once.
    pub idempotent: bool,
    /// All of it can be sent again: it has no body, or one of which nothing was taken yet.
    pub repeatable: bool,
    /// How many servers were sent it, this one included; who could not be reached does not count.
    pub attempts: u32,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same server over a fresh connection.
    SameAgain,
    /// Another server, if there is one.
    Another,
    /// What went wrong is the answer.
    GiveUp,
}

/// Decides what follows a failure.
///
/// Whoever is not reached passes the request on: nothing has happened yet. A request that was sent
/// is sent again only if that changes nothing. One that was met by silence is not: where servers
/// are slow, asking more of them makes them slower.
pub fn next(rule: &Retry, asked: Asked, failure: Failure) -> Next {
    if !asked.repeatable {
        return Next::GiveUp;
    }
    match failure {
        Failure::Unreachable => Next::Another,
        Failure::Gone if asked.idempotent => Next::SameAgain,
        Failure::Broken | Failure::Status
            if asked.idempotent && asked.attempts < rule.attempts.get() =>
        {
            Next::Another
        }
        Failure::Gone | Failure::Broken | Failure::Status | Failure::Silent => Next::GiveUp,
    }
}

/// Whether doing it twice is doing it once (RFC 9110 §9.2.2). Methods that nobody knows are not.
pub fn is_idempotent(method: &str) -> bool {
    matches!(
        method,
        "GET"
            | "HEAD"
            | "OPTIONS"
            | "TRACE"
            | "PUT"
            | "DELETE"
            | "PROPFIND"
            | "REPORT"
            | "SEARCH"
            | "QUERY"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use Failure::{Broken, Gone, Silent, Status, Unreachable};

    fn decide(method: &str, repeatable: bool, attempts: u32, failure: Failure) -> Next {
        let asked = Asked { idempotent: is_idempotent(method), repeatable, attempts };
        next(&Retry::default(), asked, failure)
    }

    #[test]
    fn p1_who_is_not_reached_passes_any_request_on() {
        for method in ["GET", "POST", "PATCH"] {
            assert_eq!(decide(method, true, 1, Unreachable), Next::Another);
            assert_eq!(decide(method, true, 9, Unreachable), Next::Another, "nothing was sent");
            assert_eq!(decide(method, false, 1, Unreachable), Next::GiveUp);
        }
    }

    #[test]
    fn p1_what_may_have_happened_is_not_done_twice() {
        for failure in [Gone, Broken, Status, Silent] {
            for method in ["POST", "PATCH", "FROB", "get"] {
                assert_eq!(decide(method, true, 1, failure), Next::GiveUp, "{method} {failure:?}");
            }
            assert_eq!(decide("PUT", false, 1, failure), Next::GiveUp, "its body is used up");
        }
    }

    #[test]
    fn p1_what_may_be_repeated_is_asked_of_so_many_servers() {
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
            assert_eq!(decide(method, true, 1, Gone), Next::SameAgain);
            assert_eq!(decide(method, true, 1, Broken), Next::Another);
            assert_eq!(decide(method, true, 1, Status), Next::Another);
            assert_eq!(decide(method, true, 2, Broken), Next::GiveUp);
            assert_eq!(decide(method, true, 1, Silent), Next::GiveUp, "nor a slow one pressed");
        }
    }
}
