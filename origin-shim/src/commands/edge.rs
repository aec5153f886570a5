//! The edge as commands operate it: its overrides lie in KV, where wrangler reads and writes them.
//!
//! Questions and answers are those of a shim's admin listener, so that every command serves both.

use std::error::Error;

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use tidegate_core::policy::Overrides;
use tidegate_core::policy::overrides::{LimitOverride, MaintenanceOverride, Objection};
use tidegate_core::{Policy, Timestamp};
use tidegate_origin::{clock, operating};

use super::PolicyArgument;
use super::kv::{DELAY, Kv, KvArgument};

/// Where the document lies.
const KEY: &str = "overrides";

/// Whether the edge is meant, and how it is reached.
#[derive(Args)]
pub(crate) struct EdgeArgument {
    /// Operate the worker at the edge, through KV by wrangler: it follows within a minute as a
    /// rule, two at most
    #[arg(long, conflicts_with = "admin")]
    edge: bool,
    #[command(flatten)]
    kv: KvArgument,
}

/// The edge.
pub(crate) struct Edge {
    policy: Policy,
    kv: Kv,
}

impl EdgeArgument {
    pub(super) const fn is_meant(&self) -> bool {
        self.edge || self.kv.local
    }

    pub(super) fn open(&self, policy: &PolicyArgument) -> Result<Edge, Box<dyn Error>> {
        Ok(Edge { policy: policy.read()?.policy, kv: self.kv.open() })
    }
}

impl Edge {
    /// What the edge answers, as a shim would.
    pub(super) fn ask(
        &self,
        method: &Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<Value, Box<dyn Error>> {
        let now = clock::now();
        let body = body.map(|body| body.to_string()).unwrap_or_else(|| "{}".into());
        match (method.as_str(), path) {
            ("GET", ["limits"]) => Ok(self.limits(&self.read(now)?, now)),
            ("PUT", ["limits", name]) => {
                let said = operating::with_end(body, now).map_err(one)?;
                let said = LimitOverride::from_json(&said).map_err(|bad| all(&bad))?;
                operating::check_end(said.until, now).map_err(one)?;
                let after = self.change(now, |overrides| {
                    said.objection(name, &self.policy).map_or(Ok(()), Err)?;
                    overrides.limits.insert((*name).into(), said);
                    Ok(())
                })?;
                self.limit(&after, name, now)
            }
            ("DELETE", ["limits", name]) => {
                let after = self.change(now, |overrides| {
                    overrides.limits.remove(name);
                    Ok(())
                })?;
                self.limit(&after, name, now)
            }
            ("DELETE", ["limits", name, "blocked", client]) => {
                let unblock =
                    |overrides: &mut Overrides| overrides.unblock(&self.policy, name, client, now);
                self.change(now, unblock)?;
                Ok(json!({ "unblocked": client, "kept": DELAY }))
            }
            ("GET", ["limits", _, "blocked"]) => {
                Err("the edge cannot list who is blocked: Cloudflare does not tell which Durable \
                     Objects there are\n= hint: each block is a line in its log when it begins: \
                     npx wrangler tail --search '\"log\":\"block\"'"
                    .into())
            }
            ("GET", ["maintenance"]) => Ok(self.maintenance(&self.read(now)?, now)),
            ("PUT", ["maintenance"]) => {
                let said = operating::with_end(body, now).map_err(one)?;
                let said = MaintenanceOverride::from_json(&said).map_err(|bad| all(&bad))?;
                operating::check_end(said.until, now).map_err(one)?;
                self.switch(Some(said), now)
            }
            ("DELETE", ["maintenance"]) => {
                let off = MaintenanceOverride {
                    enabled: false,
                    message: None,
                    retry_after: None,
                    until: None,
                };
                self.switch(Some(off).filter(|_| self.policy.model().maintenance.enabled), now)
            }
            _ => Err(
                "the edge says at /.tidegate/health which policy is in force\n= hint: `tidegate \
                      publish` puts a new one there; `tidegate limits --edge` and `tidegate \
                      maintenance --edge` say what stands in its place"
                    .into(),
            ),
        }
    }

    fn switch(
        &self,
        said: Option<MaintenanceOverride>,
        now: Timestamp,
    ) -> Result<Value, Box<dyn Error>> {
        let after = self.change(now, |overrides| {
            overrides.maintenance = said;
            Ok(())
        })?;
        Ok(kept(self.maintenance(&after, now)))
    }

    fn limits(&self, overrides: &Overrides, now: Timestamp) -> Value {
        let in_force = self.policy.with(overrides, now);
        let limits = in_force.model().limits.iter();
        let limits = limits
            .map(|limit| operating::limit(limit, overrides.limits.get(&limit.name), &self.policy));
        json!({ "limits": limits.collect::<Vec<_>>() })
    }

    fn limit(
        &self,
        overrides: &Overrides,
        name: &str,
        now: Timestamp,
    ) -> Result<Value, Box<dyn Error>> {
        let limits = self.limits(overrides, now);
        let limit = limits["limits"].as_array().into_iter().flatten();
        let limit = limit.into_iter().find(|limit| limit["name"] == name).cloned();
        let limit = limit.ok_or_else(|| format!("no limit is named `{name}`"))?;
        Ok(kept(json!({ "limit": limit })))
    }

    fn maintenance(&self, overrides: &Overrides, now: Timestamp) -> Value {
        let in_force = self.policy.with(overrides, now);
        let by_override = overrides.maintenance.is_some();
        json!({ "maintenance": operating::maintenance(&in_force, by_override, now) })
    }

    /// What lies in KV, without what does not fit the policy: that is said.
    fn read(&self, now: Timestamp) -> Result<Overrides, Box<dyn Error>> {
        let Some(document) = self.kv.get(KEY, "{")? else { return Ok(Overrides::default()) };
        let mut overrides = Overrides::from_canonical(&document).map_err(|bad| {
            format!(
                "what lies in KV is no document of overrides: {bad}, or take it away: {}",
                self.kv.shown("delete", KEY, &[])
            )
        })?;
        for misfit in overrides.drop_misfits(&self.policy) {
            eprintln!("left out: {misfit}");
        }
        overrides.drop_ended(now);
        Ok(overrides)
    }

    fn change(
        &self,
        now: Timestamp,
        change: impl FnOnce(&mut Overrides) -> Result<(), Objection>,
    ) -> Result<Overrides, Box<dyn Error>> {
        let mut overrides = self.read(now)?;
        change(&mut overrides).map_err(one)?;
        self.kv.put(KEY, &overrides.to_canonical())?;
        Ok(overrides)
    }
}

/// The answer with the word on when it applies.
fn kept(mut answer: Value) -> Value {
    answer["kept"] = DELAY.into();
    answer
}

fn one(objection: Objection) -> Box<dyn Error> {
    objection.into()
}

fn all(objections: &[Objection]) -> Box<dyn Error> {
    let lines: Vec<String> = objections.iter().map(ToString::to_string).collect();
    lines.join("\n").into()
}
