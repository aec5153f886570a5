// A policy published at run time: by the command through wrangler, and what the worker makes of
// what lies in KV.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { promisify } from "node:util";

import { hop, openOperatedDevGate, openOperatedGate, until } from "./harness.mjs";
import { inRepository, program } from "./harness/repository.mjs";

const DAY = 86_400;
const HOUR = 3600;

test("a policy is published, held against the one before, and taken back", async (t) => {
  const { edge, tidegate } = await openOperatedDevGate(t);
  const embedded = await health(edge);
  assert.equal(embedded.source, "embedded");
  const [hour, other] = [await policy(t, 'ttl = "1h"'), await policy(t, 'ttl = "2h"')];

  const said = await tidegate("publish", "--policy", hour);
  assert.match(said, /^Policy [0-9a-f]{16} is in force at the edge in place of the policy that the/m);
  await until(async () => (await health(edge)).source === "published");
  assert.equal(said.includes((await health(edge)).policy), true);
  assert.equal((await ttl(edge, "/plugins/a.js")) <= HOUR, true);
  assert.match(await tidegate("publish", "--policy", hour), /in force at the edge already/);

  const more = await tidegate("publish", "--policy", other);
  assert.match(more, /^plugins$[^]*^ {2}edge {4}GET [^]*^ {4}ttl +1h$\n^ +→ 2h$/m);
  await until(async () => (await ttl(edge, `/plugins/${Math.random()}.js`)) > HOUR);

  // An override counts on top of it.
  await tidegate("limits", "set", "standard", "300 per 60s");
  await until(async () => (await quota(edge)) === 300);

  const listed = await tidegate("rollback", "--list");
  assert.match(listed, /^[0-9a-f]{16} {2}published [^\n]* in force\n[0-9a-f]{16} [^]*\nembedded /);
  await tidegate("rollback");
  await until(async () => said.includes((await health(edge)).policy));
  assert.equal(await quota(edge), 300);
  await tidegate("rollback", "--to", "embedded");
  await until(async () => (await health(edge)).source === "embedded");
  assert.equal((await health(edge)).policy, embedded.policy);
  await assert.rejects(tidegate("rollback", "--to", "0123"), /no such policy was in force/);
});

test("a policy in KV that is no good leaves the last good one in force", async (t) => {
  const { edge, operate } = await openOperatedGate(t);
  const { policy: embedded } = await health(edge);
  for (const bad of ["nonsense", `{"hash":"${embedded}","time":1,"policy":{"schema":1}}`]) {
    await operate.kv.put("policy", bad);
    const said = () => edge.said().split("a policy in KV is refused").length;
    const before = said();
    await until(async () => (await health(edge)).policy === embedded && said() > before);
  }
  assert.equal((await edge.fetch("/plugins/app.js")).status, 200);
});

test("two policies are compared as diff compares files", async (t) => {
  const repository = inRepository("tidegate.toml");
  const hour = await policy(t, 'ttl = "1h"');
  const diff = (...words) =>
    promisify(execFile)(program("TIDEGATE_BIN", "tidegate"), ["diff", ...words]);
  const same = await diff("--policy", repository, "--against", repository);
  assert.match(same.stdout, /^No decision differs, by \d+ requests/);
  const other = await diff("--policy", hour, "--against", repository).catch((error) => error);
  assert.equal(other.code, 1);
  assert.match(other.stdout, /^plugins\n {2}edge {4}GET [^]*ttl +1d\n +→ 1h/);
  const broken = await diff("--policy", "gone.toml", "--against", repository).catch((e) => e);
  assert.equal(broken.code, 2);
});

async function health(edge) {
  return JSON.parse((await edge.fetch("/.tidegate/health")).text);
}

/** For how long an answer is stored at the edge. */
async function ttl(edge, target) {
  return hop(await edge.fetch(target), "tidegate-edge").ttl ?? DAY;
}

async function quota(edge) {
  const { headers } = await edge.fetch("/api/v1/custom");
  return Number(headers.get("x-ratelimit-limit"));
}

/** A file with the repository's policy, but for how long bundles are kept at the edge. */
async function policy(t, ttl) {
  const folder = await mkdtemp(path.join(tmpdir(), "tidegate-test-"));
  t.after(() => rm(folder, { recursive: true }));
  const text = await readFile(inRepository("tidegate.toml"), "utf8");
  const changed = text.replace('mode = "override", ttl = "1d"', `mode = "override", ${ttl}`);
  assert.notEqual(changed, text);
  const file = path.join(folder, "tidegate.toml");
  await writeFile(file, changed);
  return file;
}
