//! The policy in force: the one that was compiled in, or one that was published in its place,
//! under the overrides. Those, and what was purged, lie in KV.
//!
//! KV is asked behind the backs of requests, so none waits for it, and a hit costs no question.
//! The first request of an isolate does wait, for a short time: else each new isolate would let
//! one through that all others refuse. Whatever is wrong with KV, or with what lies there, the
//! last good policy and the last good overrides stay, and it is said once.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use tidegate_core::policy::{Overrides, Published};
use tidegate_core::{Policy, Timestamp};
use worker::js_sys::{Array, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Context, Env, console_warn};

use crate::task::{self, Settled};
use crate::{clock, embedded_policy, platform, purges};

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
    pub(crate) base: Rc<Policy>,
    /// Since when that is published; without, it was compiled in.
    pub(crate) published_at: Option<Timestamp>,
    policy: Rc<Policy>,
}

/// What this isolate knows of what lies in KV.
#[derive(Default)]
struct Held {
    /// An isolate asks so often. KV adds the half minute for which each place of Cloudflare keeps
    /// what it has read (`platform.js`).
    every: Duration,
    /// When to ask next; never where KV is not bound.
    due: Option<Timestamp>,
    is_unbound: bool,
    is_failing: bool,
    /// The documents as they were seen last, be they good or bad.
    seen: Documents,
    overrides: Overrides,
    /// The policy that was published.
    published: Option<(Rc<Policy>, Timestamp)>,
    /// The policy under the overrides.
    overridden: Option<Rc<Policy>>,
    /// When the next of the overrides ends by itself.
    end: Option<Timestamp>,
}

/// What lies in KV; each is a text of its own.
#[derive(Clone, Default, PartialEq)]
struct Documents {
    overrides: Option<String>,
    policy: Option<String>,
    purges: Option<String>,
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
pub(crate) async fn get(embedded: &Rc<Policy>, env: &Env, context: &Context) -> InForce {
    match HELD.with_borrow_mut(|held| held.turn(clock::now())) {
        None => {}
        Some(Turn::First) => {
            let seconds = platform::overrides_every(env.as_ref());
            HELD.with_borrow_mut(|held| held.every = Duration::from_secs(seconds.into()));
            read(embedded, env, FIRST).await;
        }
        Some(Turn::Later) => {
            let (embedded, env) = (Rc::clone(embedded), env.clone());
            task::in_background(context, async move { read(&embedded, &env, LATER).await });
        }
    }
    let now = clock::now();
    HELD.with_borrow_mut(|held| held.in_force(embedded, now))
}

/// The policy in force without overrides, for answers to what no policy was asked about.
pub(crate) fn base() -> Option<Rc<Policy>> {
    let published = HELD.with_borrow(|held| held.published.clone());
    published.map(|(policy, _)| policy).or_else(embedded_policy::get)
}

async fn read(embedded: &Rc<Policy>, env: &Env, within: Duration) {
    let asked = platform::read_kv(env.as_ref(), within.as_millis() as u32);
    let answer = Settled::from(asked).await;
    let now = clock::now();
    HELD.with_borrow_mut(|held| match answer {
        Ok(answer) if answer.is_undefined() => held.is_unbound = true,
        Ok(answer) => {
            let news = held.take(Documents::of(&answer), embedded, now);
            if news.iter().any(|news| news.starts_with(PUBLISHED))
                && let Some((policy, _)) = &held.published
            {
                warn_of_lack(policy, env);
            }
            for news in news {
                console_warn!("tidegate: {news}");
            }
        }
        Err(error) => {
            if held.fail(now) {
                console_warn!(
                    "tidegate: KV cannot be read ({}); what was in force stays in force",
                    platform::why(&error)
                );
            }
        }
    });
}

/// How news of a published policy begin.
const PUBLISHED: &str = "the published policy";

/// Says what a policy needs that this Worker was not deployed with.
fn warn_of_lack(policy: &Policy, env: &Env) {
    let mut lacking = policy.bindings_at_edge();
    lacking.extend(policy.secrets_at_edge().into_iter().map(str::to_owned));
    let has = |name: &str| Reflect::has(env.as_ref(), &JsValue::from_str(name)) == Ok(true);
    lacking.retain(|name| !has(name));
    if !lacking.is_empty() {
        console_warn!(
            "tidegate: the policy needs what this Worker has not: {}; secrets are set by `npx \
             wrangler secret put`, limits bound by `tidegate wrangler` and a deployment",
            lacking.join(", ")
        );
    }
}

impl Documents {
    fn of(answer: &JsValue) -> Self {
        let texts: &Array = answer.unchecked_ref();
        let [overrides, policy, purges] = [0, 1, 2].map(|at| texts.get(at).as_string());
        Self { overrides, policy, purges }
    }
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
    fn take(&mut self, read: Documents, embedded: &Rc<Policy>, now: Timestamp) -> Vec<String> {
        self.due = Some(now + self.every);
        self.is_failing = false;
        if self.seen == read {
            return Vec::new();
        }
        let before = std::mem::replace(&mut self.seen, read);
        let Documents { overrides, policy, purges } = self.seen.clone();
        let mut news = Vec::new();
        if before.purges != purges
            && let Some(text) = purges
            && let Err(bad) = purges::take(&text)
        {
            news.push(format!(
                "what was purged cannot be read ({bad}), so nothing more of it applies: \
                 `tidegate purge` writes it anew"
            ));
        }
        let has_other_policy = before.policy != policy;
        if has_other_policy {
            news.push(self.take_policy(policy));
        }
        if before.overrides != overrides {
            news.push(self.take_overrides(overrides, embedded));
        }
        if has_other_policy || before.overrides != self.seen.overrides {
            self.apply(embedded, now);
        }
        news
    }

