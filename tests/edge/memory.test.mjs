// What an isolate keeps in its own memory, before the Cache API (C9): the built worker with its
// calls of the cache counted and its clock told, before the shim and the demo origin.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";

import { hop, openOperatedGate, openWatchedGate, until } from "./harness.mjs";

/** Built with the `memory` of xtask/src/test/other_policies.rs: 96 KiB, 64 KiB a body. */
const small = process.env.CHANGED_WORKER;

const WIDGET = "/plugins/manifest.json";
const detail = (answer) => hop(answer, "tidegate-edge").detail;

/** Asks until the answer comes out of memory: it gets in there behind the client's back. */
async function untilInMemory(edge, target, ask) {
  let answer;
  await until(async () => detail((answer = await edge.fetch(target, ask))) === "memory");
  return answer;
}

test("C9: a hit in memory is the answer, and asks neither the cache nor the origin", async (t) => {
  const { edge, origin } = await openWatchedGate(t);
  const miss = await edge.fetch(WIDGET);
  const held = await untilInMemory(edge, WIDGET);
  assert.equal(held.text, miss.text);
  const { hit, ttl } = hop(held, "tidegate-edge");
  assert.ok(hit && ttl > 86_000 && ttl <= 86_400, `${ttl}`);
  assert.ok(Number(held.headers.get("age")) >= 0);
  for (const name of ["content-type", "etag", "last-modified", "cache-control"]) {
    assert.equal(held.headers.get(name), miss.headers.get(name), name);
  }
  const before = [await edge.control("cache"), await origin.served(WIDGET)];
  for (let asked = 0; asked < 20; asked += 1) {
    assert.equal(detail(await edge.fetch(WIDGET)), "memory");
  }
  assert.deepEqual([await edge.control("cache"), await origin.served(WIDGET)], before);
});

test("C9: conditions, ranges and HEAD are answered from memory", async (t) => {
  const { edge } = await openWatchedGate(t);
  const whole = await untilInMemory(edge, WIDGET);
  const before = await edge.control("cache");
  const etag = whole.headers.get("etag");
  const unchanged = await edge.fetch(WIDGET, { headers: { "If-None-Match": etag } });
  assert.deepEqual([unchanged.status, unchanged.text, detail(unchanged)], [304, "", "memory"]);
  const head = await edge.fetch(WIDGET, { method: "HEAD" });
  assert.deepEqual([head.status, head.text, detail(head)], [200, "", "memory"]);
  assert.equal(head.headers.get("etag"), etag);
  const piece = await edge.fetch(WIDGET, { headers: { Range: "bytes=2-9" } });
  assert.deepEqual([piece.status, piece.text], [206, whole.text.slice(2, 10)]);
  assert.match(piece.headers.get("content-range"), /^bytes 2-9\/\d+$/);
  const several = await edge.fetch(WIDGET, { headers: { Range: "bytes=0-1,4-5" } });
  assert.equal(several.status, 206);
  assert.ok(several.text.includes(`\r\n\r\n${whole.text.slice(4, 6)}\r\n`));
  const beyond = await edge.fetch(WIDGET, { headers: { Range: "bytes=9999999-" } });
  assert.equal(beyond.status, 416);
  assert.deepEqual(await edge.control("cache"), before);
});

test("C9: after ten seconds it is looked up anew, and its age goes on", async (t) => {
  const { edge } = await openWatchedGate(t);
  const begun = Date.now();
  await edge.control("clock", begun);
  await untilInMemory(edge, WIDGET);
  await edge.control("clock", begun + 9_000);
  const old = await edge.fetch(WIDGET);
  assert.deepEqual([detail(old), old.headers.get("age")], ["memory", "9"]);
  await edge.control("clock", begun + 10_000);
  const before = await edge.control("cache");
  const anew = await edge.fetch(WIDGET);
  assert.deepEqual([detail(anew), anew.headers.get("age")], [undefined, "10"]);
  assert.ok((await edge.control("cache")) > before);
});

test("C9: hosts and queries do not meet in memory", async (t) => {
  const { edge } = await openWatchedGate(t);
  await untilInMemory(edge, `http://a.example${WIDGET}`);
  for (const other of [`http://b.example${WIDGET}`, `http://a.example${WIDGET}?x=1`]) {
    assert.equal(hop(await edge.fetch(other), "tidegate-edge").fwd, "uri-miss", other);
  }
});

test("C9: memory is bounded, and what is popular outlives a crowd of others", async (t) => {
  assert.ok(small, "CHANGED_WORKER names no build: `cargo xtask test` makes it");
  const { edge } = await openWatchedGate(t, { folder: small });
  const begun = Date.now();
  await edge.control("clock", begun);
  // Nobody asks so often that a limit would count.
  let clients = 0;
  const anybody = {
    fetch: (target) => {
      clients += 1;
      return edge.fetch(target, { client: `10.0.${clients >> 8}.${clients & 255}` });
    },
  };
  const popular = `${WIDGET}?popular`;
  await untilInMemory(anybody, popular);
  // 8 KiB each, so that 96 KiB hold eleven at most.
  const crowd = Array.from({ length: 40 }, (_, n) => `/plugins/app.css?${n}`);
  for (const one of crowd) {
    await untilInMemory(anybody, one);
    assert.equal(detail(await anybody.fetch(popular)), "memory", `after ${one}`);
  }
  let held = 0;
  for (const one of crowd) held += detail(await anybody.fetch(one)) === "memory";
  assert.ok(held <= 11, `${held} of the crowd are in memory`);
});

test("C9: a body that is too large is not kept in memory", async (t) => {
  assert.ok(small, "CHANGED_WORKER names no build: `cargo xtask test` makes it");
  const { edge } = await openWatchedGate(t, { folder: small });
  const LARGE = "/plugins/vendor.js";
  await until(async () => hop(await edge.fetch(LARGE), "tidegate-edge").hit === true);
  for (let asked = 0; asked < 5; asked += 1) {
    const { hit, detail } = hop(await edge.fetch(LARGE), "tidegate-edge");
    assert.deepEqual([hit, detail], [true, undefined]);
  }
});

test("C9: a policy may switch it off", async (t) => {
  const { edge, operate } = await openOperatedGate(t);
  const rule = { ttl: 10_000, size: 1 << 20, object: 1 << 16 };
  await operate.kv.put("policy", published(rule));
  await untilInMemory(edge, WIDGET);
  await operate.kv.put("policy", published({ ...rule, size: 0 }));
  await until(async () => detail(await edge.fetch(WIDGET)) !== "memory");
  for (let asked = 0; asked < 10; asked += 1) {
    const { hit, detail } = hop(await edge.fetch(WIDGET), "tidegate-edge");
    assert.deepEqual([hit, detail], [true, undefined]);
  }
});

/** A policy as `tidegate publish` writes it. */
function published(memory) {
  const edge = { mode: "override", ttl: 86_400_000, client_directives: "ignore" };
  const routes = [{ name: "plugins", pattern: "/plugins/*", edge }];
  const policy = JSON.stringify({ schema: 1, edge: { memory }, routes });
  const hash = createHash("sha256").update(policy).digest("hex").slice(0, 16);
  return `{"hash":"${hash}","time":1795262400000,"policy":${policy}}`;
}
