// `cargo xtask smoke`: what it says of a Worker that is as it should be, and of those that are not.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import test from "node:test";

import { openCarelessGate, openDevGate } from "./harness.mjs";
import { inRepository } from "./harness/repository.mjs";

const SCRIPT = inRepository("xtask/smoke/smoke.mjs");
const TOKEN = "smoke-0123456789abcdef";

/** Runs it to the end: exit code, and what it says. */
function smoke(...words) {
  const env = { ...process.env, SMOKE_TOKEN: TOKEN };
  const options = { env, timeout: 240_000 };
  return new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...words], options, (error, out, err) =>
      resolve({ code: error ? error.code : 0, out, err }),
    );
  });
}

/** The same, as programs read it: the findings by name. */
async function found(...words) {
  const { code, out, err } = await smoke(...words, "--json");
  const report = JSON.parse(out || assert.fail(err));
  const findings = Object.fromEntries(report.findings.map((finding) => [finding.name, finding]));
  const named = (answer) => Object.keys(findings).filter((name) => findings[name].answer === answer);
  return { code, report, findings, named };
}

test("smoke under wrangler dev", async (t) => {
  const { edge, shim, origin } = await openDevGate(t);

  await t.test("C1 C3 R7: all that can be told of the worker is as expected", async () => {
    await edge.fetch("/.tidegate/health");
    const { code, report, findings, named } = await found(edge.url);
    assert.deepEqual(named("differs"), [], JSON.stringify(findings, null, 2));
    assert.equal(code, 0);
    // Whoever is not Cloudflare tells neither of a data centre nor who the client is.
    assert.deepEqual(named("cannot be told"), ["place", "client-address", "debug", "stale"]);
    assert.match(report.tidegate.policy, /^[0-9a-f]{16}$/);
    assert.match(findings.health.seen, new RegExp(report.tidegate.policy));
    assert.ok(report.requests <= 60, `${report.requests} requests`);
    // One answer as it comes, and one uncompressed, to cut parts of.
    assert.equal(await origin.served("/plugins/app.js"), 2);
  });

  await t.test("C11: a stale answer is seen, and its refresh", async () => {
    const header = encodeURIComponent("CDN-Cache-Control:max-age=3, stale-while-revalidate=300");
    const path = `/short-lived.js?status=200&header=${header}`;
    const { code, findings } = await found(edge.url, "--path", path);
    assert.equal(code, 0, JSON.stringify(findings, null, 2));
    assert.equal(findings.stale.answer, "as expected");
    assert.match(findings.stale.seen, /served stale \(hit; ttl=-\d+\), and fresh soon after/);
  });

  await t.test("people read what was seen, what to do, and never the token", async () => {
    const words = [`${edge.url}/plugins/logo.svg`, "--token-env", "SMOKE_TOKEN"];
    const { code, out, err } = await smoke(...words);
    assert.equal(code, 0, out);
    assert.match(out, /about \/plugins\/logo\.svg and/);
    assert.match(out, /^ {2}as expected {5}cache: Are answers kept on this host, and served again\?$/m);
    assert.match(out, /^ {18}by the Cache API: hit; ttl=\d+$/m);
    assert.match(out, /^ {2}cannot be told {2}debug: .*\n {18}not even for the token\n {18}→ Is it/m);
    assert.match(out, /^\d+ as expected, 0 differ, \d+ cannot be told; \d+ requests in [\d.]+ s$/m);
    assert.deepEqual(out.split("\n").filter((line) => line.length > 100), []);
    assert.doesNotMatch(out + err, new RegExp(TOKEN));
  });

  await t.test("paths that do not suit are told from a worker that does not", async () => {
    const words = ["--path", "/api/v1/custom", "--bypass", "/plugins/app.js"];
    const { code, findings } = await found(edge.url, ...words);
    assert.equal(code, 1);
    assert.match(findings.cache.seen, /does not keep \/api\/v1\/custom: fwd=bypass.*detail=policy/);
    assert.match(findings.cache.advice, /--path/);
    assert.match(findings.bypass.advice, /--bypass/);
    assert.equal(findings.codings.answer, "cannot be told");
  });

  await t.test("a host whose requests miss the edge is found out", async () => {
    const { code, findings, named } = await found(shim.url);
    assert.equal(code, 1);
    assert.deepEqual(named("differs"), ["health", "cache", "bypass", "client-address"]);
    assert.match(findings.health.seen, /the shim answers it/);
    // The shim believes this machine, and so anybody who gets here past the edge.
    assert.match(findings["client-address"].seen, /X-Forwarded-For: \d+ left, 99 with a claim/);
  });

  await t.test("R1: behind Cloudflare's door place and client are told", async (t) => {
    const { code, report, findings } = await found(await door(t, edge.url));
    assert.equal(code, 0, JSON.stringify(findings, null, 2));
    assert.deepEqual([report.place, findings.place.answer], ["FRA", "as expected"]);
    assert.equal(findings["client-address"].answer, "as expected");
  });

  await t.test("R7: a limit that refuses ends the questions", async () => {
    const client = "127.0.0.1";
    // What is stored counts for nobody, so each is another.
    for (let other = 0, status; status !== 429; other++) {
      ({ status } = await edge.fetch(`/plugins/${other}.js`, { client }));
    }
    const { code, findings, report } = await found(edge.url);
    assert.equal(code, 1);
    assert.match(findings.cache.seen, /a limit refused request \d+ \(429\): ask again after \d+ s/);
    assert.ok(report.requests <= 3, "nobody is asked after a refusal");
  });
});

