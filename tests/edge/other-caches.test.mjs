// The zone's cache and Workers Cache. Neither is simulated locally: what is asked of them is seen
// here, and what the worker makes of what they say.

import assert from "node:assert/strict";
import test from "node:test";

import { hop } from "./harness.mjs";
import { inRepository } from "./harness/repository.mjs";
import { startWatchedWorker } from "./harness/watched-worker.mjs";

/** Built with the routes of xtask/src/test/other_policies.rs. */
const folder = process.env.CHANGED_WORKER;
const ZONED = "https://zoned.test/zoned/a.js";
const SHARED = "https://edge.test/shared/a.js";

/** A worker whose requests to the origin `answer` answers: by what it is told of each. */
async function open(t, answer, options) {
  assert.ok(folder, "CHANGED_WORKER names no build: `cargo xtask test` makes it");
  const asked = [];
  const outbound = async (request) => {
    // The policy has it ask for keys of tokens, too.
    if (!request.url.startsWith("http://origin.test/")) return new Response(null, { status: 404 });
    asked.push({ url: request.url, cf: request.cf, headers: request.headers });
    return answer(request, asked.length);
  };
  const edge = await startWatchedWorker("http://origin.test", { folder, outbound, ...options });
  t.after(() => edge.stop());
  return { edge, asked };
}

/** Whether the zone's cache is told to stay out of it. */
const isAvoided = ({ cf }) => cf.cacheLevel === "bypass" && cf.cacheEverything === undefined;

const answers = (status, headers, body = "body") => {
  const length = { "Content-Length": String(body.length) };
  return new Response(body, { status, headers: { ...length, ...headers } });
};

test("the zone's cache is told to keep, by which tags, and nothing that the policy leaves out", async (t) => {
  const { edge, asked } = await open(t, () =>
    answers(200, { "CF-Cache-Status": "MISS", "Cache-Control": "max-age=60" }),
  );
  const miss = await edge.fetch(ZONED);
  // The runtime adds what it thinks of bots.
  const { botManagement: _, ...cf } = asked[0].cf;
  assert.deepEqual(cf, { cacheEverything: true, cacheTags: ["zoned"] });
  const { fwd, stored, ttl } = hop(miss, "tidegate-edge");
  assert.deepEqual([fwd, stored, ttl > 50], ["uri-miss", true, true]);
});

test("a hit of the zone's cache serves, with its age", async (t) => {
  const { edge, asked } = await open(t, () =>
    answers(200, { "CF-Cache-Status": "HIT", "Cache-Control": "max-age=60", Age: "20", ETag: '"1"' }),
  );
  const hit = await edge.fetch(ZONED);
  const { hit: isHit, ttl, detail } = hop(hit, "tidegate-edge");
  assert.deepEqual([isHit, detail, ttl > 30 && ttl <= 40], [true, "zone", true]);
  assert.equal(hit.headers.get("age"), "20");
  const unchanged = await edge.fetch(ZONED, { headers: { "If-None-Match": '"1"' } });
  assert.equal(unchanged.status, 304);
  assert.equal(asked[1].headers.get("if-none-match"), null, "the cache is asked without conditions");
});

for (const [what, headers, ask] of [
  ["is private", { "Cache-Control": "private, max-age=60" }],
  ["must not be stored", { "Cache-Control": "no-store" }],
  ["sets a cookie", { "Cache-Control": "max-age=60", "Set-Cookie": "a=1" }],
  ["varies", { "Cache-Control": "max-age=60", Vary: "Accept-Language" }],
  ["is to be confirmed", { "Cache-Control": "max-age=60" }, { "Cache-Control": "no-cache" }],
]) {
  test(`what the zone's cache has and ${what} is asked for past it`, async (t) => {
    const { edge, asked } = await open(t, (_, nth) =>
      answers(200, { ...headers, "CF-Cache-Status": nth === 1 ? "HIT" : "BYPASS" }, `body ${nth}`),
    );
    const answer = await edge.fetch(ZONED, { headers: ask });
    assert.deepEqual([answer.text, asked.length, isAvoided(asked[1])], ["body 2", 2, true]);
    const { hit, stored } = hop(answer, "tidegate-edge");
    assert.deepEqual([hit, stored], [undefined, undefined]);
  });
}

test("requests by http, and with a credential, go past the zone's cache", async (t) => {
  const { edge, asked } = await open(t, () => answers(200, { "Cache-Control": "max-age=60" }));
  await edge.fetch(ZONED.replace("https:", "http:"));
  await edge.fetch(ZONED, { headers: { Authorization: "Bearer of-nobody" } });
  assert.deepEqual(asked.map(isAvoided), [true, true]);
});

