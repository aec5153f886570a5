//! Requests as tasks, each driven where it is asked.
//!
//! A future that is handed to the platform whole costs a promise, two turns of the platform's
//! queue, and two closures for whatever it waits for: more than a decision. So a request is
//! followed at once, to its end if it waits for nothing (a hit in memory), or else to the one
//! promise that it waits for (the cache, the origin), behind which `entry.js` calls back. What
//! waits for something else becomes a task of the platform.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use tidegate_core::Timestamp;
use wasm_bindgen::prelude::*;
use worker::js_sys::Promise;
use worker::js_sys::futures::{JsFuture, future_to_promise};
use worker::{Context, Env, web_sys};

use crate::{clock, platform};

/// Nobody waits so long for a head. The platform ends a request whose client is gone without a
/// word, and what it left here goes then.
const LONGEST: Duration = Duration::from_secs(300);
/// Requests that wait here at most; others wait as tasks of the platform.
const WAITING_MAX: usize = 16_384;

thread_local! {
    static WAITING: RefCell<Waiting> = RefCell::default();
    /// A request is being followed.
    static IS_DRIVEN: Cell<bool> = const { Cell::new(false) };
    /// What it waits for.
    static AWAITED: RefCell<Option<Promise>> = const { RefCell::new(None) };
    /// What that came to.
    static CAME: RefCell<Option<Result<JsValue, JsValue>>> = const { RefCell::new(None) };
}

#[wasm_bindgen(module = "/src/entry.js")]
extern "C" {
    /// What the task comes to once `promise` is settled: by [`resume`].
    fn later(
        promise: &Promise,
        task: u32,
        request: &web_sys::Request,
        env: &Env,
        context: &JsValue,
        has_died: bool,
    ) -> Promise;

    /// What `answering` comes to, also if this instance dies meanwhile.
    fn survive(
        answering: &Promise,
        request: &web_sys::Request,
        env: &Env,
        context: &JsValue,
        has_died: bool,
    ) -> Promise;
}

/// A request whose answer is on its way.
pub(crate) struct Task {
    pub(crate) answering: Pin<Box<dyn Future<Output = Result<web_sys::Response, JsValue>>>>,
    pub(crate) request: web_sys::Request,
    pub(crate) env: Env,
    pub(crate) context: JsValue,
    pub(crate) has_died: bool,
}

/// Tasks in the order in which they began to wait.
#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Option<(Timestamp, Task)>>,
    /// The number of the first.
    first: u32,
}

/// What a promise comes to.
pub(crate) struct Settled {
    promise: Promise,
    state: State,
}

enum State {
    New,
    /// Whoever follows the request waits for it.
    Driven,
    /// It is waited for by a task of the platform.
    Own(JsFuture),
}

/// Has `work` done behind the request's back.
pub(crate) fn in_background(context: &Context, work: impl Future<Output = ()> + 'static) {
    // A promise of each future by itself would be 4 KB of code each.
    let work: Pin<Box<dyn Future<Output = ()>>> = Box::pin(work);
    context.wait_until(work);
}

/// A promise of what `work` comes to, as a task of the platform.
pub(crate) fn promise(work: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Promise {
    let work: Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>> = Box::pin(work);
    future_to_promise(work)
}

/// Does nothing for `span`, which is not counted exactly.
pub(crate) async fn pause(span: Duration) {
    // A timer is never rejected.
    let _ = Settled::from(platform::pause(span.as_millis() as f64)).await;
}

/// Follows a task: its answer, or a promise of it.
///
/// Nobody hears of a waker of this poll: what a request waits for must take that of the next one.
pub(crate) fn drive(mut task: Task) -> JsValue {
    IS_DRIVEN.set(true);
    let polled = clock::stopped(|| {
        task.answering.as_mut().poll(&mut task::Context::from_waker(Waker::noop()))
    });
    IS_DRIVEN.set(false);
    CAME.take();
    let awaited = AWAITED.take();
    match (polled, awaited) {
        (Poll::Ready(Ok(answer)), _) => answer.into(),
        (Poll::Ready(Err(error)), _) => Promise::reject(&error).into(),
        (Poll::Pending, Some(promise)) => wait(task, &promise),
        (Poll::Pending, None) => go_on_alone(task),
    }
}

/// Follows a task on, since what it waits for has come; `undefined` if there is none.
#[wasm_bindgen]
#[allow(unreachable_pub, reason = "JavaScript reaches it")]
pub fn resume(task: u32, value: JsValue, is_kept: bool) -> JsValue {
    let Some(task) = WAITING.with_borrow_mut(|waiting| waiting.take(task)) else {
        return JsValue::UNDEFINED;
    };
    CAME.set(Some(if is_kept { Ok(value) } else { Err(value) }));
    drive(task)
}

fn wait(task: Task, promise: &Promise) -> JsValue {
    // Handles on the same, for the call that the task is no longer here for.
    let (request, env) = (Clone::clone(&task.request), task.env.clone());
    let (context, has_died) = (task.context.clone(), task.has_died);
    match WAITING.with_borrow_mut(|waiting| waiting.put(task, clock::now())) {
        Ok(number) => later(promise, number, &request, &env, &context, has_died).into(),
        Err(task) => go_on_alone(*task),
    }
}

fn go_on_alone(task: Task) -> JsValue {
    let Task { answering, request, env, context, has_died } = task;
    let answering = promise(async move { Ok(answering.await?.into()) });
    // From here on a panic is no end of the request.
    survive(&answering, &request, &env, &context, has_died).into()
}

impl Waiting {
    fn put(&mut self, task: Task, now: Timestamp) -> Result<u32, Box<Task>> {
        while let Some(oldest) = self.tasks.front()
            && oldest.as_ref().is_none_or(|(since, _)| *since + LONGEST < now)
        {
            self.tasks.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        if self.tasks.len() >= WAITING_MAX {
            return Err(Box::new(task));
        }
        let number = self.first.wrapping_add(self.tasks.len() as u32);
        self.tasks.push_back(Some((now, task)));
        Ok(number)
    }

    fn take(&mut self, number: u32) -> Option<Task> {
        let at = number.wrapping_sub(self.first) as usize;
        Some(self.tasks.get_mut(at)?.take()?.1)
    }
}

impl From<Promise> for Settled {
    fn from(promise: Promise) -> Self {
        Self { promise, state: State::New }
    }
}

impl Future for Settled {
    type Output = Result<JsValue, JsValue>;

    fn poll(mut self: Pin<&mut Self>, turn: &mut task::Context<'_>) -> Poll<Self::Output> {
        let is_free = IS_DRIVEN.get() && AWAITED.with_borrow(Option::is_none);
        match self.state {
            State::New if is_free => {
                AWAITED.set(Some(self.promise.clone()));
                self.state = State::Driven;
                return Poll::Pending;
            }
            State::Driven => {
                if let Some(came) = CAME.take() {
                    return Poll::Ready(came);
                }
            }
            State::New | State::Own(_) => {}
        }
        if !matches!(self.state, State::Own(_)) {
            self.state = State::Own(JsFuture::from(self.promise.clone()));
        }
        match &mut self.state {
            State::Own(own) => Pin::new(own).poll(turn),
            State::New | State::Driven => Poll::Pending,
        }
    }
}
