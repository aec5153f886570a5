// What the other tests read an answer with.

import assert from "node:assert/strict";
import test from "node:test";

import { cacheStatus } from "./harness.mjs";

test("hops and their parameters are told apart", () => {
  const headers = new Headers();
  headers.append("Cache-Status", "tidegate-origin; fwd=uri-miss; stored; ttl=300");
  headers.append("Cache-Status", 'tidegate-edge;fwd=bypass;detail="a, \\"b\\"; c", other;ttl=-5');
  assert.deepEqual(cacheStatus({ headers }), [
    { name: "tidegate-origin", fwd: "uri-miss", stored: true, ttl: 300 },
    { name: "tidegate-edge", fwd: "bypass", detail: 'a, "b"; c' },
    { name: "other", ttl: -5 },
  ]);
  assert.deepEqual(cacheStatus({ headers: new Headers() }), []);
});
