// The edge's cache: the built worker with the repository's policy, before the shim and the
// demo origin.

import assert from "node:assert/strict";
import test from "node:test";

import { cacheStatus, hop, openGate, untilHit } from "./harness.mjs";

const BUNDLE = "/plugins/app.js";
const DAY = 86_400;

test("C1: a bundle is a MISS, then a HIT that the origin does not hear of", async (t) => {
  const { edge, origin } = await openGate(t);
  const miss = await edge.fetch(BUNDLE);
  assert.equal(miss.status, 200);
  assert.equal(miss.headers.get("x-cache"), "MISS");
  assert.equal(hop(miss, "tidegate-edge").fwd, "uri-miss");
  assert.equal(hop(miss, "tidegate-edge").stored, true);

  const hit = await untilHit(edge, BUNDLE);
  assert.equal(hit.headers.get("x-cache"), "HIT");
  assert.equal(hit.text, miss.text);

  const before = await origin.served(BUNDLE);
  for (let again = 0; again < 5; again += 1) {
    assert.equal(hop(await edge.fetch(BUNDLE), "tidegate-edge").hit, true);
  }
  assert.equal(await origin.served(BUNDLE), before);
});

test("C1: edge and browser keep a bundle for a day", async (t) => {
  const { edge } = await openGate(t);
  const miss = await edge.fetch(BUNDLE);
  const hit = await untilHit(edge, BUNDLE);
  for (const answer of [miss, hit]) {
    const { ttl } = hop(answer, "tidegate-edge");
    // `Date` counts whole seconds, and a busy machine takes some to bring it here.
    assert.ok(ttl <= DAY && ttl > DAY - 20, `${ttl} s left`);
    assert.match(answer.headers.get("cache-control"), /(^|[ ,])max-age=86400($|[ ,])/);
  }
});

test("C1: the API passes the edge and is kept by the shim alone", async (t) => {
  const { edge, origin } = await openGate(t);
  const path = "/api/v1/marketplace";
  const [first, second] = [await edge.fetch(path), await edge.fetch(path)];

  for (const answer of [first, second]) {
    const names = cacheStatus(answer).map(({ name }) => name);
    assert.deepEqual(names, ["tidegate-origin", "tidegate-edge"], "nearest to the origin first");
    const { fwd, stored, hit, detail } = hop(answer, "tidegate-edge");
    assert.deepEqual({ fwd, stored, hit }, { fwd: "bypass", stored: undefined, hit: undefined });
    assert.ok(detail, "a reason for the bypass");
  }
  assert.equal(hop(first, "tidegate-origin").fwd, "uri-miss");
  assert.equal(hop(second, "tidegate-origin").hit, true);
  assert.equal(await origin.served(path), 1);
});

test("C2: through the edge, too, nobody sees another user's profile", async (t) => {
  const { edge } = await openGate(t);
  const seenBy = async (user) => {
    const headers = { Authorization: `Bearer ${user}` };
    return JSON.parse((await edge.fetch("/api/v1/user/profile", { headers })).text).user;
  };
  assert.deepEqual([await seenBy("alice"), await seenBy("bob"), await seenBy("alice")], [
    "alice",
    "bob",
    "alice",
  ]);
});

test("C5: what the origin forbids to keep, the edge does not keep", async (t) => {
  const { edge, origin } = await openGate(t);
  for (const header of ["Cache-Control:no-store", "Cache-Control:private", "Set-Cookie:s=1"]) {
    const target = `/plugins/widget.js?header=${encodeURIComponent(header)}`;
    const before = await origin.served("/plugins/widget.js");
    for (let asked = 1; asked <= 3; asked += 1) {
      const answer = await edge.fetch(target);
      assert.equal(hop(answer, "tidegate-edge").stored, undefined, header);
      assert.equal(await origin.served("/plugins/widget.js"), before + asked, header);
    }
  }
});

test("C5: what may not be kept is not called public on its way to browsers", async (t) => {
  const { edge } = await openGate(t);
  for (const header of ["Cache-Control:no-store", "Cache-Control:private", "Set-Cookie:s=1"]) {
    const { headers } = await edge.fetch(`/plugins/widget.js?header=${encodeURIComponent(header)}`);
    assert.doesNotMatch(headers.get("cache-control") ?? "", /public/, header);
  }
});

test("C1: hosts do not share a bundle", async (t) => {
  const { edge } = await openGate(t);
  await edge.fetch(`http://a.example${BUNDLE}`);
  await untilHit(edge, `http://a.example${BUNDLE}`);
  const other = await edge.fetch(`http://b.example${BUNDLE}`);
  assert.equal(hop(other, "tidegate-edge").fwd, "uri-miss");
});

test("C1: every kind of bundle arrives as it was built, from the cache as well", async (t) => {
  const { edge, origin } = await openGate(t);
  for (const name of ["app.css", "logo.svg", "manifest.json", "app.js.map", "chart.js"]) {
    const path = `/plugins/${name}`;
    const built = await fetch(`http://${origin.plugins}${path}`);
    const text = await built.text();
    for (const answer of [await edge.fetch(path), await untilHit(edge, path)]) {
      assert.equal(answer.text, text, path);
      assert.equal(answer.headers.get("content-type"), built.headers.get("content-type"));
    }
  }
});
