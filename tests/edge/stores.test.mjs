// Where the edge counts, and what becomes of limits when that place fails (R8): the built worker
// with limits in every store, before the shim and the demo origin.

import assert from "node:assert/strict";
import test from "node:test";

import { openWatchedGate } from "./harness.mjs";

/** Built with the limits of xtask/src/test/other_policies.rs. */
const folder = process.env.CHANGED_WORKER;

/** As `tidegate wrangler` writes them, but for `unbound`, which is forgotten. */
const ratelimits = {
  RATELIMIT_IN_COLO: { limit: 5, period: 60 },
  RATELIMIT_IN_COLO_BLOCKING: { limit: 3, period: 10 },
};

/** An endpoint under `standard`, which the Durable Object counts: 100, and a block. */
const GLOBAL = "/api/v1/custom";

const openGate = (t) => {
  assert.ok(folder, "CHANGED_WORKER names no build: `cargo xtask test` makes it");
  return openWatchedGate(t, { folder, ratelimits });
};

test("a limit in `colo` is counted by the binding, for each client", async (t) => {
  const { edge } = await openGate(t);
  await inOneWindow(edge, async (client) => {
    const answers = await ask(edge, "/api/v1/in-colo", client, 8);
    const refused = answers.map(({ status }) => status === 429);
    assert.deepEqual(refused, [...Array(5).fill(false), true, true, true]);
    const [other] = await ask(edge, "/api/v1/in-colo", `${client}1`, 1);
    assert.notEqual(other.status, 429);
  });
  assert.equal((await edge.control("calls")).objects, 0, "no object is asked");
});

test("R7: of a quota that the binding does not tell, nothing is made up", async (t) => {
  const { edge } = await openGate(t);
  await inOneWindow(edge, async (client) => {
    const answers = await ask(edge, "/api/v1/in-colo", client, 6);
    // The shim behind counts, too; what it tells is told on.
    const shim = answers[0].headers.get("ratelimit-policy");
    assert.match(shim, /^"in-colo";q=5;w=60$|^"standard";/);
    const { headers, text } = answers[5];
    assert.equal(answers[5].status, 429);
    assert.equal(headers.get("ratelimit"), '"in-colo";r=0;t=60');
    assert.equal(headers.get("ratelimit-policy"), '"in-colo";q=5;w=60');
    assert.equal(headers.get("retry-after"), "60");
    assert.equal(JSON.parse(text).retryAfter, 60);
  });
});

test("a block in `colo` is remembered, and the binding is not asked meanwhile", async (t) => {
  const { edge } = await openGate(t);
  await inOneWindow(edge, async (client) => {
    const answers = await ask(edge, "/api/v1/in-colo-blocking", client, 4);
    assert.equal(answers[3].headers.get("retry-after"), "300");
    const before = await edge.control("calls");
    const refused = await ask(edge, "/api/v1/in-colo-blocking", client, 5);
    assert.ok(refused.every(({ status }) => status === 429));
    assert.deepEqual(await edge.control("calls"), before);
  });
});

test("R1: a client that is blocked costs neither a call of its object nor the origin a request", async (t) => {
  const { edge, origin } = await openGate(t);
  await ask(edge, GLOBAL, "203.0.113.1", 101);
  const served = await origin.served(GLOBAL);
  assert.deepEqual([served, await edge.control("calls")], [100, { objects: 101, ratelimits: 0 }]);
  const refused = await ask(edge, GLOBAL, "203.0.113.1", 50);
  assert.ok(refused.every(({ status }) => status === 429));
  assert.equal(await origin.served(GLOBAL), served);
  assert.equal((await edge.control("calls")).objects, 101);
});

for (const fault of ["throws", "nonsense"]) {
  test(`R8: objects of which each ${fault}: limits hold in the isolate, and few ask`, async (t) => {
    const { edge } = await openGate(t);
    await edge.control("fault", { objects: fault });
    const answers = await ask(edge, GLOBAL, "203.0.113.1", 102);
    const statuses = answers.map(({ status }) => status);
    assert.deepEqual(statuses, [...Array(100).fill(200), 429, 429]);
    assert.match(answers[0].headers.get("ratelimit"), /;r=99;/);
    assert.equal((await edge.control("calls")).objects, 1, "one failed, so it is left alone");
    for (const client of [2, 3, 4, 5, 6]) await ask(edge, GLOBAL, `203.0.113.${client}`, 1);
    assert.equal((await edge.control("calls")).objects, 3, "three failed, so all are");
    const told = edge.said.filter((line) => line.startsWith("tidegate: LIMITER"));
    assert.equal(told.length, 2, told.join("\n"));
    assert.match(told[1], /limits go by their on_store_error until it answers again/);
  });
}

