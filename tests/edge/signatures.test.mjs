// What the edge sends is signed (RFC 9421), and a shim that wants that answers nobody else.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import http from "node:http";
import { once } from "node:events";
import test from "node:test";

import { EDGE_KEY, openRawGate, openSignedGate } from "./harness.mjs";

const PATH = "/api/v1/echo";

test("what the edge sends is signed as RFC 9421 says, by the first key", async (t) => {
  const { edge, origin } = await openRawGate(t, ({ say }) => say("200 OK"));
  const headers = { "Tidegate-Client": 'ip="1.1.1.1"', Signature: "x=:YQ==:", "X-Real-IP": "1.1.1.1" };
  await edge.fetch(`${PATH}/a%20b?c=%2Fd&&e`, { client: "2001:db8::7", headers });
  await edge.fetch(PATH, { method: "POST", body: "hello" });
  const [first, second] = origin.asked;
  assert.match(
    first.headers.get("signature-input"),
    /^edge=\("@method" "@path" "@query" "tidegate-client"\);created=\d+;expires=\d+;nonce="[-0-9a-f]+";keyid="2026-11";alg="hmac-sha256";tag="tidegate"$/,
  );
  for (const asked of [first, second]) {
    assert.equal(asked.headers.get("signature"), `edge=:${signature(asked)}:`);
  }
  assert.equal(
    first.headers.get("tidegate-client"),
    'ip="2001:db8::7", host="edge.test", scheme="http"',
  );
  const times = parameters(first);
  assert.equal(times.expires - times.created, 60);
  assert.ok(Math.abs(Date.now() / 1000 - times.created) < 30);
  assert.notEqual(times.nonce, parameters(second).nonce);
});

test("a shim answers the edge, whichever client asks it, and nobody who goes around it", async (t) => {
  const { edge, shim, origin } = await openSignedGate(t);
  const seen = JSON.parse((await edge.fetch(PATH, { client: "203.0.113.7" })).text);
  const value = (name) => seen.headers.find((line) => line[0] === name)?.[1];
  assert.deepEqual(
    ["x-real-ip", "x-forwarded-for", "host", "signature", "tidegate-client"].map(value),
    ["203.0.113.7", "203.0.113.7", "edge.test", undefined, undefined],
  );
  const posted = await edge.fetch(PATH, { method: "PUT", body: "x".repeat(100_000) });
  assert.equal(JSON.parse(posted.text).body_bytes, 100_000);
  const cached = await edge.fetch("/plugins/widget-a.js");
  assert.notEqual(cached.status, 403);

  const served = await origin.served(PATH);
  const around = await ask(shim.url, { "X-Forwarded-For": "203.0.113.7" });
  assert.deepEqual([around.status, around.headers["content-type"]], [403, "application/problem+json"]);
  assert.equal(await origin.served(PATH), served);
});

test("what was seen on its way cannot be sent again", async (t) => {
  const { edge, origin } = await openRawGate(t, ({ say }) => say("200 OK"));
  const { shim } = await openSignedGate(t);
  await edge.fetch(PATH);
  const names = ["tidegate-client", "signature-input", "signature"];
  const captured = Object.fromEntries(names.map((name) => [name, origin.asked[0].headers.get(name)]));
  const statuses = [await ask(shim.url, captured), await ask(shim.url, captured)];
  assert.deepEqual(statuses.map(({ status }) => status), [200, 403]);
  const other = await ask(shim.url, captured, "/api/v1/plugins");
  assert.equal(other.status, 403, "nor for something else");
});

test("clocks may differ by the skew and no more", async (t) => {
  const { edge } = await openSignedGate(t);
  const at = async (ahead) => {
    await edge.control("clock", Date.now() + ahead * 1000);
    return edge.fetch(PATH, { client: "203.0.113.9" });
  };
  for (const [ahead, status] of [[0, 200], [20, 200], [45, 403], [-80, 200], [-120, 403]]) {
    const answer = await at(ahead);
    assert.equal(answer.status, status, `${ahead} s`);
    if (status === 403) assert.match(answer.text, /is not of this time/);
  }
});

test("keys change one after the other: the shim knows both, the edge signs by one", async (t) => {
  const old = '{ id = "2026-10", secret = "${OLD_EDGE_KEY}" }';
  const both = await openSignedGate(t, { keys: `${old}, { id = "2026-11", secret = "\${EDGE_KEY}" }` });
  assert.equal((await both.edge.fetch(PATH)).status, 200);
  const behind = await openSignedGate(t, { keys: old });
  assert.equal((await behind.edge.fetch(PATH)).status, 403);
});

test("a secret that is missing is said once, and requests go unsigned", async (t) => {
  const { edge, origin } = await openRawGate(t, ({ say }) => say("200 OK"), { EDGE_KEY: "" });
  for (let time = 0; time < 3; time += 1) assert.equal((await edge.fetch(PATH)).status, 200);
  assert.ok(origin.asked.every(({ headers }) => !headers.has("signature")));
  const said = edge.said.filter((line) => line.includes("EDGE_KEY"));
  assert.equal(said.length, 1, said.join("\n"));
  assert.match(said[0], /the secret `EDGE_KEY` is shorter than 32 bytes.*go unsigned/);
});

test("no secret is in the log", async (t) => {
  const { edge } = await openRawGate(t, ({ say }) => say("200 OK"));
  await edge.fetch(PATH);
  await edge.fetch(PATH, { headers: { "Tidegate-Fault": "panic-at-gate" } });
  assert.ok(!edge.said.join("\n").includes(EDGE_KEY));
});

/** What the signature must be, by another implementation. */
function signature({ method, target, headers }) {
  const [path, query = ""] = target.split("?");
  const base = [
    `"@method": ${method}`,
    `"@path": ${path}`,
    `"@query": ?${query}`,
    `"tidegate-client": ${headers.get("tidegate-client")}`,
    `"@signature-params": ${headers.get("signature-input").replace(/^edge=/, "")}`,
  ].join("\n");
  return createHmac("sha256", EDGE_KEY).update(base).digest("base64");
}

function parameters({ headers }) {
  const all = headers.get("signature-input").matchAll(/;(\w+)=("[^"]*"|\d+)/g);
  return Object.fromEntries([...all].map(([, name, value]) => [name, JSON.parse(value)]));
}

/** Asks a server itself. */
async function ask(server, headers, path = PATH) {
  const request = http.get(new URL(path, server), { headers, signal: AbortSignal.timeout(20_000) });
  const [answer] = await once(request, "response");
  answer.resume();
  return { status: answer.statusCode, headers: answer.headers };
}
