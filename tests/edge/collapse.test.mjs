// Identical requests in flight (C11): one asks the origin, the others wait for what it stores.

import assert from "node:assert/strict";
import test from "node:test";

import { hop, until } from "./harness.mjs";
import { startHeldOrigin } from "./harness/held-origin.mjs";
import { startWorker } from "./harness/worker.mjs";

const PATH = "/plugins/wanted.js";
const CROWD = 20;

async function openHeldGate(t) {
  const origin = await startHeldOrigin(t);
  const edge = await startWorker(origin.url);
  t.after(() => edge.stop());
  return { edge, origin };
}

const crowd = (edge, ask) => Array.from({ length: CROWD }, () => edge.fetch(PATH, ask));

/** How the edge came by each answer. */
const ways = (answers) =>
  Object.groupBy(answers, (answer) => {
    const { hit, fwd, collapsed } = hop(answer, "tidegate-edge");
    return hit ? "hit" : collapsed ? "collapsed" : fwd;
  });

test("C11: a crowd that wants the same costs the origin one request", async (t) => {
  const { edge, origin } = await openHeldGate(t);
  const answers = crowd(edge);
  await until(() => origin.asked.length > 0);
  origin.release({ body: "for all" });
  const found = ways(await Promise.all(answers));
  assert.equal(origin.asked.length, 1);
  assert.equal(found["uri-miss"].length, 1);
  assert.ok(found.collapsed.length > 0);
  for (const answer of found.collapsed) {
    assert.equal(answer.text, "for all");
    assert.equal(answer.headers.get("x-cache"), "HIT");
    assert.ok(hop(answer, "tidegate-edge").ttl > 0);
  }
});

test("C11: what turns out to be for one client alone is nobody else's, and nobody waits for it again", async (t) => {
  const { edge, origin } = await openHeldGate(t);
  const answers = crowd(edge);
  await until(() => origin.asked.length === 1);
  origin.release({ headers: { "Set-Cookie": "session=1" }, body: "mine" });
  assert.equal(ways(await Promise.all(answers)).collapsed, undefined);
  assert.equal(origin.asked.length, CROWD, "each has asked for itself");

  origin.hold();
  const others = crowd(edge);
  await until(() => origin.asked.length === 2 * CROWD);
  origin.release({ body: "by now for all" });
  assert.ok((await Promise.all(others)).every(({ status }) => status === 200));
});

test("C11: an origin that fails the first fails nobody else", async (t) => {
  const { edge, origin } = await openHeldGate(t);
  const answers = crowd(edge);
  await until(() => origin.asked.length === 1);
  origin.release({ status: 500 });
  await until(() => origin.asked.length > 1);
  await Promise.all(answers);
  const healed = await edge.fetch(`${PATH}?healed`);
  assert.equal(healed.status, 500);
});

test("C11: who waits for too long asks the origin itself", async (t) => {
  const { edge, origin } = await openHeldGate(t);
  const answers = crowd(edge);
  await until(() => origin.asked.length === CROWD);
  origin.release({ body: "late" });
  for (const { text } of await Promise.all(answers)) assert.equal(text, "late");
});

test("C11: other methods, parts and wishes for confirmation are nobody else's questions", async (t) => {
  const { edge, origin } = await openHeldGate(t);
  const first = edge.fetch(PATH);
  await until(() => origin.asked.length === 1);
  const others = [
    edge.fetch(PATH, { method: "POST", body: "x" }),
    edge.fetch(PATH, { headers: { Range: "bytes=0-1" } }),
    edge.fetch(`${PATH}?other`),
  ];
  await until(() => origin.asked.length === 4);
  origin.release({ body: "answer" });
  for (const answer of await Promise.all([first, ...others])) {
    assert.equal(hop(answer, "tidegate-edge").collapsed, undefined);
  }
});