test("R8: objects that hang are waited for a second, and then left alone until they answer", async (t) => {
  const { edge } = await openGate(t);
  const [before] = await ask(edge, GLOBAL, "203.0.113.9", 1);
  assert.match(before.headers.get("ratelimit"), /;r=99;/);
  await edge.control("fault", { objects: "hangs" });
  const begun = Date.now();
  const clients = [1, 2, 3, 4].map((client) => `203.0.113.${client}`);
  const answers = await Promise.all(clients.map((client) => ask(edge, GLOBAL, client, 3)));
  assert.ok(answers.flat().every(({ status }) => status === 200));
  assert.ok(Date.now() - begun < 20_000, "each waited for its time-out");
  const { objects } = await edge.control("calls");
  assert.equal(objects, 1 + 4, "each client's first request has asked");

  // By the clock of the isolate a probe is due; objects have what they had.
  await edge.control("fault", { objects: "none" });
  await edge.control("clock", Date.now() + 6_000);
  const [probe] = await ask(edge, GLOBAL, "203.0.113.9", 1);
  assert.match(probe.headers.get("ratelimit"), /;r=98;/, "the object has counted on");
  const told = edge.said.filter((line) => line.startsWith("tidegate: LIMITER"));
  assert.match(told.at(-1), /LIMITER answers again; 12 decisions were made without it/);
});

test("R8: on_store_error = deny and allow, while objects fail", async (t) => {
  const { edge } = await openGate(t);
  await edge.control("fault", { objects: "throws" });
  for (const { status, headers } of await ask(edge, "/api/v1/shut", "203.0.113.1", 5)) {
    assert.equal(status, 503);
    assert.equal(headers.get("retry-after"), "10");
    assert.equal(headers.get("ratelimit"), null);
  }
  const open = await ask(edge, "/api/v1/open", "203.0.113.1", 5);
  assert.ok(open.every(({ status }) => status !== 429 && status !== 503));
  await edge.control("fault", { objects: "none" });
  const [one, two] = await ask(edge, "/api/v1/open", "203.0.113.2", 2);
  assert.ok(one.status !== 429 && two.status === 429, "with its object, it limits");
});

test("R8: a binding that is missing, throws, hangs or talks nonsense is no verdict", async (t) => {
  const { edge } = await openGate(t);
  // Three ask in vain; and in the isolate it is two in a minute.
  const unbound = await ask(edge, "/api/v1/unbound", "203.0.113.1", 4);
  assert.deepEqual(unbound.map(({ status }) => status === 429), [false, false, true, true]);
  const told = edge.said.filter((line) => line.startsWith("tidegate: RATELIMIT_UNBOUND"));
  assert.ok(told.length >= 1 && told.length <= 2, told.join("\n"));

  for (const [at, fault] of ["throws", "hangs", "nonsense"].entries()) {
    await edge.control("fault", { ratelimits: fault });
    const client = `203.0.113.${10 + at}`;
    const answers = await ask(edge, "/api/v1/in-colo", client, 6);
    assert.deepEqual(answers.map(({ status }) => status === 429), [...Array(5).fill(false), true]);
  }
  const { ratelimits } = await edge.control("calls");
  assert.ok(ratelimits <= 3, `${ratelimits} calls`);
});

test("R5: what comes early waits for its turn at the edge, too", async (t) => {
  const { edge } = await openGate(t);
  const begun = Date.now();
  const all = Array.from({ length: 5 }, () => ask(edge, "/api/v1/spread", "203.0.113.1", 1));
  const statuses = (await Promise.all(all)).flat().map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 429).length, 2, `${statuses}`);
  assert.ok(Date.now() - begun >= 390, "the third has waited for two fifths of a second");
});

/** So many requests, one after the other. */
async function ask(edge, target, client, times) {
  const answers = [];
  while (answers.length < times) answers.push(await edge.fetch(target, { client }));
  return answers;
}

/**
 * Runs `part` for one new client after the other, until it runs within one window of the local
 * bindings, which begin and end with the wall clock's.
 */
async function inOneWindow(edge, part) {
  for (let attempt = 1; ; attempt += 1) {
    const window = () => Math.floor(Date.now() / 10_000);
    const begun = window();
    try {
      return await part(`198.51.100.${attempt}`);
    } catch (error) {
      if (window() === begun || attempt === 5) throw error;
    }
  }
}
