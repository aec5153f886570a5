// The Durable Object of the limiter in workerd: it knows what the core knows, through evictions
// and restarts, and nothing is left of it when it has nothing to tell.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { promisify } from "node:util";

import { openWatchedGate } from "./harness.mjs";
import { program } from "./harness/repository.mjs";

/** Every so many requests the object that is asked next loses its memory. */
const EVICTED_EVERY = 7;

/** Asked of the object in one go. */
const BATCH = 500;

test("R1 R3 R4 R5: objects come to the verdicts of the core, whatever the clock does", async (t) => {
  // Thousands of objects are thousands of files.
  const persist = await folderFor(t, existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
  const { edge } = await openWatchedGate(t, { persist });
  const { stdout } = await promisify(execFile)(program("LIMIT_TRACES_BIN", "limit-traces"), [], {
    maxBuffer: 1 << 28,
  });
  const traces = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(traces.length, 11);
  for (const { limit, tally, events } of traces) {
    await t.test(limit.name, async () => {
      const { clients, allowed, refused } = tally;
      assert.ok(clients > 500 && allowed > 200 && refused > 50, JSON.stringify(tally));
      const question = ([client, now], at) => [client, now, at % EVICTED_EVERY === 0];
      const asked = events.map(question);
      const known = [];
      for (let at = 0; at < asked.length; at += BATCH) {
        const batch = asked.slice(at, at + BATCH);
        known.push(...(await edge.control("trace", { limit, events: batch })));
      }
      // A field value loses the space at its end on the way.
      const expected = events.map(([, now, state]) => `${now} ${state}`.trimEnd());
      assert.deepEqual(known, expected);
    });
  }
});

test("an alarm clears what tells nothing any more, and nothing before", async (t) => {
  const { edge } = await openWatchedGate(t);
  const limit = {
    name: "l",
    quota: 1,
    window: 60_000,
    block: 300_000,
    algorithm: "fixed-window",
    key: ["client-ip"],
  };
  const begin = Date.now() + 3_600_000;
  const asked = (times) => edge.control("trace", { limit, events: times.map((now) => ["c", now]) });
  const object = (what) => edge.control(`${what}?name=l/c`);
  await asked([begin]);
  assert.deepEqual(await object("look"), { stored: 1, alarm: begin + 60_000 });
  // One more blocks it for five minutes, which the alarm finds out when it comes.
  await asked([begin + 1_000]);
  await edge.control("clock", begin + 60_000);
  const until = begin + 301_000;
  assert.deepEqual(await object("alarm"), { stored: 1, alarm: until });
  await edge.control("clock", until - 1);
  assert.deepEqual(await object("alarm"), { stored: 1, alarm: until });
  await edge.control("clock", until);
  assert.deepEqual(await object("alarm"), { stored: 0, alarm: null });
  assert.deepEqual(await asked([until]), [`${until}`], "it starts anew");
});

test("R1: counts and blocks outlive the worker", async (t) => {
  const persist = await folderFor(t, tmpdir());
  const ask = async (edge, client, times) => {
    let last;
    while (times-- > 0) last = await edge.fetch("/api/v1/custom", { client });
    return last;
  };
  const first = await openWatchedGate(t, { persist });
  await ask(first.edge, "203.0.113.1", 40);
  assert.equal((await ask(first.edge, "203.0.113.2", 101)).status, 429);
  await first.edge.stop();

  const { edge, origin } = await openWatchedGate(t, { persist });
  const { headers } = await ask(edge, "203.0.113.1", 1);
  assert.match(headers.get("ratelimit"), /;r=59;/);
  assert.equal((await ask(edge, "203.0.113.2", 1)).status, 429);
  assert.equal(await origin.served("/api/v1/custom"), 1);
});

/** A folder that is gone when the test ends. */
async function folderFor(t, parent) {
  const folder = await mkdtemp(path.join(parent, "tidegate-objects-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