    fn take_policy(&mut self, text: Option<String>) -> String {
        match text.map(|text| Published::from_text(&text)) {
            None => {
                self.published = None;
                "the policy that this Worker was built with is in force".into()
            }
            Some(Ok(Published { policy, hash, at })) => {
                self.published = Some((Rc::new(policy), at));
                format!("{PUBLISHED} {hash} is in force")
            }
            Some(Err(bad)) => format!(
                "a policy in KV is refused, the one before stays in force: {bad}\n= hint: write \
                 it by `tidegate publish` of this Worker's version, or go back by `tidegate \
                 rollback`"
            ),
        }
    }

    fn take_overrides(&mut self, text: Option<String>, embedded: &Rc<Policy>) -> String {
        let read = text.as_deref().map_or(Ok(Overrides::default()), Overrides::from_canonical);
        match read {
            Ok(overrides) => {
                self.overrides = overrides;
                let base = self.base(embedded);
                match self.overrides.misfits(&base) {
                    _ if self.overrides.is_empty() => "no overrides are in force".into(),
                    none if none.is_empty() => "other overrides are in force".into(),
                    misfits => format!(
                        "other overrides are in force, but for those of {}, which do not fit the \
                         policy: `tidegate limits --edge` says why",
                        misfits.join(", ")
                    ),
                }
            }
            Err(bad) => format!("overrides are refused, those before stay in force\n{bad}"),
        }
    }

    /// KV did not answer. Whether that is new.
    fn fail(&mut self, now: Timestamp) -> bool {
        self.due = Some(now + RETRY.min(self.every));
        !std::mem::replace(&mut self.is_failing, true)
    }

    fn base(&self, embedded: &Rc<Policy>) -> Rc<Policy> {
        self.published.as_ref().map_or_else(|| Rc::clone(embedded), |(base, _)| Rc::clone(base))
    }

    fn in_force(&mut self, embedded: &Rc<Policy>, now: Timestamp) -> InForce {
        if self.end.is_some_and(|end| end <= now) {
            self.apply(embedded, now);
        }
        let base = self.base(embedded);
        let policy = self.overridden.clone().unwrap_or_else(|| Rc::clone(&base));
        InForce { base, published_at: self.published.as_ref().map(|(_, at)| *at), policy }
    }

    fn apply(&mut self, embedded: &Rc<Policy>, now: Timestamp) {
        self.end = self.overrides.next_end_after(now);
        let base = self.base(embedded);
        // Read once more, since the code to copy a policy is as long as that of all this.
        let again = || Some(Policy::from_json(base.source()?).ok()?.under(&self.overrides, now));
        self.overridden = (!self.overrides.is_empty()).then(again).flatten().map(Rc::new);
    }
}

impl Deref for InForce {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);
    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const RAISED: &str = r#"{"limits":{"standard":{"quota":7,"window":60000}}}"#;

