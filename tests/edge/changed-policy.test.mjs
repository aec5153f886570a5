// The worker carries the policy it was built with, and nothing of another.

import assert from "node:assert/strict";
import test from "node:test";

import { hop, openGate } from "./harness.mjs";

/** Built with `edge = { mode = "override", ttl = "2h" }` for the bundles. */
const CHANGED_WORKER = process.env.CHANGED_WORKER;

const TWO_HOURS = 7200;

test("C1 C2b: a time to live that is changed in the policy is followed by the edge", async (t) => {
  assert.ok(CHANGED_WORKER, "CHANGED_WORKER names no build: `cargo xtask test` makes it");
  const { edge } = await openGate(t, CHANGED_WORKER);
  const answer = await edge.fetch("/plugins/app.js");
  const { stored, ttl } = hop(answer, "tidegate-edge");
  assert.equal(stored, true);
  assert.ok(ttl <= TWO_HOURS && ttl > TWO_HOURS - 20, `${ttl} s left`);
  assert.match(answer.headers.get("cache-control"), /max-age=86400/, "browsers were not changed");
});
