// The whole path over sockets, the worker under `wrangler dev`: headers as a client sees
// them.

import assert from "node:assert/strict";
import test from "node:test";

import { cacheStatus, hop, openDevGate, untilHit } from "./harness.mjs";

test("C1: under wrangler dev a bundle is a MISS, then a HIT without the origin", async (t) => {
  const { edge, origin } = await openDevGate(t);
  const miss = await edge.fetch("/plugins/app.js");
  assert.equal(hop(miss, "tidegate-edge").fwd, "uri-miss");
  await untilHit(edge, "/plugins/app.js");
  const before = await origin.served("/plugins/app.js");
  const hit = await edge.fetch("/plugins/app.js");
  assert.equal(hop(hit, "tidegate-edge").hit, true);
  assert.equal(hit.text, miss.text);
  // The miss passes as the shim has coded it; what is stored is decoded, so its tag is weak.
  const tag = (answer) => answer.headers.get("etag").replace("W/", "");
  assert.equal(tag(hit), tag(miss));
  assert.equal(await origin.served("/plugins/app.js"), before);
});

test("C2: under wrangler dev the API passes the edge and is kept by the shim", async (t) => {
  const { edge, origin } = await openDevGate(t);
  await edge.fetch("/api/v1/plugins");
  const second = await edge.fetch("/api/v1/plugins");
  const [atOrigin, atEdge] = cacheStatus(second);
  assert.deepEqual([atOrigin.name, atOrigin.hit], ["tidegate-origin", true]);
  assert.deepEqual([atEdge.name, atEdge.fwd], ["tidegate-edge", "bypass"]);
  assert.equal(await origin.served("/api/v1/plugins"), 1);
});

test("C1: a bundle that the origin sends gzipped is gzipped once", async (t) => {
  const { edge, origin } = await openDevGate(t);
  const path = "/plugins/chart.js";
  const plain = await (await fetch(`http://${origin.plugins}${path}`)).text();
  const headers = { "Accept-Encoding": "gzip" };
  for (const answer of [await edge.fetch(path, { headers }), await untilHit(edge, path, { headers })]) {
    assert.equal(answer.text, plain);
  }
});
