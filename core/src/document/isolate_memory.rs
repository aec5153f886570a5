//! `[edge] memory`: what an isolate of the worker keeps in its own memory.

use alloc::vec::Vec;
use core::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::declare::section;
use super::decode::{Context, Decode, Located};
use super::shape::Shape;
use super::values::{Bytes, Ttl};
use crate::policy::IsolateMemory;

/// What is invalidated through another isolate is heard of that late.
const TTL_MAX: Duration = Duration::from_secs(60);
/// Half of what an isolate has.
const SIZE_MAX: u64 = 64 << 20;

section! {
    /// Small answers that the worker keeps in the memory of an isolate: a hit there asks nobody,
    /// not even the Cache API.
    struct MemorySection, "`[edge] memory`" {
        /// For how long an answer serves from there before it is looked up anew, `10s` without it.
        /// So long it may take until an isolate hears of an invalidation by a request to another.
        optional ttl: Located<Ttl>,
        /// How much memory of each isolate answers take at most, `16MiB` without it.
        optional size: Located<Bytes>,
        /// How long a body may be, `256KiB` without it.
        optional object: Located<Bytes>,
    }
}

/// `memory = false`, or a table.
#[derive(Debug)]
pub(super) enum Memory {
    /// As it is without a word, or off.
    Switch(bool),
    /// What differs.
    Table(MemorySection),
}

impl Decode for Memory {
    fn shape() -> Shape {
        Shape::Either(Vec::from([Shape::Flag, MemorySection::shape()]))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        match value.get_ref().as_bool() {
            Some(switch) => Some(Self::Switch(switch)),
            None => MemorySection::decode(value, context).map(Self::Table),
        }
    }
}

pub(super) fn resolve(memory: Option<Memory>, context: &mut Context<'_>) -> IsolateMemory {
    let MemorySection { ttl, size, object } = match memory {
        None | Some(Memory::Switch(true)) => return IsolateMemory::default(),
        Some(Memory::Switch(false)) => return IsolateMemory::OFF,
        Some(Memory::Table(section)) => section,
    };
    let mut rule = IsolateMemory::default();
    if let Some(Located { value: Ttl(ttl), span }) = ttl {
        if ttl.is_zero() || ttl > TTL_MAX {
            let hint = "write `\"10s\"`, or `memory = false` to switch it off";
            context.report(span, "the `ttl` of `memory` lies between `1ms` and `1m`", hint);
        }
        rule.ttl = ttl;
    }
    if let Some(Located { value: Bytes(size), span }) = size {
        if size == 0 || size > SIZE_MAX {
            let hint = "an isolate has 128 MB for all: write `\"16MiB\"`, or `memory = false`";
            context.report(span, "the `size` of `memory` lies between `1B` and `64MiB`", hint);
        }
        rule.size = size;
    }
    if let Some(Located { value: Bytes(object), span }) = object {
        if object > rule.size {
            let hint = "a body that is longer than `size` has no place in it";
            context.report(span, "`object` is more than `size`", hint);
        }
        rule.object = object;
    }
    rule.object = rule.object.min(rule.size);
    rule
}
