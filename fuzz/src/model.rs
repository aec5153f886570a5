//! A cache of one resource as RFC 9111 describes it: whole seconds, one stored response, no
//! policy. Written from the text and not from the core.

/// What an origin says of its response.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub max_age: Option<u64>,
    pub s_maxage: Option<u64>,
    pub no_store: bool,
    pub no_cache: bool,
    pub private: bool,
    pub must_revalidate: bool,
    pub stale_while_revalidate: Option<u64>,
    pub has_etag: bool,
    /// The Age field.
    pub age: u64,
}

/// What a client says in its request.
#[derive(Clone, Debug, Default)]
pub struct Wants {
    pub no_cache: bool,
    pub max_age: Option<u64>,
    pub min_fresh: Option<u64>,
    pub max_stale: Option<u64>,
}

/// A stored response.
#[derive(Clone, Debug)]
pub struct Stored {
    said: Said,
    response_time: u64,
}

impl Stored {
    /// §3: a shared cache stores nothing with no-store or private.
    pub fn of(said: &Said, now: u64) -> Option<Self> {
        let may = !said.no_store && !said.private;
        may.then(|| Self { said: said.clone(), response_time: now })
    }

    /// §4.2.3, with a response delay of zero and without Date.
    pub fn current_age(&self, now: u64) -> u64 {
        self.said.age + (now - self.response_time)
    }

    /// §4.2.1
    pub fn freshness_lifetime(&self) -> Option<u64> {
        self.said.s_maxage.or(self.said.max_age)
    }

    /// §4.2
    pub fn is_fresh(&self, now: u64) -> bool {
        self.freshness_lifetime().is_some_and(|lifetime| lifetime > self.current_age(now))
    }

    fn staleness(&self, now: u64) -> u64 {
        self.current_age(now) - self.freshness_lifetime().unwrap_or(0).min(self.current_age(now))
    }

    /// §4 and §5.2.1: it is fresh, and neither side wants it validated.
    pub fn may_serve_fresh(&self, wants: &Wants, now: u64) -> bool {
        let age = self.current_age(now);
        let left = self.freshness_lifetime().unwrap_or(0).saturating_sub(age);
        self.is_fresh(now)
            && !self.said.no_cache
            && !wants.no_cache
            && (wants.max_age.is_none_or(|limit| age <= limit) || wants.max_stale.is_some())
            && wants.min_fresh.is_none_or(|least| left >= least)
    }

    /// §4.2.4: stale only where nothing forbids it, and client or origin (RFC 5861 §3) allow.
    pub fn may_serve_stale(&self, wants: &Wants, now: u64) -> bool {
        let forbidden =
            self.said.must_revalidate || self.said.no_cache || self.said.s_maxage.is_some();
        let by_client = wants.max_stale.is_some_and(|limit| self.staleness(now) <= limit);
        let by_origin =
            self.said.stale_while_revalidate.is_some_and(|window| self.staleness(now) < window);
        !forbidden && !wants.no_cache && (by_client || by_origin)
    }

    /// §4.3.4: a 304 updates what it says, and the response is as young as it is.
    pub fn freshened(&self, by: &Said, now: u64) -> Option<Self> {
        let has_etag = self.said.has_etag;
        Self::of(&Said { has_etag, age: 0, ..by.clone() }, now)
    }

    /// Whether there is something to validate it with (§4.3.1).
    pub fn has_validator(&self) -> bool {
        self.said.has_etag
    }
}

/// §4.4: a non-error response to an unsafe request invalidates.
pub fn invalidates(status: u16) -> bool {
    (200..400).contains(&status)
}
