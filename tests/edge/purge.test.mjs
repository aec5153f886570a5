// Purging at the edge: who may, what becomes void at once, and what others hear of it through KV,
// by the built worker with the changed policy.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import test from "node:test";
import { promisify } from "node:util";

import { EDGE_KEY, hop, openGate, openOperatedGate, openPurgedGate, until, untilHit } from "./harness.mjs";
import { program } from "./harness/repository.mjs";

const PATH = "http://example.com/.tidegate/purge";
const TOKEN = "0123456789abcdef";
const CHANGED = { folder: process.env.CHANGED_WORKER, vars: { EDGE_TOKEN: TOKEN, EDGE_KEY } };
/** What the edge keeps, though it can be written to. */
const KEPT = "/api/v1/echo/kept/1";
const OTHER = "http://example.com/plugins/app.js";

test("C4: nobody purges without the token, and nobody is told more", async (t) => {
  const { edge } = await openOperatedGate(t, CHANGED);
  for (const headers of [{}, { Authorization: TOKEN }, { Authorization: `Bearer ${TOKEN}x` }]) {
    const answer = await edge.fetch(PATH, { method: "POST", headers, body: '{"everything":true}' });
    assert.equal(answer.status, 401);
    assert.match(answer.headers.get("www-authenticate"), /^Bearer /);
  }
  const { edge: closed } = await openOperatedGate(t);
  const silent = await purge(closed, { everything: true });
  const other = await closed.fetch("/.tidegate/other");
  assert.deepEqual([silent.status, silent.text], [404, other.text]);
});

test("C4: what is no order is a clear problem, and nothing is purged", async (t) => {
  const { edge } = await openOperatedGate(t, CHANGED);
  await untilHit(edge, `http://example.com${KEPT}`);
  for (const [body, detail] of [
    ["", "no JSON object"],
    ["{}", "names nothing"],
    ['{"everything":1}', "everything: this is not true or false"],
    ['{"keys":["x"]}', "keys.0: `x` cannot be asked for"],
    ['{"everything":true,"url":["/"]}', "url: nothing is purged by this"],
    [`{"tags":["${"x".repeat(70_000)}"]}`, "at most 64 KiB"],
  ]) {
    const answer = await ask(edge, body);
    assert.equal(answer.status, 400, body.slice(0, 80));
    assert.equal(answer.headers.get("content-type"), "application/problem+json");
    assert.ok(JSON.parse(answer.text).detail.includes(detail), answer.text);
  }
  assert.equal((await ask(edge, undefined, "GET")).status, 405);
  assert.equal(hop(await edge.fetch(`http://example.com${KEPT}`), "tidegate-edge").hit, true);
});

for (const [what, order] of [
  ["key", { keys: [KEPT] }],
  ["URL", { keys: [`http://example.com${KEPT}`] }],
  ["prefix", { prefixes: ["/api/v1/echo/k"] }],
  ["prefix of a host", { prefixes: ["http://example.com/api/v1/echo/kept/"] }],
  ["tag", { tags: ["kept"] }],
  ["everything", { everything: true }],
]) {
  test(`C4: a purge by ${what} takes what it names at once, and KV tells everybody`, async (t) => {
    const { edge, operate } = await openOperatedGate(t, CHANGED);
    const kept = `http://example.com${KEPT}`;
    for (const url of [kept, OTHER]) await untilHit(edge, url);
    const answer = await purge(edge, order);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(JSON.parse(answer.text).purged, order);
    assert.ok(!hop(await edge.fetch(kept), "tidegate-edge").hit);
    await untilHit(edge, kept);
    if (!order.everything) assert.equal(hop(await edge.fetch(OTHER), "tidegate-edge").hit, true);
    await until(async () => /^\d+ (url|name|prefix|everything) /m.test(await operate.kv.get("purges")));
  });
}

test("C4: what another data centre has purged is void here when KV tells", async (t) => {
  const { edge, operate } = await openOperatedGate(t, CHANGED);
  const url = `http://example.com${KEPT}`;
  await untilHit(edge, url);
  await operate.kv.put("purges", `${Date.now()} url //example.com/plugins/other.js\n`);
  for (const _ of Array(5)) assert.equal(hop(await edge.fetch(url), "tidegate-edge").hit, true);
  await operate.kv.put("purges", `${Date.now()} url //example.com${KEPT}\n`);
  await until(async () => !hop(await edge.fetch(url), "tidegate-edge").hit);
  await untilHit(edge, url);
});

