// Users by their tokens at the edge: whose entry, whose quota, and which tokens make nobody.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test from "node:test";

import { hop, openGate, untilHit } from "./harness.mjs";
import { SECRET, es256, hs256, now, rs256, serveKeys, token } from "./harness/tokens.mjs";

/** Built with keys for tokens, and with an entry for each user of this bundle. */
const CHANGED_WORKER = process.env.CHANGED_WORKER;
// The origin allows sharing, else the shim calls what a credential got private.
const OWN = `/plugins/widget.js?header=${encodeURIComponent("Cache-Control:public")}`;
const LIMITED = "/api/v1/custom";

test("C2: a user has one entry at the edge, whichever token and algorithm", async (t) => {
  const [rsa, ec] = [rs256("r"), es256("e")];
  await serveKeys(t, [rsa, ec]);
  for (const signer of [hs256("h"), rsa, ec]) {
    const { edge } = await open(t);
    const first = token(signer, "ada");
    assert.equal(hop(await ask(edge, first), "tidegate-edge").fwd, "uri-miss", signer.alg);
    await untilHit(edge, OWN, by(first));
    const second = token(signer, "ada", { exp: now() + 900 });
    const again = hop(await ask(edge, second), "tidegate-edge");
    assert.deepEqual([again.hit, again.key], [true, "user:ada:widget"], signer.alg);
    assert.equal(hop(await ask(edge, token(signer, "bob")), "tidegate-edge").fwd, "uri-miss");
  }
});

test("C2: a bad token meets neither the user's entry nor anybody else's", async (t) => {
  const rsa = rs256("r");
  await serveKeys(t, [rsa]);
  const { edge } = await open(t);
  await untilHit(edge, OWN, by(token(hs256("h"), "ada")));
  await untilHit(edge, OWN);
  for (const [what, bad] of Object.entries(badTokens(rsa))) {
    assert.equal(hop(await ask(edge, bad), "tidegate-edge").fwd, "uri-miss", what);
  }
  assert.equal(hop(await ask(edge, token(hs256("h"), "ada")), "tidegate-edge").hit, true);
});

test("R1: a user has one quota at every address, and a made-up token has none", async (t) => {
  await serveKeys(t, []);
  const { edge } = await open(t);
  const status = async (bearer, client) =>
    (await edge.fetch(LIMITED, { client, ...by(bearer) })).status;
  for (let n = 0; n < 100; n += 1) {
    assert.equal(await status(token(hs256("h"), "ada"), `203.0.113.${n % 7}`), 200);
  }
  assert.equal(await status(token(hs256("h"), "ada", { exp: now() + 900 }), "203.0.113.99"), 429);
  assert.equal(await status(token(hs256("h"), "bob"), "203.0.113.1"), 200);

  const forger = hs256("h", "another secret, of 32 bytes or more");
  for (let n = 0; n < 100; n += 1) {
    assert.equal(await status(token(forger, `user-${n}`), "198.51.100.1"), 200);
  }
  assert.equal(await status(token(forger, "one more"), "198.51.100.1"), 429);
});

test("C2: new keys of a set are fetched once ahead of time, and old ones end", async (t) => {
  const [old, fresh, newest] = [es256("1"), rs256("2"), es256("3")];
  const server = await serveKeys(t, [old]);
  const { edge } = await open(t);
  const key = async (bearer) => hop(await ask(edge, bearer), "tidegate-edge").key;
  assert.equal(await key(token(old, "ada")), "user:ada:widget");
  assert.equal(server.asked, 1);

  server.signers = [fresh];
  assert.equal(await key(token(fresh, "ada")), "user:ada:widget", "the unknown key made it ask");
  assert.equal(server.asked, 2);
  assert.match(await key(token(old, "ada")), /^user:~/, "the old key is gone");

  server.signers = [newest];
  assert.match(await key(token(newest, "ada")), /^user:~/, "only once in the interval");
  assert.equal(server.asked, 2);
});

test("C3: a key set or a secret that cannot be had fails no request", async (t) => {
  const signer = es256("1");
  const server = await serveKeys(t, [signer]);
  server.status = 500;
  const { edge } = await open(t, {});
  for (const bearer of [token(signer, "ada"), token(hs256("h"), "ada")]) {
    const answer = await ask(edge, bearer);
    assert.equal(answer.status, 200);
    assert.match(hop(answer, "tidegate-edge").key, /^user:~/);
  }
});

function open(t, vars = { JWT_SECRET: SECRET }) {
  assert.ok(CHANGED_WORKER, "CHANGED_WORKER names no build: `cargo xtask test` makes it");
  return openGate(t, CHANGED_WORKER, vars);
}

const by = (bearer) => ({ headers: { Authorization: `Bearer ${bearer}` } });
const ask = (edge, bearer) => edge.fetch(OWN, by(bearer));

/** Tokens that say they are ada's. */
function badTokens(rsa) {
  const good = token(hs256("h"), "ada");
  const [head, , signature] = good.split(".");
  const asSecret = (secret) => ({
    kid: "r",
    alg: "HS256",
    sign: (input) => createHmac("sha256", secret).update(input).digest(),
  });
  return {
    expired: token(hs256("h"), "ada", { exp: now() - 61 }),
    "of the future": token(hs256("h"), "ada", { nbf: now() + 300 }),
    "without end": token(hs256("h"), "ada", { exp: undefined }),
    unsigned: token(hs256("h"), "ada", {}, { alg: "none" }),
    "of another secret": token(hs256("h", "x".repeat(32)), "ada"),
    "of another algorithm": token(hs256("h"), "ada", {}, { alg: "HS512" }),
    "the public key for a secret": token(asSecret(rsa.jwk.n), "ada"),
    "of an unknown key": token(hs256("x"), "ada"),
    "with a changed payload": `${head}.${token(hs256("h"), "bob").split(".")[1]}.${signature}`,
    "with a cut signature": good.slice(0, -4),
    "with a signature of the wrong kind": token({ ...rsa, sign: hs256("h").sign }, "ada"),
    oversized: token(hs256("h"), "ada", { x: "x".repeat(7000) }),
    "no token at all": "ada",
  };
}
