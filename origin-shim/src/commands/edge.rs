//! The edge as commands operate it: its overrides lie in KV, where wrangler reads and writes them.
//!
//! Questions and answers are those of a shim's admin listener, so that every command serves both.

use std::error::Error;
use std::process::Command;

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use tidegate_core::policy::Overrides;
use tidegate_core::policy::overrides::{LimitOverride, MaintenanceOverride, Objection};
use tidegate_core::{Policy, Timestamp};
use tidegate_origin::{clock, operating};

use super::PolicyArgument;

/// The binding in `wrangler.toml`.
const BINDING: &str = "TIDEGATE";
/// Where the document lies.
const KEY: &str = "overrides";
/// What wrangler says of a key that is not there.
const ABSENT: [&str; 2] = ["Value not found", "key not found"];
const DELAY: &str = "The edge follows within a minute as a rule, two at most.";

/// Whether the edge is meant, and how it is reached.
#[derive(Args)]
pub(crate) struct EdgeArgument {
    /// Operate the worker at the edge, through KV by wrangler: it follows within a minute as a
    /// rule, two at most
    #[arg(long, conflicts_with = "admin")]
    edge: bool,
    /// The KV of `wrangler dev` on this machine, in place of Cloudflare's
    #[arg(long, requires = "edge")]
    local: bool,
    /// How wrangler is called, with options of your own if need be
    #[arg(long, value_name = "COMMAND", default_value = "npx wrangler", env = "TIDEGATE_WRANGLER")]
    wrangler: String,
}

/// The edge.
pub(crate) struct Edge {
    policy: Policy,
    kv: Kv,
}

/// The overrides' place in KV.
struct Kv {
    wrangler: String,
    is_local: bool,
}

impl EdgeArgument {
    pub(super) const fn is_meant(&self) -> bool {
        self.edge
    }

    pub(super) fn open(&self, policy: &PolicyArgument) -> Result<Edge, Box<dyn Error>> {
        let kv = Kv { wrangler: self.wrangler.clone(), is_local: self.local };
        Ok(Edge { policy: policy.read()?.policy, kv })
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
            _ => Err("the edge has its policy from when it was built, and its health at \
                      /.tidegate/health\n= hint: `npx wrangler deploy` puts a new policy there; \
                      `tidegate limits --edge` and `tidegate maintenance --edge` say what stands \
                      in its place"
                .into()),
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
        let Some(document) = self.kv.get()? else { return Ok(Overrides::default()) };
        let mut overrides = Overrides::from_canonical(&document).map_err(|bad| {
            format!(
                "what lies in KV is no document of overrides: {bad}, or take it away: {}",
                self.kv.shown("delete", &[])
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
        self.kv.put(&overrides.to_canonical())?;
        Ok(overrides)
    }
}

impl Kv {
    /// What lies there.
    fn get(&self) -> Result<Option<String>, Box<dyn Error>> {
        let (is_good, told, complaint) = self.run("get", &["--text"])?;
        let is_absent = |text: &str| ABSENT.iter().any(|absent| text.contains(absent));
        if is_absent(&complaint) || told.trim() == ABSENT[0] {
            return Ok(None);
        }
        match is_good {
            // wrangler may say something of its own before it.
            true => Ok(Some(told[told.find('{').unwrap_or(0)..].trim().into())),
            false => Err(self.failed("get", &["--text"], &told, &complaint).into()),
        }
    }

    fn put(&self, document: &str) -> Result<(), Box<dyn Error>> {
        let (is_good, told, complaint) = self.run("put", &[document])?;
        match is_good {
            true => Ok(()),
            false => Err(self.failed("put", &[document], &told, &complaint).into()),
        }
    }

    fn arguments(&self, verb: &str, more: &[&str]) -> Vec<String> {
        let place = if self.is_local { "--local" } else { "--remote" };
        let all = ["kv", "key", verb, KEY].into_iter().chain(more.iter().copied());
        all.chain(["--binding", BINDING, place]).map(String::from).collect()
    }

    fn shown(&self, verb: &str, more: &[&str]) -> String {
        let arguments = self.arguments(verb, more);
        let quoted = arguments.iter().map(|text| match text.contains(['{', ' ', '"']) {
            true => format!("'{}'", text.replace('\'', r"'\''")),
            false => text.clone(),
        });
        let quoted: Vec<String> = quoted.collect();
        format!("{} {}", self.wrangler, quoted.join(" "))
    }

    /// Whether wrangler was content, what it said, and what it complained of.
    fn run(&self, verb: &str, more: &[&str]) -> Result<(bool, String, String), Box<dyn Error>> {
        let mut words = self.wrangler.split_whitespace();
        let program = words.next().ok_or("--wrangler names no command")?;
        let mut command = Command::new(program);
        command.args(words).args(self.arguments(verb, more)).env("WRANGLER_HIDE_BANNER", "true");
        let output = command.env("NO_COLOR", "1").output().map_err(|error| {
            format!(
                "`{program}` cannot be run: {error}\n= hint: install Node.js, and wrangler by \
                 `npm install` beside wrangler.toml; --wrangler COMMAND names another"
            )
        })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.success(), text(&output.stdout), text(&output.stderr)))
    }

    fn failed(&self, verb: &str, more: &[&str], told: &str, complaint: &str) -> String {
        format!(
            "wrangler could not do it:\n{}{}\n= hint: run this here in the folder of wrangler.toml, \
             with its `[[kv_namespaces]]` in place and `npx wrangler login` done, or by \
             yourself: {}",
            told.trim_start(),
            complaint.trim(),
            self.shown(verb, more)
        )
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
