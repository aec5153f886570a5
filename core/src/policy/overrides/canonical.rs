//! The canonical form of overrides, for the edge: what people write, read already, so that the
//! worker needs no reader of words. As in the canonical form of the policy, spans are milliseconds
//! and instants milliseconds since 1970.
//!
//! ```json
//! {
//!   "limits": { "standard": { "quota": 200, "window": 60000, "until": 1795285800000 } },
//!   "maintenance": { "enabled": true, "message": "Back at six.", "retry_after": 600000 },
//!   "unblocked": [{ "limit": "standard", "client": "ip:203.0.113.7", "at": 1795276800000 }]
//! }
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use core::num::NonZeroU32;
use core::time::Duration;

use serde_json::{Map, Value};

use super::{
    JSON_MAX, LimitOverride, MESSAGE_MAX, MaintenanceOverride, Objection, Overrides, UNBLOCKED_MAX,
    Unblocked,
};
use crate::time::{Timestamp, millis};

impl Overrides {
    /// Reads the canonical JSON. Programs write it, so it is refused for the first thing that is
    /// wrong.
    pub fn from_canonical(json: &str) -> Result<Self, Objection> {
        let value = Some(json).filter(|json| json.len() <= JSON_MAX);
        // As bytes, since tokens are read so, too: the reader is in the worker once.
        let value = value.and_then(|json| serde_json::from_slice(json.as_bytes()).ok());
        let value: Option<Value> = value;
        let mut all = Self::default();
        members(value.as_ref(), "", &mut |name, value| match name {
            "limits" => members(Some(value), "limits", &mut |name, value| {
                let place = format!("limits.{name}");
                all.limits.insert(name.into(), limit(value, &place)?);
                Ok(())
            }),
            "maintenance" => {
                all.maintenance = Some(maintenance(value)?);
                Ok(())
            }
            "unblocked" => {
                let list = value.as_array().filter(|list| list.len() <= UNBLOCKED_MAX);
                for value in list.ok_or_else(|| bad(name))? {
                    all.unblocked.push(unblocked(value)?);
                }
                Ok(())
            }
            _ => Err(bad(name)),
        })?;
        Ok(all)
    }

    /// Writes the canonical JSON: the same overrides always give the same bytes.
    pub fn to_canonical(&self) -> String {
        let mut all = Map::new();
        if !self.limits.is_empty() {
            let limits = self.limits.iter();
            let limits = limits.map(|(name, said)| (String::from(name), said.to_canonical()));
            all.insert("limits".into(), limits.collect());
        }
        if let Some(said) = &self.maintenance {
            let mut value = written(&[
                ("retry_after", said.retry_after.map(millis)),
                ("until", said.until.map(Timestamp::as_millis)),
            ]);
            value.insert("enabled".into(), said.enabled.into());
            value.extend(said.message.as_deref().map(|text| ("message".into(), text.into())));
            all.insert("maintenance".into(), value.into());
        }
        if !self.unblocked.is_empty() {
            let unblocked = self.unblocked.iter().map(|one| {
                let mut value = written(&[("at", Some(one.at.as_millis()))]);
                value.insert("limit".into(), (&*one.limit).into());
                value.insert("client".into(), (&*one.client).into());
                Value::Object(value)
            });
            all.insert("unblocked".into(), unblocked.collect());
        }
        Value::Object(all).to_string()
    }
}

impl LimitOverride {
    fn to_canonical(self) -> Value {
        let numbers = [
            ("quota", self.limit.map(|(quota, _)| quota.get().into())),
            ("window", self.limit.map(|(_, window)| millis(window))),
            ("burst", self.burst.map(u64::from)),
            ("block", self.block.map(millis)),
            ("until", self.until.map(Timestamp::as_millis)),
        ];
        written(&numbers).into()
    }
}

fn written(numbers: &[(&str, Option<u64>)]) -> Map<String, Value> {
    let numbers = numbers.iter();
    numbers.filter_map(|(name, number)| Some((String::from(*name), (*number)?.into()))).collect()
}

fn limit(value: &Value, place: &str) -> Result<LimitOverride, Objection> {
    let (mut said, mut quota, mut window) = (LimitOverride::default(), None, None);
    members(Some(value), place, &mut |name, value| {
        let number = value.as_u64().ok_or_else(|| bad_in(place, name))?;
        let small = u32::try_from(number).ok();
        let span = Some(Duration::from_millis(number));
        let is_known = match name {
            "quota" => {
                quota = small.and_then(NonZeroU32::new);
                quota.is_some()
            }
            "window" => {
                window = span.filter(|span| !span.is_zero());
                window.is_some()
            }
            "burst" => {
                said.burst = small;
                small.is_some()
            }
            "block" => {
                said.block = span;
                true
            }
            "until" => {
                said.until = Some(Timestamp::from_millis(number));
                true
            }
            _ => false,
        };
        is_known.then_some(()).ok_or_else(|| bad_in(place, name))
    })?;
    if quota.is_some() != window.is_some() {
        return Err(bad(place));
    }
    said.limit = quota.zip(window);
    Ok(said)
}

fn maintenance(value: &Value) -> Result<MaintenanceOverride, Objection> {
    let place = "maintenance";
    let mut said =
        MaintenanceOverride { enabled: true, message: None, retry_after: None, until: None };
    members(Some(value), place, &mut |name, value| {
        let number = value.as_u64();
        let is_known = match (name, value) {
            ("enabled", Value::Bool(enabled)) => {
                said.enabled = *enabled;
                true
            }
            ("message", Value::String(text)) => {
                said.message = Some(text.clone());
                text.len() <= MESSAGE_MAX
            }
            ("retry_after", _) => {
                said.retry_after = number.map(Duration::from_millis);
                number.is_some()
            }
            ("until", _) => {
                said.until = number.map(Timestamp::from_millis);
                number.is_some()
            }
            _ => false,
        };
        is_known.then_some(()).ok_or_else(|| bad_in(place, name))
    })?;
    Ok(said)
}

fn unblocked(value: &Value) -> Result<Unblocked, Objection> {
    let text = |name| Some(String::from(value.get(name)?.as_str()?));
    let read = || {
        let at = Timestamp::from_millis(value.get("at")?.as_u64()?);
        Some(Unblocked { limit: text("limit")?, client: text("client")?, at })
    };
    read().ok_or_else(|| bad("unblocked"))
}

/// What to do with each member, by its name.
type Take<'a> = &'a mut dyn FnMut(&str, &Value) -> Result<(), Objection>;

/// Hands each member of the object at `place` on.
fn members(value: Option<&Value>, place: &str, take: Take<'_>) -> Result<(), Objection> {
    let object = value.and_then(Value::as_object).ok_or_else(|| bad(place))?;
    for (name, value) in object {
        take(name, value)?;
    }
    Ok(())
}

fn bad_in(place: &str, name: &str) -> Objection {
    bad(&format!("{place}.{name}"))
}

fn bad(place: &str) -> Objection {
    Objection {
        place: place.into(),
        message: "this is not as `tidegate` writes it".into(),
        hint: "write it by `tidegate limits` or `tidegate maintenance` with `--edge`".into(),
    }
}