const behindTheCache = (t, answer) =>
  open(t, answer, { cached: inRepository("tests/edge/harness/stand-in-for-workers-cache.mjs") });

test("Workers Cache: a miss asks the origin once, a hit not at all, and the policy's time counts", async (t) => {
  const { edge, asked } = await behindTheCache(t, () => answers(200, { ETag: '"1"', Expires: "0", "X-Own": "1" }));
  const ask = { client: "192.0.2.7" };
  const miss = await edge.fetch(`${SHARED}?v=1`, ask);
  assert.deepEqual([miss.status, miss.text, miss.headers.get("expires")], [200, "body", "0"]);
  assert.equal(asked[0].url, "http://origin.test/shared/a.js?v=1");
  assert.equal(asked[0].headers.get("x-forwarded-for"), "192.0.2.7");
  assert.equal(asked[0].headers.get("x-forwarded-host"), "edge.test");
});

test("Workers Cache: hits are judged by the gateway, variant by variant", async (t) => {
  const headers = { "Cache-Control": "max-age=600", ETag: '"1"', Vary: "Accept-Language", "Cache-Tag": "a" };
  const { edge, asked } = await behindTheCache(t, (_, nth) => answers(200, headers, `body ${nth}`));
  const german = { headers: { "Accept-Language": "de" } };
  const [miss, hit] = [await edge.fetch(SHARED, german), await edge.fetch(SHARED, german)];
  assert.equal(hop(miss, "tidegate-edge").fwd, "uri-miss");
  const { hit: isHit, detail, ttl } = hop(hit, "tidegate-edge");
  assert.deepEqual([isHit, detail, ttl > 500], [true, "workers-cache", true]);
  assert.deepEqual([hit.text, hit.headers.get("cache-control")], ["body 1", "max-age=600"]);
  assert.ok(Number(hit.headers.get("age")) < 60);

  const other = await edge.fetch(SHARED, { headers: { "Accept-Language": "en" } });
  assert.equal(other.text, "body 2");
  const keyed = await edge.fetch(SHARED, { headers: { ...german.headers, "X-Kind": "two" } });
  assert.equal(keyed.text, "body 3");
  const host = await edge.fetch(SHARED.replace("edge.test", "other.test"), german);
  assert.equal(host.text, "body 4", "another host is another answer");
  const part = await edge.fetch(SHARED, { headers: { ...german.headers, Range: "bytes=0-3" } });
  assert.deepEqual([part.status, part.text], [206, "body"]);
  const head = await edge.fetch(SHARED, { ...german, method: "HEAD" });
  assert.deepEqual([head.status, head.text], [200, ""]);
  assert.equal(asked.length, 4);
  const confirmed = await edge.fetch(SHARED, { headers: { ...german.headers, "Cache-Control": "no-cache" } });
  assert.deepEqual([confirmed.text, hop(confirmed, "tidegate-edge").detail], ["body 5", "request-no-cache"]);
});

test("Workers Cache: what must not be shared is kept by nobody, and arrives as it was sent", async (t) => {
  const headers = { "Cache-Control": "private, max-age=600", "Set-Cookie": "a=1", Expires: "0" };
  const { edge, asked } = await behindTheCache(t, (_, nth) => answers(404, headers, `body ${nth}`));
  for (const nth of [1, 2]) {
    const answer = await edge.fetch(SHARED);
    assert.deepEqual([answer.status, answer.text], [404, `body ${nth}`]);
    for (const [name, value] of Object.entries(headers)) assert.equal(answer.headers.get(name), value);
    const ours = [...answer.headers.keys()].filter((name) => name.startsWith("tidegate-"));
    assert.deepEqual(ours, []);
    assert.equal(hop(answer, "tidegate-edge").stored, undefined);
  }
  assert.equal(asked.length, 2);
});

test("Workers Cache: a write voids what it has", async (t) => {
  const { edge, asked } = await behindTheCache(t, (_, nth) => answers(200, { "Cache-Control": "max-age=600" }, `body ${nth}`));
  assert.equal((await edge.fetch(SHARED)).text, "body 1");
  assert.equal((await edge.fetch(SHARED)).text, "body 1");
  await edge.fetch(SHARED, { method: "POST", body: "x" });
  assert.equal(asked.length, 2);
  assert.equal((await edge.fetch(SHARED)).text, "body 3");
});

test("without its second Worker, a route of Workers Cache is not cached, and the log says why", async (t) => {
  const { edge, asked } = await open(t, (_, nth) => answers(200, { "Cache-Control": "max-age=600" }, `body ${nth}`));
  for (const nth of [1, 2]) assert.equal((await edge.fetch(SHARED)).text, `body ${nth}`);
  assert.equal(asked.length, 2);
  assert.ok(edge.said.some((line) => line.includes("no second Worker for Workers Cache")));
});