test("C4: purges that come together are all kept", async (t) => {
  const { edge, operate } = await openOperatedGate(t, CHANGED);
  const numbers = Array.from({ length: 20 }, (_, number) => number);
  const answers = await Promise.all(numbers.map((n) => purge(edge, { keys: [`/p/${n}`] })));
  assert.ok(answers.every(({ status }) => status === 200));
  await until(async () => {
    const kept = (await operate.kv.get("purges")) ?? "";
    return numbers.every((number) => kept.includes(` url /p/${number}\n`));
  });
});

test("C4: without the object that keeps purges nobody is told that all is well", async (t) => {
  const bindings = { durable_objects: { bindings: [{ name: "LIMITER", class_name: "Limiter" }] } };
  const { edge } = await openOperatedGate(t, { ...CHANGED, more: bindings });
  await untilHit(edge, `http://example.com${KEPT}`);
  const answer = await purge(edge, { keys: [KEPT] });
  assert.equal(answer.status, 503);
  assert.match(JSON.parse(answer.text).detail, /^Purged in this data centre alone: /);
  assert.ok(!hop(await edge.fetch(`http://example.com${KEPT}`), "tidegate-edge").hit);
});

test("C4: without KV nobody is told that all is well", async (t) => {
  const { edge } = await openGate(t, CHANGED.folder, CHANGED.vars);
  const answer = await purge(edge, { keys: [KEPT] });
  assert.equal(answer.status, 503);
  assert.match(JSON.parse(answer.text).detail, /TIDEGATE is not bound/);
});

test("C4: a write sent to the shim itself voids what the edge has of it", async (t) => {
  // The first two attempts fail.
  const { edge, shim, relay } = await openPurgedGate(t, CHANGED.folder, TOKEN, 2);
  await untilHit(edge, `http://example.com${KEPT}`);
  const written = await fetch(new URL(KEPT, shim.url), { method: "POST" });
  assert.ok(written.ok, `${written.status}`);
  await until(async () => !hop(await edge.fetch(`http://example.com${KEPT}`), "tidegate-edge").hit);
  assert.equal(relay.seen.length, 3);
  for (const { body } of relay.seen) assert.deepEqual(JSON.parse(body), { keys: [KEPT] });
  // What the edge does not keep it is not told of.
  await fetch(new URL("/api/v1/echo/other", shim.url), { method: "POST" });
  await fetch(new URL(`${KEPT}?again`, shim.url), { method: "POST" });
  await until(() => relay.seen.length > 3);
  assert.deepEqual(JSON.parse(relay.seen[3].body), { keys: [`${KEPT}?again`] });
});

test("C4: the command purges at the edge", async (t) => {
  const { edge, relay } = await openPurgedGate(t, CHANGED.folder, TOKEN);
  await untilHit(edge, `http://example.com${KEPT}`);
  const tidegate = (...words) =>
    promisify(execFile)(program("TIDEGATE_BIN", "tidegate"), ["purge", "--edge", ...words], {
      env: { ...process.env, EDGE_TOKEN: TOKEN, JWT_SECRET: TOKEN.repeat(2) },
    });
  const policy = ["--policy", path.join(CHANGED.folder, "..", "tidegate.toml"), "--url", relay.url];
  await assert.rejects(tidegate(...policy, "--key", "x"), /`x` cannot be asked for/);
  const { stdout } = await tidegate(...policy, "--prefix", "/api/v1/echo/");
  assert.match(stdout, /^Purged in the data centre/);
  assert.ok(!hop(await edge.fetch(`http://example.com${KEPT}`), "tidegate-edge").hit);
});

test("who shows the token is told what was decided, and the origin hears nothing of it", async (t) => {
  const { edge } = await openOperatedGate(t, CHANGED);
  const asked = (token) =>
    edge.fetch("/plugins/seen.js?b=2&a=1", {
      headers: { "Tidegate-Debug": "1", "Tidegate-Token": token },
    });
  const told = (await asked(TOKEN)).headers.get("tidegate-debug");
  assert.match(told, /^tier=edge; route=plugins; policy=[0-9a-f]{16}; cache; key="http.*a=1&b=2"$/);
  assert.equal((await asked("0123456789abcdeF")).headers.get("tidegate-debug"), null);
  const echoed = await edge.fetch("/api/v1/echo", {
    headers: { "Tidegate-Debug": "1", "Tidegate-Token": TOKEN },
  });
  assert.match(echoed.headers.get("tidegate-debug"), /; bypass; reason=policy$/);
  assert.doesNotMatch(echoed.text, /0123456789abcdef/);
});

function purge(edge, order) {
  return ask(edge, JSON.stringify(order));
}

function ask(edge, body, method = "POST") {
  return edge.fetch(PATH, { method, headers: { Authorization: `Bearer ${TOKEN}` }, body });
}