/**
 * What Cloudflare does to a request before the Worker has it, and to its answer: says where, and
 * who the client is, whatever that says itself.
 */
async function door(t, url) {
  const server = http.createServer((request, response) => {
    const headers = { ...request.headers, "cf-connecting-ip": "192.0.2.99" };
    const { method, url: target } = request;
    const passed = http.request(new URL(target, url), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, [...answer.rawHeaders, "CF-Ray", "9f1c2d3e4a5b6c7d-FRA"]);
      answer.pipe(response);
    });
    passed.once("error", () => response.destroy());
    request.pipe(passed);
  });
  return listening(t, server);
}

async function listening(t, server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));
  return `http://127.0.0.1:${server.address().port}`;
}

test("smoke tells a door that is shut from a worker that is not there", async (t) => {
  const shut = http.createServer((_, response) => {
    response.writeHead(403, { "Cf-Mitigated": "challenge" }).end("Just a moment...");
  });
  const { code, findings } = await found(await listening(t, shut));
  assert.equal(code, 1);
  assert.match(findings.health.seen, /cf-mitigated: challenge/);
});

test("smoke sees what the worker tells the token alone", async (t) => {
  const folder = process.env.CHANGED_WORKER;
  assert.ok(folder, "CHANGED_WORKER names no build: `cargo xtask test` makes it");
  const vars = { EDGE_TOKEN: TOKEN, EDGE_KEY: TOKEN, OLD_EDGE_KEY: TOKEN, JWT_SECRET: TOKEN.repeat(2) };
  const { edge } = await openDevGate(t, { folder, vars });
  const { findings, report } = await found(edge.url, "--token-env", "SMOKE_TOKEN");
  assert.equal(findings.debug.answer, "as expected", findings.debug.seen);
  assert.match(findings.debug.seen, new RegExp(`policy=${report.tidegate.policy}`));
  assert.doesNotMatch(JSON.stringify(report), new RegExp(TOKEN));
});

test("smoke finds out a worker that caches without care", async (t) => {
  const { edge } = await openCarelessGate(t);
  const { code, findings } = await found(edge.url);
  assert.equal(code, 1);
  const differs = {
    age: /ttl from 86400 to 86400/,
    codings: /compressed twice/,
    head: /not out of the cache/,
    conditionals: /another ETag and its Last-Modified: 304 instead of 200/,
    bypass: /\/api\/v1\/plugins is a 200, hit/,
  };
  for (const [name, seen] of Object.entries(differs)) {
    assert.equal(findings[name].answer, "differs", name);
    assert.match(findings[name].seen, seen);
    assert.ok(findings[name].advice, name);
  }
});

test("smoke exits with 2 where nobody can be asked", async (t) => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const dead = `http://127.0.0.1:${server.address().port}`;
  server.close();
  await once(server, "close");
  const cases = [
    [[dead], /nobody can be asked there: .*ECONNREFUSED/],
    [["www.example.com"], /is no URL that begins with https:\/\//],
    [[], /one URL is needed/],
    [[dead, "--path", "no-slash"], /`no-slash` is no path/],
    [[dead, "--token-env", "NO_SUCH_VARIABLE"], /NO_SUCH_VARIABLE is empty/],
    [["http://www.example.com", "--token-env", "SMOKE_TOKEN"], /https:\/\/ alone/],
  ];
  for (const [words, why] of cases) {
    const { code, err } = await smoke(...words);
    assert.equal(code, 2, words.join(" "));
    assert.match(err, why);
    assert.doesNotMatch(err, new RegExp(TOKEN));
  }
});