    fn policy(quota: u32) -> Policy {
        Policy::from_json(&format!(
            r#"{{"schema":1,"limits":[{{"name":"standard","quota":{quota},"window":60000,
                "algorithm":"fixed-window","key":[]}}]}}"#,
        ))
        .unwrap()
    }

    fn embedded() -> Rc<Policy> {
        Rc::new(policy(2))
    }

    fn quota(held: &mut Held, now: Timestamp) -> u32 {
        held.in_force(&embedded(), now).model().limits[0].quota.get()
    }

    fn take(held: &mut Held, overrides: &str) -> Option<String> {
        let policy = held.seen.policy.clone();
        let read = Documents { overrides: Some(overrides.into()), policy, purges: None };
        held.take(read, &embedded(), NOW).pop()
    }

    fn publish(held: &mut Held, text: Option<String>) -> Option<String> {
        let read = Documents { policy: text, ..held.seen.clone() };
        held.take(read, &embedded(), NOW).pop()
    }

    fn nothing(held: &mut Held) -> Vec<String> {
        held.take(Documents::default(), &embedded(), NOW)
    }

    #[test]
    fn a_published_policy_is_in_force_until_it_is_taken_back_and_overrides_count_on_top() {
        let mut held = Held { every: EVERY, ..Held::default() };
        let published = Published::new(policy(5), NOW);
        let said = publish(&mut held, Some(published.to_text()));
        assert_eq!(said.unwrap(), format!("the published policy {} is in force", published.hash));
        let in_force = held.in_force(&embedded(), NOW);
        assert_eq!((in_force.base.hash(), in_force.published_at), (published.hash, Some(NOW)));
        assert_eq!(quota(&mut held, NOW), 5);
        take(&mut held, RAISED);
        assert_eq!(quota(&mut held, NOW), 7);
        let said = publish(&mut held, None);
        assert_eq!(said.unwrap(), "the policy that this Worker was built with is in force");
        assert_eq!(quota(&mut held, NOW), 7);
        assert_eq!(nothing(&mut held), ["no overrides are in force"]);
        assert_eq!(quota(&mut held, NOW), 2);
        assert_eq!(held.in_force(&embedded(), NOW).published_at, None);
    }

    #[test]
    fn a_bad_policy_leaves_the_last_good_one_and_is_said_once_with_a_remedy() {
        let mut held = Held { every: EVERY, ..Held::default() };
        let good = Published::new(policy(5), NOW).to_text();
        publish(&mut held, Some(good.clone()));
        for bad in [good.replace("\"quota\":5", "\"quota\":6"), good.replace("quota", "quoat")] {
            let said = publish(&mut held, Some(bad.clone())).unwrap();
            assert!(said.contains("the one before stays in force: ") && said.contains("= hint: "));
            assert_eq!((publish(&mut held, Some(bad)), quota(&mut held, NOW)), (None, 5));
        }
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
        assert_eq!(nothing(&mut held), ["no overrides are in force"]);
        assert_eq!(quota(&mut held, NOW), 2);
    }

    #[test]
    fn r9_what_does_not_fit_the_policy_is_said_and_the_rest_is_in_force() {
        let mut held = Held { every: EVERY, ..Held::default() };
        let said = take(
            &mut held,
            r#"{"limits":{"gone":{"burst":1},"standard":{"quota":7,"window":60000}}}"#,
        );
        assert!(said.unwrap().contains("those of gone,"));
        assert_eq!(quota(&mut held, NOW), 7);
    }

    #[test]
    fn c4_purges_that_cannot_be_read_are_said_and_the_rest_applies() {
        let mut held = Held { every: EVERY, ..Held::default() };
        let read = Documents {
            overrides: Some(RAISED.into()),
            policy: None,
            purges: Some("nonsense".into()),
        };
        let said = held.take(read, &embedded(), NOW);
        assert!(said[0].starts_with("what was purged cannot be read (line 1: "), "{said:?}");
        assert_eq!(quota(&mut held, NOW), 7);
    }

    #[test]
    fn r9_kv_is_asked_once_in_an_interval_and_the_first_request_waits() {
        let mut held = Held { every: EVERY, ..Held::default() };
        assert_eq!((held.turn(NOW), held.turn(NOW)), (Some(Turn::First), None));
        assert_eq!(nothing(&mut held), [""; 0], "nothing there is no news");
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
