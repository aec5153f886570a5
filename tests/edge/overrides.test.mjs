// What an operator says at run time, in KV as Miniflare has it: the built worker with the
// repository's policy, before the shim and the demo origin.
//
// KV is asked behind the backs of requests, here at each of them; so what was put there is
// waited for by asking, and never for a time.

import assert from "node:assert/strict";
import test from "node:test";

import { openOperatedDevGate, openOperatedGate, until } from "./harness.mjs";

/** An endpoint that nothing caches, so that each admitted request is counted. */
const LIMITED = "/api/v1/custom";
const CLIENT = "203.0.113.1";

test("R9: an override in KV raises a limit", async (t) => {
  const { edge, operate } = await openOperatedGate(t);
  assert.equal(await quota(edge), 100);
  await operate.put({ limits: { standard: { quota: 300, window: 60_000 } } });
  await until(async () => (await quota(edge)) === 300);
  await operate.delete();
  await until(async () => (await quota(edge)) === 100);
});

test("R9: the first request of an isolate is decided by what lies in KV", async (t) => {
  const { edge, operate } = await openOperatedGate(t, { vars: { TIDEGATE_OVERRIDES_EVERY: "3600" } });
  await operate.put({ limits: { standard: { quota: 3, window: 60_000 } } });
  assert.deepEqual(await ask(edge, 5), [200, 200, 200, 429, 429]);
});

test("R9: a bad document leaves the last good one in force", async (t) => {
  const { edge, operate } = await openOperatedGate(t);
  await operate.put({ limits: { standard: { quota: 300, window: 60_000 } } });
  await until(async () => (await quota(edge)) === 300);
  await operate.put({ limits: { standard: { quota: "many", window: 60_000 } } });
  await until(async () => {
    assert.equal(await quota(edge), 300);
    return /limits\.standard\.quota: .*\n= hint: /.test(edge.said());
  });
  for (const _ of Array(5)) assert.equal(await quota(edge), 300);
  const times = edge.said().split("limits.standard.quota:").length - 1;
  assert.equal(times, 1, "it is said once");
});

test("R9: maintenance in KV keeps everybody out but health checks", async (t) => {
  const { edge, operate } = await openOperatedGate(t);
  const page = { headers: { Accept: "text/html" } };
  assert.equal((await edge.fetch(LIMITED, page)).status, 200);
  const maintenance = { enabled: true, message: "Back at <six>.", retry_after: 600_000 };
  await operate.put({ maintenance });
  await until(async () => (await edge.fetch("/")).status === 503);

  const json = await edge.fetch(LIMITED, { headers: { Accept: "application/json" } });
  assert.equal(json.status, 503);
  assert.equal(json.headers.get("content-type"), "application/problem+json");
  assert.equal(json.headers.get("retry-after"), "600");
  assert.match(json.headers.get("cache-control"), /no-store/);
  assert.equal(JSON.parse(json.text).detail, maintenance.message);
  const html = await edge.fetch("/", page);
  assert.equal(html.headers.get("content-type"), "text/html; charset=utf-8");
  assert.match(html.text, /Back at &lt;six&gt;\./);
  // By the shim.
  assert.equal((await edge.fetch("/api/health")).status, 200);

  await operate.put({ maintenance: { enabled: false } });
  await until(async () => (await edge.fetch(LIMITED)).status === 200);
});

test("R9: whom the policy allows gets through maintenance", async (t) => {
  const folder = process.env.CHANGED_WORKER;
  assert.ok(folder, "CHANGED_WORKER names no build: `cargo xtask test` makes it");
  const { edge, operate } = await openOperatedGate(t, { folder });
  await operate.put({ maintenance: { enabled: true } });
  await until(async () => (await edge.fetch(LIMITED)).status === 503);
  assert.equal((await edge.fetch(LIMITED, { client: "198.51.100.9" })).status, 200);
});

test("R9: a client is let in again, once, and no other", async (t) => {
  const { edge, operate } = await openOperatedGate(t);
  const other = "203.0.113.2";
  const blocked = async (client) => (await ask(edge, 101, client)).at(-1) === 429;
  assert.ok((await blocked(CLIENT)) && (await blocked(other)));
  const lines = edge.said().split("\n").filter((line) => line.includes('"log":"block"'));
  const clients = lines.map((line) => JSON.parse(line.slice(line.indexOf("{"))).client);
  assert.deepEqual(clients, [`ip:${CLIENT}`, `ip:${other}`], "each block is said once");

  await operate.put({ unblocked: [{ limit: "standard", client: `ip:${CLIENT}`, at: Date.now() }] });
  await until(async () => (await edge.fetch(LIMITED, { client: CLIENT })).status === 200);
  assert.equal((await edge.fetch(LIMITED, { client: other })).status, 429);
  const more = await ask(edge, 100, CLIENT);
  assert.equal(more.filter((status) => status === 200).length, 99, "its whole quota, and no more");
});

test("R9: the command operates the edge through wrangler", async (t) => {
  const { edge, tidegate } = await openOperatedDevGate(t);
  assert.equal(await quota(edge), 100);
  const said = await tidegate("limits", "set", "standard", "300 per 60s", "--for", "2h");
  assert.match(said, /^standard +300 per 60s.*the policy says 100 per 60s.*until /);
  await until(async () => (await quota(edge)) === 300);

  await tidegate("maintenance", "on", "--message", `Don't "wait"`, "--retry-after", "10m");
  await until(async () => (await edge.fetch(LIMITED)).status === 503);
  const { detail } = JSON.parse((await edge.fetch(LIMITED)).text);
  assert.equal(detail, `Don't "wait"`);
  assert.match(await tidegate("limits"), /300 per 60s/, "one change keeps the other");

  await tidegate("maintenance", "off");
  await tidegate("limits", "reset", "standard");
  await until(async () => (await edge.fetch(LIMITED)).status === 200);
  await until(async () => (await quota(edge)) === 100);
  await tidegate("limits", "unblock", "standard", "ip:203.0.113.1");
  await assert.rejects(tidegate("limits", "set", "gone", "1 per 1s"), /known are `bundles`, `standard`/);
});

test("R9: KV that fails changes nothing, and is said once", async (t) => {
  // Where KV is expected there is something else: every question fails.
  const { edge } = await openOperatedGate(t, { vars: { TIDEGATE: "no namespace" }, bindings: {} });
  assert.deepEqual(await ask(edge, 101), [...Array(100).fill(200), 429]);
  const times = edge.said().split("KV cannot be read").length - 1;
  assert.equal(times, 1);
});

async function quota(edge) {
  const { headers } = await edge.fetch(LIMITED, { client: "198.51.100.1" });
  return Number(headers.get("x-ratelimit-limit"));
}

/** The statuses of so many requests, one after the other. */
async function ask(edge, times, client = CLIENT) {
  const statuses = [];
  while (statuses.length < times) statuses.push((await edge.fetch(LIMITED, { client })).status);
  return statuses;
}
