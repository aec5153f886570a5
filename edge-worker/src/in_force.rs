//! The policy in force: the one that was compiled in, under the overrides that lie in KV.
//!
//! KV is asked behind the backs of requests, so none waits for it, and a hit costs no question.
//! The first request of an isolate does wait, for a short time: else each new isolate would let
//! one through that all others refuse. Whatever is wrong with KV, or with what lies there, the
//! last good overrides stay, and it is said once.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use tidegate_core::policy::Overrides;
use tidegate_core::{Policy, Timestamp};
use worker::js_sys::futures::JsFuture;
use worker::{Context, Env, console_warn};

use crate::{clock, platform};

/// The first request of an isolate waits so long at most.
const FIRST: Duration = Duration::from_millis(250);
/// Nobody waits for the others.
const LATER: Duration = Duration::from_secs(5);
/// After a failure.
const RETRY: Duration = Duration::from_secs(5);

thread_local! {
    static HELD: RefCell<Held> = RefCell::default();
}

/// What a request is decided by, from its begin to its end.
#[derive(Clone)]
pub(crate) struct InForce {
    /// The policy without overrides.
    pub(crate) embedded: &'static Policy,
    overridden: Option<Rc<Policy>>,
}

/// What this isolate knows of overrides.
#[derive(Default)]
struct Held {
    /// An isolate asks so often. KV adds the half minute for which each place of Cloudflare keeps
    /// what it has read (`platform.js`).
    every: Duration,
    /// When to ask next; never where KV is not bound.
    due: Option<Timestamp>,
    is_unbound: bool,
    is_failing: bool,
    /// The document as it was seen last, be it good or bad.
    seen: Option<String>,
    overrides: Overrides,
    policy: Option<Rc<Policy>>,
    /// When the next of the overrides ends by itself.
    end: Option<Timestamp>,
}

/// A request's turn to ask KV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The first of the isolate, which waits for the answer.
    First,
    /// A later one, which does not.
    Later,
}

/// The policy in force for a request that begins.
pub(crate) async fn get(embedded: &'static Policy, env: &Env, context: &Context) -> InForce {
    match HELD.with_borrow_mut(|held| held.turn(clock::now())) {
        None => {}
        Some(Turn::First) => {
            let seconds = platform::overrides_every(env.as_ref());
            HELD.with_borrow_mut(|held| held.every = Duration::from_secs(seconds.into()));
            read(embedded, env, FIRST).await;
        }
        Some(Turn::Later) => {
            let env = env.clone();
            context.wait_until(async move { read(embedded, &env, LATER).await });
        }
    }
    let now = clock::now();
    let overridden = HELD.with_borrow_mut(|held| held.policy(embedded, now));
    InForce { embedded, overridden }
}

async fn read(embedded: &Policy, env: &Env, within: Duration) {
    let asked = platform::read_overrides(env.as_ref(), within.as_millis() as u32);
    let answer = JsFuture::from(asked).await;
    let now = clock::now();
    HELD.with_borrow_mut(|held| match answer {
        Ok(answer) if answer.is_undefined() => held.is_unbound = true,
        Ok(answer) => {
            if let Some(news) = held.take(answer.as_string(), embedded, now) {
                console_warn!("tidegate: {news}");
            }
        }
        Err(error) => {
            if held.fail(now) {
                console_warn!(
                    "tidegate: KV cannot be read ({error:?}); what was in force stays in force"
                );
            }
        }
    });
}

impl Held {
    /// Whether it is this request's turn to ask.
    fn turn(&mut self, now: Timestamp) -> Option<Turn> {
        if self.is_unbound || self.due.is_some_and(|due| now < due) {
            return None;
        }
        let turn = self.due.map_or(Turn::First, |_| Turn::Later);
        // Who asks may be cut off, so that the next may ask after a while.
        self.due = Some(now + LATER.max(self.every));
        Some(turn)
    }

    /// Takes over what lies in KV; what there is to say of it.
    fn take(
        &mut self,
        document: Option<String>,
        embedded: &Policy,
        now: Timestamp,
    ) -> Option<String> {
        self.due = Some(now + self.every);
        self.is_failing = false;
        if self.seen == document {
            return None;
        }
        self.seen = document;
        match self.seen.as_deref().map_or(Ok(Overrides::default()), Overrides::from_canonical) {
            Ok(overrides) => {
                self.overrides = overrides;
                self.apply(embedded, now);
                Some(match (&self.policy, self.overrides.misfits(embedded)) {
                    (None, _) => "no overrides are in force".into(),
                    (Some(_), none) if none.is_empty() => "other overrides are in force".into(),
                    (Some(_), misfits) => format!(
                        "other overrides are in force, but for those of {misfits:?}, which do not \
                         fit the policy: `tidegate limits --edge` says why"
                    ),
                })
            }
            Err(bad) => Some(format!("overrides are refused, those before stay in force\n{bad}")),
        }
    }

