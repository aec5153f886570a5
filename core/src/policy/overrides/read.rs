//! Reads overrides, noting every error on the way instead of stopping at the first.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::by_name::ByName;
use super::{
    JSON_MAX, LimitOverride, MESSAGE_MAX, MaintenanceOverride, Objection, Overrides, UNBLOCKED_MAX,
    Unblocked,
};
use crate::policy::{Malformed, units};
use crate::time::rfc3339;

/// What was found wrong so far.
#[derive(Default)]
struct Reader(Vec<Objection>);

pub(super) fn overrides(json: &str) -> Result<Overrides, Vec<Objection>> {
    Reader::read(json, |reader, value| {
        let all = reader.object(value, "", &["limits", "maintenance", "unblocked"])?;
        let mut limits = ByName::default();
        if let Some(named) = all.get("limits") {
            let Some(named) = named.as_object() else {
                let hint = "write `{ \"standard\": { \"limit\": \"200 per 60s\" } }`";
                reader.object_to("limits", "the limits by their names are an object", hint);
                return None;
            };
            for (name, limit) in named {
                let limit = reader.limit(limit, &format!("limits.{name}"));
                limit.inspect(|limit| limits.insert(name.clone(), *limit));
            }
        }
        let maintenance = all.get("maintenance");
        let maintenance = maintenance.and_then(|value| reader.maintenance(value, "maintenance"));
        let unblocked = all.get("unblocked").map_or(Vec::new(), |list| reader.unblocked(list));
        Some(Overrides { limits, maintenance, unblocked })
    })
}

pub(super) fn limit(json: &str) -> Result<LimitOverride, Vec<Objection>> {
    Reader::read(json, |reader, value| reader.limit(value, ""))
}

pub(super) fn maintenance(json: &str) -> Result<MaintenanceOverride, Vec<Objection>> {
    Reader::read(json, |reader, value| reader.maintenance(value, ""))
}

impl Reader {
    fn read<T>(
        json: &str,
        decode: impl FnOnce(&mut Self, &Value) -> Option<T>,
    ) -> Result<T, Vec<Objection>> {
        let mut reader = Self::default();
        let decoded = match serde_json::from_str(json) {
            _ if json.len() > JSON_MAX => {
                reader.object_to("", format!("this is longer than {JSON_MAX} bytes"), "write less");
                None
            }
            Err(error) => {
                reader.object_to("", format!("this is no JSON: {error}"), "write a JSON object");
                None
            }
            Ok(value) => decode(&mut reader, &value),
        };
        match decoded {
            Some(decoded) if reader.0.is_empty() => Ok(decoded),
            _ => Err(reader.0),
        }
    }

    fn limit(&mut self, value: &Value, place: &str) -> Option<LimitOverride> {
        let all = self.object(value, place, &["limit", "burst", "block", "until"])?;
        let limit = self.text(all, place, "limit", units::rate);
        let burst = self.field(all, place, "burst", |value| {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| {
                Malformed::new("this is no number of requests", "write a number like 20")
            })
        });
        let block = self.text(all, place, "block", units::duration);
        let until = self.text(all, place, "until", instant);
        if ["limit", "burst", "block"].iter().all(|name| !all.contains_key(*name)) {
            self.object_to(place, "this changes nothing", "give `limit`, `burst` or `block`");
        }
        Some(LimitOverride { limit, burst, block, until })
    }

    fn maintenance(&mut self, value: &Value, place: &str) -> Option<MaintenanceOverride> {
        let known = ["enabled", "message", "retry_after", "until"];
        let all = self.object(value, place, &known)?;
        let enabled = self.field(all, place, "enabled", |value| {
            let hint = "write `true` or `false`, or leave it out for `true`";
            value.as_bool().ok_or_else(|| Malformed::new("this is neither true nor false", hint))
        });
        Some(MaintenanceOverride {
            enabled: enabled.unwrap_or(true),
            message: self.text(all, place, "message", message),
            retry_after: self.text(all, place, "retry_after", units::duration),
            until: self.text(all, place, "until", instant),
        })
    }

    fn unblocked(&mut self, list: &Value) -> Vec<Unblocked> {
        let Some(list) = list.as_array().filter(|list| list.len() <= UNBLOCKED_MAX) else {
            let message = format!("this is no list of {UNBLOCKED_MAX} clients at most");
            self.object_to("unblocked", message, "write `[ … ]`");
            return Vec::new();
        };
        let mut unblocked: Vec<Unblocked> = Vec::new();
        for (at, one) in list.iter().enumerate() {
            let one = self.unblocked_one(one, &format!("unblocked.{at}"));
            unblocked.extend(one);
        }
        unblocked
    }

    fn unblocked_one(&mut self, value: &Value, place: &str) -> Option<Unblocked> {
        let names = ["limit", "client", "at"];
        let all = self.object(value, place, &names)?;
        let mut lacks = names.into_iter().filter(|name| !all.contains_key(*name));
        if let Some(name) = lacks.next() {
            self.object_to(
                place,
                format!("`{name}` is missing"),
                "give `limit`, `client` and `at`",
            );
        }
        let limit = self.text(all, place, "limit", |text| Ok(text.into()))?;
        let at = self.text(all, place, "at", instant)?;
        self.text(all, place, "client", |client| {
            let one = Unblocked { limit, client: client.into(), at };
            one.check().map(|()| one)
        })
    }

    fn object<'v>(
        &mut self,
        value: &'v Value,
        place: &str,
        known: &[&str],
    ) -> Option<&'v Map<String, Value>> {
        let Some(all) = value.as_object() else {
            self.object_to(place, "this is no JSON object", "write `{ … }`");
            return None;
        };
        for name in all.keys().filter(|name| !known.contains(&name.as_str())) {
            let names: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
            let hint = format!("known are {}", names.join(", "));
            self.object_to(place, format!("there is no field `{}`", name.escape_debug()), hint);
        }
        Some(all)
    }

    fn text<T>(
        &mut self,
        all: &Map<String, Value>,
        place: &str,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, Malformed>,
    ) -> Option<T> {
        self.field(all, place, name, |value| match value.as_str() {
            Some(text) => read(text),
            None => Err(Malformed::new("this is no text", "write it in quotation marks")),
        })
    }

    fn field<T>(
        &mut self,
        all: &Map<String, Value>,
        place: &str,
        name: &str,
        read: impl FnOnce(&Value) -> Result<T, Malformed>,
    ) -> Option<T> {
        let read = read(all.get(name)?);
        let dot = if place.is_empty() { "" } else { "." };
        read.map_err(|bad| self.object_to(&format!("{place}{dot}{name}"), bad.message, bad.hint))
            .ok()
    }

    fn object_to(&mut self, place: &str, message: impl Into<String>, hint: impl Into<String>) {
        let (place, message, hint) = (place.into(), message.into(), hint.into());
        self.0.push(Objection { place, message, hint });
    }
}

fn instant(text: &str) -> Result<crate::Timestamp, Malformed> {
    rfc3339::parse(text).ok_or_else(|| {
        Malformed::new(
            format!("`{}` is no time", text.escape_debug()),
            "write it like `2026-11-21T18:30:00Z` or `2026-11-21T19:30:00+01:00`",
        )
    })
}

fn message(text: &str) -> Result<String, Malformed> {
    match text.len() {
        ..=MESSAGE_MAX => Ok(text.into()),
        _ => Err(Malformed::new(
            format!("the message is longer than {MESSAGE_MAX} bytes"),
            "say less",
        )),
    }
}
