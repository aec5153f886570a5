// What is seen of the edge from outside: Server-Timing, the log, and Analytics Engine.

import assert from "node:assert/strict";
import test from "node:test";

import { openGate, openWatchedGate, untilHit } from "./harness.mjs";

/** Built with `server_timing` and `log` of xtask/src/test/other_policies.rs. */
const folder = process.env.CHANGED_WORKER;

const openWatched = (t) => {
  assert.ok(folder, "CHANGED_WORKER names no build: `cargo xtask test` makes it");
  return openWatchedGate(t, { folder });
};

test("an answer says where its time went, where the policy wants that", async (t) => {
  const { edge } = await openWatched(t);
  const { headers } = await edge.fetch("/api/v1/marketplace");
  const metrics = headers.get("server-timing").split(", ");
  assert.ok(metrics.every((metric) => /^(limit|cache|origin|total);dur=\d+$/.test(metric)), `${metrics}`);
  assert.match(metrics.at(-1), /^total;/);
});

test("an answer does not tell everybody how long the origin takes", async (t) => {
  const { edge } = await openGate(t);
  const { headers } = await edge.fetch("/api/v1/marketplace");
  assert.equal(headers.get("server-timing"), null);
});

test("each request is a point of the dataset: route, outcome, reason, method, place, time, status", async (t) => {
  const { edge } = await openWatched(t);
  await untilHit(edge, "/plugins/app.js");
  await edge.fetch("/api/v1/marketplace", { method: "HEAD" });
  await edge.fetch("/.tidegate/health");
  const points = await edge.control("points");
  const short = points.map(({ indexes, blobs, doubles }) => [...indexes, ...blobs.slice(0, 3), doubles[1]]);
  assert.deepEqual(short[0], ["plugins", "MISS", "", "GET", 200]);
  assert.deepEqual(short.at(-2), ["plugins", "HIT", "", "GET", 200]);
  assert.deepEqual(short.at(-1), ["marketplace", "BYPASS", "policy", "HEAD", 200]);
  for (const { doubles } of points) assert.ok(doubles[0] >= 0);
});

test("a dataset that fails fails no request", async (t) => {
  const { edge } = await openWatched(t);
  await edge.control("fault", { dataset: "throws" });
  assert.equal((await edge.fetch("/api/v1/marketplace")).status, 200);
});

test("what the cache did not answer is a line of the log, without its query", async (t) => {
  const { edge } = await openWatched(t);
  await untilHit(edge, "/plugins/app.js?token=of-nobody");
  for (let asked = 0; asked < 101; asked += 1) await edge.fetch("/api/v1/custom");
  const lines = edge.said.filter((line) => line.includes('"log":"request"')).map(JSON.parse);
  assert.ok(lines.length > 100 && lines.every(({ ms }) => ms >= 0));
  const [{ ms: _, ...miss }] = lines;
  assert.deepEqual(miss, {
    log: "request",
    route: "plugins",
    method: "GET",
    path: "/plugins/app.js",
    status: 200,
    outcome: "MISS",
    reason: "",
  });
  assert.ok(lines.every(({ outcome }) => outcome !== "HIT"));
  const { outcome, reason, status } = lines.at(-1);
  assert.deepEqual([outcome, reason, status], ["NONE", "rate-limited", 429]);
});
