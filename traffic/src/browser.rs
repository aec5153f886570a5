//! What a visitor's browser keeps.

use std::time::Duration;

use crate::mix::Endpoint;
use crate::visit::Want;

/// The cache of one browser for one visit, and what it kept from an earlier one.
#[derive(Clone, Debug)]
pub struct Browser {
    held: Vec<Held>,
    /// How long ago it was here before.
    absent: Option<Duration>,
}

/// How a browser goes about what a page wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// It has a fresh copy, and does not ask.
    Not,
    /// It has a copy that is no longer fresh, and asks whether that is still so.
    Conditionally,
    /// It has none.
    Plainly,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    endpoint: u16,
    item: u32,
    /// In milliseconds of the visit.
    until: u64,
}

/// As many answers are remembered; the oldest makes room.
const MOST: usize = 64;

impl Browser {
    /// One that was here so long ago, or never.
    #[must_use]
    pub fn new(absent: Option<Duration>) -> Self {
        Self { held: Vec::new(), absent }
    }

    /// How it goes about something at a time since the visit began.
    #[must_use]
    pub fn asking(&self, want: Want, endpoint: &Endpoint, at: Duration) -> Asking {
        if endpoint.method != "GET" || endpoint.reload {
            return Asking::Plainly;
        }
        let until = match self.held.iter().find(|held| held.is(want)) {
            Some(held) => Duration::from_millis(held.until),
            None => match self.left(endpoint) {
                Some(left) => left,
                None => return Asking::Plainly,
            },
        };
        match (at < until, endpoint.validator) {
            (true, _) => Asking::Not,
            (false, true) => Asking::Conditionally,
            (false, false) => Asking::Plainly,
        }
    }

    /// Keeps an answer that is fresh for so long.
    pub fn keep(&mut self, want: Want, at: Duration, fresh: Duration) {
        self.held.retain(|held| !held.is(want));
        if self.held.len() == MOST {
            self.held.remove(0);
        }
        let until = (at + fresh).as_millis() as u64;
        self.held.push(Held { endpoint: want.endpoint, item: want.item, until });
    }

    /// How long what was kept by an earlier visit is fresh from the beginning of this one; nothing
    /// of what is kept for less than a day, since the browser may well have dropped it.
    fn left(&self, endpoint: &Endpoint) -> Option<Duration> {
        const A_DAY: Duration = Duration::from_secs(86_400);
        let fresh = Duration::from_secs(endpoint.browser);
        let absent = self.absent.filter(|_| fresh >= A_DAY)?;
        Some(fresh.saturating_sub(absent))
    }
}

impl Held {
    const fn is(&self, want: Want) -> bool {
        self.endpoint == want.endpoint && self.item == want.item
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::Mix;

    fn asked(browser: &Browser, name: &str, at: u64) -> Asking {
        let mix = Mix::platform();
        let place = mix.endpoints.iter().position(|endpoint| endpoint.name == name).unwrap();
        let want = Want { endpoint: place as u16, item: 0, after: 0 };
        browser.asking(want, &mix.endpoints[place], Duration::from_secs(at))
    }

    #[test]
    fn a_new_browser_asks_for_everything() {
        let browser = Browser::new(None);
        assert_eq!(asked(&browser, "asset", 0), Asking::Plainly);
    }

    #[test]
    fn who_was_here_yesterday_has_the_assets_and_asks_whether_bundles_are_the_same() {
        let browser = Browser::new(Some(Duration::from_secs(86_390)));
        assert_eq!(asked(&browser, "asset", 0), Asking::Not);
        assert_eq!(asked(&browser, "bundle", 0), Asking::Not);
        assert_eq!(asked(&browser, "bundle", 11), Asking::Conditionally);
        assert_eq!(asked(&browser, "my-plugins", 0), Asking::Plainly);
        assert_eq!(asked(&browser, "document", 0), Asking::Plainly);
    }

    #[test]
    fn a_copy_is_used_as_long_as_it_is_fresh_unless_the_app_wants_it_anew() {
        let mix = Mix::platform();
        let place = |name| mix.endpoints.iter().position(|e| e.name == name).unwrap() as u16;
        let mut browser = Browser::new(None);
        for name in ["my-plugins", "my-plugins-after-write"] {
            let want = Want { endpoint: place(name), item: 0, after: 0 };
            browser.keep(want, Duration::ZERO, Duration::from_secs(60));
        }
        assert_eq!(asked(&browser, "my-plugins", 59), Asking::Not);
        assert_eq!(asked(&browser, "my-plugins", 60), Asking::Plainly);
        assert_eq!(asked(&browser, "my-plugins-after-write", 1), Asking::Plainly);
    }
}
