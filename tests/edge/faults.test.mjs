// What becomes of requests when something is broken: the origin, what the edge stands on, or the
// edge itself. Nobody waits for ever, nothing broken is stored, and nothing of ours takes a site
// down, but where the policy says closed.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import test from "node:test";

import { hop, openRawGate, openSignedGate, until, untilHit } from "./harness.mjs";

/** A route of the API, which bypasses the cache. */
const API = "/api/v1/anything";
/** One that is kept, and may serve stale for a day when the origin fails. */
const KEPT = "/plugins/kept.js";

const OK = "200 OK\r\nContent-Length: 2";
const HOUR = 3_600_000;

const problem = ({ status, headers, text }) => {
  assert.equal(headers.get("content-type"), "application/problem+json");
  assert.equal(headers.get("cache-control"), "no-store");
  return { status, detail: hop({ headers }, "tidegate-edge").detail, told: JSON.parse(text).status };
};

/** The edge's answer once a fresh one is two hours old. */
async function whenStale(gate, ask) {
  await untilHit(gate.edge, KEPT);
  await gate.edge.control("clock", Date.now() + 3 * HOUR);
  return gate.edge.fetch(KEPT, ask);
}

// The origin.

test("an origin that does not begin to answer: 504 within the policy's time, asked once", async (t) => {
  const { edge, origin } = await openRawGate(t, () => {});
  const begun = Date.now();
  assert.deepEqual(problem(await edge.fetch(API)), { status: 504, detail: "upstream-silent", told: 504 });
  assert.ok(Date.now() - begun < 15_000, "the policy says 2 s");
  assert.equal(origin.asked.length, 1);
  assert.match(edge.said.join("\n"), /does not answer: it takes longer than `\[edge\] timeout`/);
});

test("an origin that has begun may take as long as it does", async (t) => {
  let asked;
  const { edge } = await openRawGate(t, ({ socket }) => {
    asked = Date.now();
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nslow");
    const rest = setInterval(() => {
      if (Date.now() - asked < 3_000) return;
      clearInterval(rest);
      socket.end("body");
    }, 20);
  });
  const answer = await edge.fetch(API);
  assert.deepEqual([answer.status, answer.text], [200, "slowbody"]);
  assert.ok(Date.now() - asked >= 3_000);
});

for (const [fault, fail] of Object.entries({
  "hangs up": ({ socket }) => socket.destroy(),
  "is cut off in the head": ({ socket }) => socket.end("HTTP/1.1 200 OK\r\nContent-Le"),
  "talks garbage": ({ socket }) => socket.end("\0\x16\x03\x01 is this HTTP?\r\n\r\n"),
})) {
  test(`an origin that ${fault}: safe requests are sent once more, others never`, async (t) => {
    let times = 1;
    const { edge, origin } = await openRawGate(t, (asked) => {
      if (times-- > 0) fail(asked);
      else asked.say(OK, "ok");
    });
    const answer = await edge.fetch(API);
    assert.deepEqual([answer.status, answer.text, origin.asked.length], [200, "ok", 2]);
    const [one, two] = origin.asked.map(({ headers }) => headers.get("signature-input"));
    assert.notEqual(one, two, "signed anew");
    assert.match(edge.said.join("\n"), /the origin is asked once more/);

    times = 2;
    const failed = { status: 502, detail: "upstream-failed", told: 502 };
    assert.deepEqual(problem(await edge.fetch(API)), failed);
    assert.equal(origin.asked.length, 4, "and no third time");
    for (const ask of [{ method: "POST" }, { method: "POST", body: "x" }, { method: "DELETE" }]) {
      times = 1;
      const before = origin.asked.length;
      assert.deepEqual(problem(await edge.fetch(API, ask)), failed);
      assert.equal(origin.asked.length, before + 1);
    }
  });
}

