// The edge's rate limit, counted by the Durable Object: the built worker with the
// repository's policy, before the shim and the demo origin.

import assert from "node:assert/strict";
import test from "node:test";

import { openGate } from "./harness.mjs";

/** An endpoint that nothing caches, so that each admitted request is counted. */
const LIMITED = "/api/v1/custom";

test("R1: one client gets a hundred requests through the edge, and no more", async (t) => {
  const { edge, origin } = await openGate(t);
  const statuses = await ask(edge, "203.0.113.1", 103);
  assert.deepEqual(statuses, [...Array(100).fill(200), 429, 429, 429]);
  assert.equal(await origin.served(LIMITED), 100);
});

test("R1: another client is not affected", async (t) => {
  const { edge } = await openGate(t);
  const statuses = await ask(edge, "203.0.113.1", 101);
  assert.equal(statuses.at(-1), 429);
  assert.deepEqual(await ask(edge, "203.0.113.2", 1), [200]);
});

test("R1: IPv6 clients of one network are one client", async (t) => {
  const { edge } = await openGate(t);
  await ask(edge, "2001:db8:1:2::1", 100);
  assert.deepEqual(await ask(edge, "2001:db8:1:2:ffff::9", 1), [429]);
  assert.deepEqual(await ask(edge, "2001:db8:1:3::1", 1), [200]);
});

test("R7: a refusal says what and for how long", async (t) => {
  const { edge } = await openGate(t);
  await ask(edge, "203.0.113.1", 100);
  const refusal = await edge.fetch(LIMITED, { client: "203.0.113.1" });
  const wait = Number(refusal.headers.get("retry-after"));
  assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= 60, `${wait} s`);
  assert.equal(refusal.headers.get("content-type"), "application/problem+json");
  assert.match(refusal.headers.get("cache-control"), /no-store/);

  const { error, retryAfter, status, title } = JSON.parse(refusal.text);
  assert.deepEqual(
    { error, retryAfter, status, title: typeof title },
    { error: "Too many requests", retryAfter: wait, status: 429, title: "string" },
  );
});

test("R7: allowed answers carry limit, remaining and reset", async (t) => {
  const { edge } = await openGate(t);
  for (const remaining of [99, 98, 97]) {
    const { headers } = await edge.fetch(LIMITED);
    assert.match(headers.get("ratelimit-policy"), /;q=100\b.*;w=60\b/);
    assert.match(headers.get("ratelimit"), new RegExp(`;r=${remaining}\\b.*;t=\\d+`));
  }
});

/** The statuses of so many requests, one after the other. */
async function ask(edge, client, times) {
  const statuses = [];
  while (statuses.length < times) statuses.push((await edge.fetch(LIMITED, { client })).status);
  return statuses;
}
