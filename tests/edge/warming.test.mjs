// Warming (C9): at the clock's call the worker fetches what the policy lists, through the same
// rules as a client's request, and no limit counts it.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import test from "node:test";

import { EDGE_KEY, hop } from "./harness.mjs";
import { startWorker } from "./harness/worker.mjs";

const TOKEN = "0123456789abcdef";
const KEPT = "http://example.com/api/v1/echo/kept/";

test("C9: what the policy and its list name is stored before anybody asks for it", async (t) => {
  const { origin, edge } = await open(t);
  await edge.scheduled();
  const stored = [
    "http://example.com/plugins/warm.js",
    `${KEPT}warm`,
    `${KEPT}listed?a=1`,
    `${KEPT}last`,
  ];
  for (const url of stored) {
    const { pathname, search } = new URL(url);
    const answer = await edge.fetch(url);
    assert.equal(hop(answer, "tidegate-edge").hit, true, url);
    assert.equal(origin.asked(pathname + search), 1, url);
  }
  assert.equal(origin.asked("/plugins/comment"), 0);
  assert.match(edge.said(), /"log":"warm","fetched":4,"fresh":0,"failed":1/);

  // What is fresh is left alone.
  await edge.scheduled();
  assert.equal(origin.asked("/plugins/warm.js"), 1);
  assert.match(edge.said(), /"log":"warm","fetched":0,"fresh":4,"failed":1/);
});

test("C9: no limit counts what is warmed", async (t) => {
  const { edge } = await open(t);
  // More often than the limit of the bundles allows.
  for (const _ of Array(3)) await edge.scheduled();
  const { headers } = await edge.fetch("http://example.com/plugins/new.js");
  assert.equal(headers.get("x-ratelimit-remaining"), "99");
});

/** The worker with the changed policy before an origin that has a list and breaks once. */
async function open(t) {
  const seen = [];
  const list = `# what most people want\n${KEPT}listed?a=1\n\n/api/v1/echo/kept/last\n/plugins/broken\n`;
  const server = http.createServer((request, response) => {
    seen.push(request.url);
    if (request.url === "/plugins/broken") return response.writeHead(500).end();
    response.end(request.url === "/api/v1/warm.txt" ? list : "body");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}`;
  const edge = await startWorker(url, process.env.CHANGED_WORKER, { EDGE_TOKEN: TOKEN, EDGE_KEY });
  t.after(async () => {
    await edge.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { origin: { asked: (path) => seen.filter((url) => url === path).length }, edge };
}