test("Cloudflare's own word that it did not reach the origin is no answer", async (t) => {
  let status;
  const { edge, origin } = await openRawGate(t, ({ say }) => say(`${status} It says\r\nContent-Length: 6`, "<html>"));
  const asked = async (said, ask) => {
    status = said;
    const before = origin.asked.length;
    const answer = problem(await edge.fetch(API, ask));
    return [answer.status, origin.asked.length - before];
  };
  for (const unreached of [520, 521, 523, 525, 526, 530]) {
    assert.deepEqual(await asked(unreached), [502, 2], `${unreached}`);
    assert.deepEqual(await asked(unreached, { method: "POST" }), [502, 1], `${unreached}`);
  }
  for (const late of [522, 524]) assert.deepEqual(await asked(late), [504, 1], `${late}`);
});

test("an origin that is not there: 502 with the fields of the route", async (t) => {
  const { edge, origin } = await openRawGate(t, ({ say }) => say(OK, "ok"));
  await origin.leave();
  const answer = await edge.fetch(API);
  assert.deepEqual(problem(answer), { status: 502, detail: "upstream-failed", told: 502 });
  assert.equal(answer.headers.get("x-frame-options"), "SAMEORIGIN");
  assert.match(answer.headers.get("ratelimit"), /^"standard";r=99;/);
  assert.doesNotMatch(answer.text, /127\.0\.0\.1/, "where it is is nobody's business");
});

for (const [fault, fail] of Object.entries({
  "is silent": () => {},
  "hangs up": ({ socket }) => socket.destroy(),
  "talks garbage": ({ socket }) => socket.end("garbage\r\n\r\n"),
  "is unreachable, as Cloudflare says": ({ say }) => say("521 Web Server Is Down\r\nContent-Length: 0"),
  "answers 503": ({ say }) => say("503 Service Unavailable\r\nContent-Length: 0"),
})) {
  test(`an origin that ${fault}: what is stored serves stale`, async (t) => {
    let works = true;
    const gate = await openRawGate(t, (asked) => (works ? asked.say(OK, "ok") : fail(asked)));
    await gate.edge.fetch(KEPT);
    await untilHit(gate.edge, KEPT);
    works = false;
    const stale = await whenStale(gate);
    assert.deepEqual([stale.status, stale.text], [200, "ok"]);
    const { hit, ttl, detail } = hop(stale, "tidegate-edge");
    assert.deepEqual([hit, ttl < 0, detail], [true, true, "stale-if-error"]);
    works = true;
    assert.equal(hop(await gate.edge.fetch(KEPT), "tidegate-edge").fwd, "stale");
  });
}

test("a storm of errors is passed on, and stored no longer than the policy says", async (t) => {
  let works = false;
  const { edge, origin } = await openRawGate(t, ({ say }) =>
    works ? say(OK, "ok") : say("500 Internal Server Error\r\nContent-Length: 4", "oops"));
  const clients = Array.from({ length: 40 }, (_, n) => `203.0.113.${n}`);
  const answers = await Promise.all(clients.map((client) => edge.fetch(API, { client })));
  assert.ok(answers.every(({ status, text }) => status === 500 && text === "oops"));
  assert.equal(origin.asked.length, clients.length, "nothing is sent twice that was answered");
  works = true;
  assert.equal((await edge.fetch(API)).status, 200);
});

test("an answer that is cut off is told as such, and not stored", async (t) => {
  let whole = false;
  const { edge, origin } = await openRawGate(t, ({ say }) =>
    say("200 OK\r\nContent-Length: 10", whole ? "0123456789" : "01234"));
  for (const target of [KEPT, API]) {
    const request = http.get(new URL(target, edge.url), { signal: AbortSignal.timeout(20_000) });
    await assert.rejects(async () => {
      const [answer] = await once(request, "response");
      await Array.fromAsync(answer);
    }, target);
  }
  whole = true;
  const before = origin.asked.length;
  const answer = await edge.fetch(KEPT);
  assert.deepEqual([answer.text, origin.asked.length], ["0123456789", before + 1]);
});

// What the edge stands on.

