//! Shims that share a Redis for their answers, before one origin.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use crate::{
    cache_status::{CacheStatus, Hop},
    held_origin::{HeldOrigin, Question},
    policy_file::PolicyFile,
    redis::eventually,
    shim::Shim,
    wire::{Client, Request, Response},
};

/// An origin that answers each target with the number of its question, and says in fields what
/// its path begins with: `/vary`, `/etag`, `/mine`, `/no-store`, `/large`, `/pages`.
#[derive(Clone, Debug)]
pub struct CountingOrigin {
    address: String,
    asked: Arc<Mutex<HashMap<String, u64>>>,
}

/// A shim that others share a Redis with.
#[derive(Debug)]
pub struct Member {
    shim: Shim,
    client: Client,
    admin: Client,
}

impl CountingOrigin {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        let origin = HeldOrigin::start();
        let address = origin.address().to_string();
        let asked = Arc::<Mutex<HashMap<String, u64>>>::default();
        let counting = Arc::clone(&asked);
        origin.answer_by(move |question| answer(question, &counting));
        Self { address, asked }
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How often it was asked for a target, whatever the method.
    #[must_use]
    pub fn asked(&self, target: &str) -> u64 {
        lock(&self.asked).get(target).copied().unwrap_or_default()
    }
}

fn lock(asked: &Mutex<HashMap<String, u64>>) -> MutexGuard<'_, HashMap<String, u64>> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(question: Question, asked: &Mutex<HashMap<String, u64>>) {
    let target = question.target().to_owned();
    let number = {
        let mut asked = lock(asked);
        let number = asked.entry(target.clone()).or_default();
        *number += 1;
        *number
    };
    if question.method() != "GET" {
        return question.answer("", "written");
    }
    let is = |path| target.starts_with(path);
    let lines = match () {
        () if is("/vary") => "Vary: Accept-Language\r\n",
        () if is("/etag") => "ETag: \"one\"\r\n",
        () if is("/no-store") => "Cache-Control: no-store\r\n",
        () => "Content-Type: text/plain\r\nX-Of-The-Origin: a\r\nX-Of-The-Origin: b\r\n",
    };
    let body = match () {
        () if is("/large") => number.to_string().repeat(2 << 20),
        () if is("/pages") => "x".repeat(1024),
        () => number.to_string(),
    };
    question.answer(lines, &body);
}

impl Member {
    /// Serves a policy with these variables in the environment.
    #[must_use]
    pub fn serve(policy: &PolicyFile, environment: &[(&str, &str)]) -> Self {
        let mut shim = Shim::serve_policy_with(policy, environment);
        let (client, admin) = (shim.client(), shim.admin());
        Self { shim, client, admin }
    }

    /// The process.
    pub fn shim(&mut self) -> &mut Shim {
        &mut self.shim
    }

    /// Its admin listener.
    #[must_use]
    pub fn admin(&self) -> Client {
        self.admin
    }

    /// Ends it as a supervisor does, and returns the line that it says of its snapshot.
    ///
    /// # Panics
    /// If it does not end well, or says nothing.
    #[track_caller]
    #[must_use]
    pub fn end_and_say(self) -> String {
        let said = self.shim.last_words().stderr;
        let line = said.lines().find(|line| line.contains("for the next start"));
        line.unwrap_or_else(|| panic!("{said:?}")).to_owned()
    }

    /// Asks by the name that all members have; on another thread if need be.
    pub fn asker(&self) -> impl Fn(Request) -> Response + Send + 'static {
        let client = self.client;
        move |request| client.send(&request.header("Host", "www.example.com"))
    }

    /// Asks by the name that all members have.
    #[track_caller]
    #[must_use]
    pub fn send(&self, request: Request) -> Response {
        self.asker()(request)
    }

    /// The same for a target.
    #[track_caller]
    #[must_use]
    pub fn get(&self, target: &str) -> Response {
        self.send(Request::get(target))
    }

    /// The number that it answers with, and whether the origin was not asked for it.
    #[track_caller]
    #[must_use]
    pub fn number(&self, target: &str) -> (u64, bool) {
        let answer = self.get(target);
        let number = String::from_utf8_lossy(&answer.body).parse();
        (number.unwrap_or_else(|_| panic!("{answer:?}")), hop(&answer).hit())
    }

    /// Writes to a target, with success.
    #[track_caller]
    pub fn write(&self, target: &str) {
        let answer = self.send(Request::new("POST", target));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// What it says of its cache.
    #[track_caller]
    #[must_use]
    pub fn cache(&self) -> Value {
        self.admin.get("/status").json()["cache"].clone()
    }

    /// Waits until it has stored so many answers in Redis.
    #[track_caller]
    pub fn until_stored(&self, answers: u64) {
        eventually("answers in Redis", || {
            (self.cache()["redis"]["stored"].as_u64() >= Some(answers)).then_some(())
        });
    }

    /// Waits until it hears of what others invalidate.
    #[track_caller]
    pub fn until_heard(&self) {
        eventually("word of others", || {
            (self.cache()["redis"]["invalidations_heard"] == true).then_some(())
        });
    }
}

/// What the shim says it did.
#[track_caller]
#[must_use]
pub fn hop(answer: &Response) -> Hop {
    CacheStatus::of(answer).hop("tidegate-origin").clone()
}
