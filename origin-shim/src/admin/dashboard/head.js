// How the shim is, all in all: the line at the top, what is wrong, the tiles, what is in force.

import { element, say } from "./table.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);

/** The badge, and the line beside it. */
export function showState(stats) {
  const { status } = stats.ready;
  badge(status, status === "ok" ? "ok" : status);
  document.title = status === "ok" ? "Tidegate" : `Tidegate: ${status}`;
  say($("about"), `${stats.version}, up ${words.since(Math.floor(stats.uptime / 60) * 60 || stats.uptime)}, policy ${stats.policy.hash}`);
}

/** @param {"ok" | "degraded" | "failing" | "lost" | "paused"} kind */
export function badge(kind, text) {
  $("state").className = `badge ${kind}`;
  say($("state"), text);
}

const notices = new Map();

/** Shows a notice, or with no text takes it back. It is said aloud when its text changes. */
export function notice(key, text, kind = "") {
  const shown = notices.get(key);
  if (text === null) {
    shown?.remove();
    notices.delete(key);
    return;
  }
  if (shown === undefined) {
    const made = element("p", { class: `notice ${kind}` }, text);
    notices.set(key, made);
    $("notices").append(made);
  } else {
    shown.className = `notice ${kind}`;
    say(shown, text);
  }
}

/** What `/ready` finds. */
export function showChecks({ ready }) {
  const wrong = ready.checks.filter((check) => check.status !== "ok" && check.check !== "maintenance");
  const keys = wrong.map((check) => `check ${check.check} ${check.name ?? ""}`);
  for (const key of notices.keys()) {
    if (key.startsWith("check ") && !keys.includes(key)) notice(key, null);
  }
  wrong.forEach(({ check, name, status, detail }, at) =>
    notice(keys[at], `${check} ${name ?? ""} is ${status}: ${detail}`, status === "failing" ? "bad" : ""),
  );
}

const tiles = new Map();

/** The numbers of the last seconds. */
export function showTiles(recent) {
  const stats = recent.latest;
  const { rate, share, quantile } = recent.lately((stats) => stats.requests);
  const memory = stats.process.resident / stats.process.memory_limit;
  const all = [
    ["Requests/s", words.rate(rate("count"))],
    ["From the cache", words.share(share("hits", "count"))],
    ["p50", words.took(quantile(0.5))],
    ["p95", words.took(quantile(0.95))],
    ["p99", words.took(quantile(0.99)), quantile(0.99) > 1],
    ["Refused (429)", words.share(share("refused", "count"))],
    ["Failed (5xx)", words.share(share("failed", "count")), share("failed", "count") > 0.01],
    ["Connections", stats.connections ? words.count(stats.connections.held) : "–"],
    ["Waiting for others", words.count(stats.waiting)],
    ["Memory", words.bytes(stats.process.resident), memory > 0.8],
  ];
  for (const [name, text, isBad = false] of all) {
    const tile = tiles.get(name) ?? tiles.set(name, makeTile(name)).get(name);
    say(tile.value, text);
    tile.whole.classList.toggle("bad", isBad);
  }
}

function makeTile(name) {
  const value = element("dd");
  const whole = element("div", {}, element("dt", {}, name), value);
  $("tiles").append(whole);
  return { whole, value };
}

/** The policy in force, and what was said at run time. */
export function showForce(status) {
  $("to-playground").hidden = !status.playground;
  const { policy, maintenance, overrides, overrides_survive_restart: survives } = status;
  const facts = [
    ["Policy", policy.file],
    ["Hash", policy.hash],
    ["Read", words.day(policy.read)],
    ["Maintenance", maintenanceText(maintenance)],
    ...Object.entries(overrides.limits ?? {}).map(([name, said]) => [`Override of ${name}`, overrideText(said)]),
  ];
  if (overrides.limits === undefined) facts.push(["Overrides", "none"]);
  else facts.push(["A restart", survives ? "keeps the overrides" : "forgets the overrides"]);
  const text = JSON.stringify(facts);
  if ($("force").dataset.shown === text) return;
  $("force").dataset.shown = text;
  $("force").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  notice("maintenance", maintenance.enabled ? `Maintenance is ${maintenanceText(maintenance)}.` : null);
}

function maintenanceText({ enabled, by, message, retry_after: wait, until }) {
  if (!enabled) return "off";
  const parts = [`on by ${by === "override" ? "an override" : "the policy"}`];
  if (until) parts.push(`until ${words.day(until)}`);
  if (wait) parts.push(`clients are told to wait ${wait}`);
  if (message) parts.push(`they are told “${message}”`);
  return parts.join(", ");
}

function overrideText({ until, ...said }) {
  const parts = Object.entries(said).map(([field, value]) => `${field} ${value}`);
  if (until) parts.push(`until ${words.day(until)}`);
  return parts.join(", ");
}
