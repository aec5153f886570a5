//! The limiter: a Durable Object that counts the requests of one client under one limit.
//!
//! One object for each pair of limit and client, and not a fixed number of shards, because
//! an object lives near whoever asked for it first: a client's own object is near that
//! client, a shard is on some continent. A flood slows down the object of its sender and no
//! other (an object takes about 1,000 requests a second); and nothing has to be swept, since
//! an object that is no longer needed deletes itself whole. It costs no more than shards:
//! requests and rows are charged the same, and idle objects are not charged for.
//!
//! An object knows no policy. Each question brings the limit along, so a new policy applies
//! at once, and all that is kept is a [`State`]: written when it changed, so that refusing a
//! blocked client costs no write; read once after an eviction.

// The macro writes the class's exports, and no docs on them.
#![allow(missing_docs)]

mod question;
mod record;

use core::cell::RefCell;

use tidegate_core::rate::{Admission, Limit, State};
use worker::js_sys::{self, Uint8Array, futures::JsFuture};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{DurableObject, Env, Request, Response, Result, ScheduledTime, durable_object};

use crate::clock;
use record::Record;

pub(crate) use question::{BINDING, ask};

/// Where the record lies in the object's storage.
const RECORD: &str = "record";

/// The Durable Object class; `wrangler.toml` names it.
#[durable_object(alarm)]
pub struct Limiter {
    object: worker::State,
    memory: RefCell<Memory>,
}

/// What the object holds between two questions, as long as it is not evicted.
#[derive(Clone, Copy)]
enum Memory {
    /// Nothing was read yet.
    Unread,
    /// What the storage holds, too.
    Read(Option<Record>),
}

impl DurableObject for Limiter {
    fn new(object: worker::State, _env: Env) -> Self {
        Self { object, memory: RefCell::new(Memory::Unread) }
    }

    /// Decides on one request.
    async fn fetch(&self, request: Request) -> Result<Response> {
        let limit = question::read(&request)?;
        let before = self.record().await?;
        // Nothing waits from here until the new state stands in memory, so no other
        // question comes between.
        let state = before.map(|record| record.state);
        let now = clock::now();
        let admission = Admission::decide(&limit, state, now);
        self.keep(before, &limit, admission.next_state()).await?;
        question::answer(state, now)
    }

    /// Forgets a record that tells nothing any more, and all storage with it: an object
    /// without storage does not exist.
    async fn alarm(&self) -> Result<Response> {
        match self.record().await? {
            Some(record) if clock::now() < record.expires => self.wake_at(&record).await?,
            _ => {
                self.object.storage().delete_all().await?;
                *self.memory.borrow_mut() = Memory::Read(None);
            }
        }
        Response::empty()
    }
}

impl Limiter {
    async fn record(&self) -> Result<Option<Record>> {
        if let Memory::Read(record) = *self.memory.borrow() {
            return Ok(record);
        }
        let stored = JsFuture::from(self.object.as_raw().storage()?.get(RECORD)?).await?;
        let record =
            stored.dyn_ref().and_then(|bytes: &Uint8Array| Record::decode(&bytes.to_vec()));
        *self.memory.borrow_mut() = Memory::Read(record);
        Ok(record)
    }

    /// Remembers `state`. The answer to the question does not leave the object before the
    /// platform has made this durable.
    async fn keep(&self, before: Option<Record>, limit: &Limit, state: State) -> Result<()> {
        let record = Record { state, expires: state.expires(limit.window) };
        if before == Some(record) {
            return Ok(());
        }
        *self.memory.borrow_mut() = Memory::Read(Some(record));
        let bytes = Uint8Array::from(&record.encode()[..]);
        let written = self.object.as_raw().storage()?.put(RECORD, bytes.into())?;
        // Where there is a record, there is an alarm, which moves itself on while the
        // record lives: one row for many requests.
        if before.is_none() {
            self.wake_at(&record).await?;
        }
        JsFuture::from(written).await?;
        Ok(())
    }

    async fn wake_at(&self, record: &Record) -> Result<()> {
        let date = js_sys::Date::new(&JsValue::from_f64(record.expires.as_millis() as f64));
        self.object.storage().set_alarm(ScheduledTime::new(date)).await
    }
}