for (const fault of ["throws", "hangs"]) {
  test(`a cache that ${fault} on put costs nobody an answer`, async (t) => {
    const { edge, origin } = await openRawGate(t, ({ say }) => say(OK, "ok"));
    await edge.control("fault", { put: fault });
    for (let times = 1; times <= 3; times += 1) {
      const answer = await edge.fetch(KEPT, { client: `203.0.113.${times}` });
      assert.deepEqual([answer.status, answer.text], [200, "ok"]);
    }
    assert.ok(origin.asked.length >= 1);
  });
}

test("a cache that throws on match is an empty cache", async (t) => {
  const { edge, origin } = await openRawGate(t, ({ say }) => say(OK, "ok"));
  await edge.fetch(KEPT);
  // Before a hit, which would be in the isolate's memory.
  await edge.control("fault", { match: "throws" });
  const answer = await edge.fetch(KEPT);
  assert.deepEqual([answer.status, answer.text, origin.asked.length], [200, "ok", 2]);
  await edge.control("fault", { match: "none" });
  await untilHit(edge, KEPT);
});

for (const fault of ["throws", "hangs"]) {
  test(`KV that ${fault} keeps nobody waiting for long, and changes nothing`, async (t) => {
    const vars = { TIDEGATE_OVERRIDES_EVERY: "0" };
    const { edge } = await openRawGate(t, ({ say }) => say(OK, "ok"), vars);
    await edge.control("fault", { kv: fault });
    const begun = Date.now();
    const answers = await Promise.all([1, 2, 3].map((n) => edge.fetch(API, { client: `203.0.113.${n}` })));
    assert.ok(answers.every(({ status }) => status === 200));
    assert.ok(Date.now() - begun < 10_000);
  });
}

test("objects that fail while the origin does, too: the origin's failure is told", async (t) => {
  const { edge } = await openRawGate(t, ({ socket }) => socket.destroy());
  await edge.control("fault", { objects: "throws" });
  assert.equal(problem(await edge.fetch(API)).status, 502);
});

// The edge itself. Only the build for tests can be asked for its faults.

const fault = (...names) => ({ headers: { "Tidegate-Fault": names.join(" ") } });

for (const place of ["gate", "admitted"]) {
  for (const kind of ["break", "panic"]) {
    test(`a ${kind} (${place}): past the gate, once, signed, and said`, async (t) => {
      const { edge, origin } = await openSignedGate(t);
      const echo = "/api/v1/echo";
      const answer = await edge.fetch(`${echo}?a=1`, { ...fault(`${kind}-at-${place}`), client: "203.0.113.5" });
      assert.equal(answer.status, 200);
      const seen = JSON.parse(answer.text);
      assert.equal(seen.query, "a=1");
      assert.ok(seen.headers.some(([name, value]) => name === "x-real-ip" && value === "203.0.113.5"));
      const { fwd, detail } = hop(answer, "tidegate-edge");
      assert.deepEqual([fwd, detail], ["bypass", kind === "panic" ? "panic" : "on-purpose"]);
      assert.equal(await origin.served(echo), 1);
      assert.equal(edge.said.filter((line) => /past the gate, (panic|on-purpose)/.test(line)).length, 1);
      const logged = edge.said.filter((line) => line.startsWith('{"log":"request"')).map((line) => JSON.parse(line));
      assert.deepEqual(logged.map(({ outcome, reason }) => [outcome, reason]), [["BYPASS", detail]]);

      const body = "x".repeat(100_000);
      const posted = await edge.fetch(echo, { ...fault(`${kind}-at-${place}`), method: "POST", body });
      assert.equal(JSON.parse(posted.text).body_bytes, body.length, "with its body");
      assert.equal((await edge.fetch(echo)).status, 200, "all is well");
    });
  }
}