    /// KV did not answer. Whether that is new.
    fn fail(&mut self, now: Timestamp) -> bool {
        self.due = Some(now + RETRY.min(self.every));
        !std::mem::replace(&mut self.is_failing, true)
    }

    fn policy(&mut self, embedded: &Policy, now: Timestamp) -> Option<Rc<Policy>> {
        if self.end.is_some_and(|end| end <= now) {
            self.apply(embedded, now);
        }
        self.policy.clone()
    }

    fn apply(&mut self, embedded: &Policy, now: Timestamp) {
        self.end = self.overrides.next_end_after(now);
        // Read once more, since the code to copy a policy is as long as that of all this.
        let again =
            || Some(Policy::from_json(&embedded.to_json()).ok()?.under(&self.overrides, now));
        self.policy = (!self.overrides.is_empty()).then(again).flatten().map(Rc::new);
    }
}

impl Deref for InForce {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        self.overridden.as_deref().unwrap_or(self.embedded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);
    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const RAISED: &str = r#"{"limits":{"standard":{"quota":7,"window":60000}}}"#;

    fn embedded() -> Policy {
        Policy::from_json(
            r#"{"schema":1,"limits":[{"name":"standard","quota":2,"window":60000,
                "algorithm":"fixed-window","key":[]}]}"#,
        )
        .unwrap()
    }

    fn quota(held: &mut Held, now: Timestamp) -> u32 {
        let embedded = embedded();
        let policy = held.policy(&embedded, now);
        policy.as_deref().unwrap_or(&embedded).model().limits[0].quota.get()
    }

    fn take(held: &mut Held, document: &str) -> Option<String> {
        held.take(Some(document.into()), &embedded(), NOW)
    }

    #[test]
    fn r9_a_bad_document_leaves_the_last_good_one_and_is_said_once_with_place_and_remedy() {
        let mut held = Held { every: EVERY, ..Held::default() };
        assert_eq!(take(&mut held, RAISED).as_deref(), Some("other overrides are in force"));
        assert_eq!((take(&mut held, RAISED), quota(&mut held, NOW)), (None, 7));
        let bad = r#"{"limits":{"standard":{"quota":"9"}}}"#;
        let said = take(&mut held, bad).unwrap();
        assert!(
            said.contains("limits.standard.quota: this is not as `tidegate` writes it\n= hint:"),
            "{said}"
        );
        assert_eq!((take(&mut held, bad), quota(&mut held, NOW)), (None, 7));
        let none = held.take(None, &embedded(), NOW);
        assert_eq!(none.as_deref(), Some("no overrides are in force"));
        assert_eq!(quota(&mut held, NOW), 2);
    }

    #[test]
    fn r9_what_does_not_fit_the_policy_is_said_and_the_rest_is_in_force() {
        let mut held = Held { every: EVERY, ..Held::default() };
        let said = take(
            &mut held,
            r#"{"limits":{"gone":{"burst":1},"standard":{"quota":7,"window":60000}}}"#,
        );
        assert!(said.unwrap().contains(r#"those of ["gone"]"#));
        assert_eq!(quota(&mut held, NOW), 7);
    }

    #[test]
    fn r9_kv_is_asked_once_in_an_interval_and_the_first_request_waits() {
        let mut held = Held { every: EVERY, ..Held::default() };
        assert_eq!((held.turn(NOW), held.turn(NOW)), (Some(Turn::First), None));
        assert_eq!(held.take(None, &embedded(), NOW), None, "nothing there is no news");
        let second = Duration::from_secs(1);
        assert_eq!(held.turn(NOW + EVERY.saturating_sub(second)), None);
        assert_eq!((held.turn(NOW + EVERY), held.turn(NOW + EVERY)), (Some(Turn::Later), None));
        // Nobody came back from it.
        assert_eq!(held.turn(NOW + EVERY + EVERY), Some(Turn::Later));
        held.is_unbound = true;
        assert_eq!(held.turn(NOW + EVERY * 9), None);
    }

    #[test]
    fn r9_kv_that_fails_changes_nothing_and_is_said_once() {
        let mut held = Held { every: EVERY, ..Held::default() };
        take(&mut held, RAISED);
        assert_eq!((held.fail(NOW), held.fail(NOW)), (true, false));
        assert_eq!(quota(&mut held, NOW), 7);
        assert_eq!((held.turn(NOW), held.turn(NOW + RETRY)), (None, Some(Turn::Later)));
        assert_eq!(take(&mut held, RAISED), None);
        assert!(held.fail(NOW), "after it had worked again");
    }

    #[test]
    fn r9_an_override_ends_by_itself_also_while_kv_is_not_asked() {
        let mut held = Held { every: EVERY, ..Held::default() };
        let until = r#"{"limits":{"standard":{"quota":7,"window":60000,"until":1795000020000}}}"#;
        take(&mut held, until);
        let end = held.end.unwrap();
        assert_eq!((quota(&mut held, end.before(EVERY)), quota(&mut held, end)), (7, 2));
        assert!(held.end.is_none());
    }
}