test("a panic is counted, and the next requests meet a new instance", async (t) => {
  const { edge } = await openRawGate(t, ({ say }) => say(OK, "ok"));
  for (const n of [1, 2, 3]) {
    assert.equal((await edge.fetch(API, fault("panic-at-gate"))).status, 200);
    const { status, headers } = await edge.fetch(API);
    assert.deepEqual([status, hop({ headers }, "tidegate-edge").detail], [200, "policy"]);
    assert.ok(edge.said.some((line) => line.includes(`panic ${n} of this isolate`)), `panic ${n}`);
  }
});

test("a panic takes no other request of the isolate along", async (t) => {
  const held = [];
  const { edge, origin } = await openRawGate(t, (asked) => {
    if (asked.target === "/api/v1/held" && held.push(asked) <= 3) return;
    asked.say(OK, "ok");
  });
  const others = ["GET", "GET", "PUT"].map((method, n) =>
    edge.fetch("/api/v1/held", { method, client: `203.0.113.${n}`, ...(method === "PUT" && { body: "x" }) }));
  await until(() => held.length === 3);
  const panicked = await edge.fetch(API, fault("panic-at-gate"));
  assert.equal(panicked.status, 200);
  const [one, two, put] = await Promise.all(others);
  for (const answer of [one, two]) {
    assert.deepEqual([answer.status, answer.text], [200, "ok"]);
    assert.equal(hop(answer, "tidegate-edge").detail, "panic");
  }
  // What may change something was on its way, and is not sent a second time.
  assert.equal(put.status, 502);
  assert.equal(origin.asked.filter(({ method }) => method === "PUT").length, 1);
});

test("a panic behind the origin's answer: what may change something is not sent twice", async (t) => {
  const { edge, origin } = await openRawGate(t, ({ say }) => say(OK, "ok"));
  for (const ask of [{ method: "POST", body: "x" }, { method: "POST" }, { method: "DELETE" }]) {
    const before = origin.asked.length;
    for (const kind of ["panic", "break"]) {
      const answer = await edge.fetch(API, { ...ask, ...fault(`${kind}-at-answer`) });
      assert.equal(answer.status, 502, `${kind} ${ask.method}`);
    }
    assert.equal(origin.asked.length, before + 2);
  }
  const got = await edge.fetch(API, fault("panic-at-answer"));
  assert.deepEqual([got.status, got.text], [200, "ok"]);
});

test("a panic on the way out as well ends that request, and no other", async (t) => {
  const { edge } = await openRawGate(t, ({ say }) => say(OK, "ok"));
  const twice = await edge.fetch(API, fault("panic-at-gate", "panic-at-way-out"));
  assert.equal(twice.status, 500);
  assert.equal(twice.headers.get("content-type"), "application/problem+json");
  assert.equal((await edge.fetch(API)).status, 200);
});

test("what is broken opens nothing that the policy shuts", async (t) => {
  const vars = { TIDEGATE_OVERRIDES_EVERY: "0" };
  const { edge, origin } = await openRawGate(t, ({ say }) => say(OK, "ok"), vars);
  for (const kind of ["panic", "break"]) {
    const shut = await edge.fetch("/api/v1/shut", fault(`${kind}-at-gate`));
    assert.deepEqual([shut.status, hop(shut, "tidegate-edge").detail], [503, "limiter-unavailable"]);
    const counted = await edge.fetch("/api/v1/shut", fault("break-at-admitted"));
    assert.equal(counted.status, 200, "the limit has let it through");
    const own = await edge.fetch("/.tidegate/health", fault(`${kind}-at-gate`));
    assert.equal(own.status, 200, "is no request for the origin");
  }
  await edge.control("overrides", { maintenance: { enabled: true } });
  await until(async () => (await edge.fetch(API)).status === 503);
  const before = origin.asked.length;
  for (const kind of ["panic", "break"]) {
    const closed = await edge.fetch(API, fault(`${kind}-at-gate`));
    assert.deepEqual([closed.status, hop(closed, "tidegate-edge").detail], [503, "maintenance"]);
    assert.notEqual(closed.headers.get("retry-after"), null);
  }
  assert.equal(origin.asked.length, before);
});
