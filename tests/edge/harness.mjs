// The whole path for a test: demo origin ← shim ← edge, all of them the real
// programs, gone when the test ends.
//
// Three ways to run the worker, since each shows what the others hide:
//   openGate      in the process of the test, ready in a second; hosts can be chosen freely
//   openDevGate   under `wrangler dev`, spoken to over a socket, so that every header is
//                 what a client would see
//   openWatchedGate  in bare workerd, with the test around it: what limits cost is counted,
//                 what they need is broken, and the clock is the test's
//
// Nothing here sleeps: readiness is read from the programs, and every wait is bounded.

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

import { OFFLINE } from "./harness/offline.mjs";
import { inRepository, program } from "./harness/repository.mjs";
import { startDemoOrigin } from "./harness/demo-origin.mjs";
import { startRawOrigin } from "./harness/raw-origin.mjs";
import { startRelay } from "./harness/relay.mjs";
import { startShim } from "./harness/shim.mjs";
import { startWorker } from "./harness/worker.mjs";
import { startWatchedWorker } from "./harness/watched-worker.mjs";
import { startWranglerDev } from "./harness/wrangler-dev.mjs";

export { cacheStatus, hop, untilHit } from "./harness/cache-status.mjs";

/** Asks until it is so. */
export async function until(isSo) {
  const PATIENCE = 20_000;
  const begun = Date.now();
  while (!(await isSo())) {
    if (Date.now() - begun > PATIENCE) throw new Error(`not so after ${PATIENCE} ms: ${isSo}`);
    // What is waited for may happen in this process.
    await new Promise(setImmediate);
  }
}

/**
 * @param {import("node:test").TestContext} t
 * @param {string} [folder] a build of the worker in place of the repository's
 * @returns {Promise<Gate>}
 *
 * @typedef {object} Gate
 * @property {import("./harness/demo-origin.mjs").DemoOrigin} origin counts what it is asked
 * @property {{ url: string }} shim where the edge sends its misses
 * @property {{ fetch: (target: string, init?: Ask) => Promise<Answer> }} edge
 *
 * @typedef {{ method?: string, headers?: Record<string, string>, body?: string, client?: string }}
 *   Ask `client` is the IP address that the request seems to come from
 * @typedef {{ status: number, headers: Headers, text: string }} Answer
 */
export async function openGate(t, folder, vars) {
  return open(t, (origin) => startWorker(origin, folder, vars));
}

/**
 * A gate that is operated through KV, which is asked at each request.
 *
 * @param {import("node:test").TestContext} t
 * @param {{ folder?: string, vars?: Record<string, string>, bindings?: object, more?: object }}
 *   [worker] `more` are bindings besides KV
 */
export async function openOperatedGate(t, { folder, vars, bindings = KV, more } = {}) {
  const all = { TIDEGATE_OVERRIDES_EVERY: "0", ...vars };
  const start = (origin) => startWorker(origin, folder, all, { ...bindings, ...more });
  const gate = await open(t, start, AMPLE);
  const { TIDEGATE } = await gate.edge.env();
  const operate = {
    put: (document) => TIDEGATE.put("overrides", JSON.stringify(document)),
    delete: () => TIDEGATE.delete("overrides"),
    kv: TIDEGATE,
  };
  return { ...gate, operate };
}

/**
 * A gate whose shim tells the edge what is invalidated: by a relay, since either has to know the
 * other's port when it starts. The relay fails at first, as often as `failures` says.
 *
 * @param {import("node:test").TestContext} t
 * @param {string} folder the build of the worker, whose policy stands beside it
 * @param {string} token
 */
export async function openPurgedGate(t, folder, token, failures = 0) {
  const relay = await startRelay(failures);
  t.after(() => relay.stop());
  const secrets = { EDGE_TOKEN: token, JWT_SECRET: token.repeat(2), EDGE_KEY, OLD_EDGE_KEY };
  const shimEnv = { ...AMPLE, ...secrets, TIDEGATE_EDGE_URL: relay.url };
  const policy = await readFile(path.join(folder, "..", "tidegate.toml"), "utf8");
  const vars = { ...secrets, TIDEGATE_OVERRIDES_EVERY: "0" };
  const gate = await open(t, (origin) => startWorker(origin, folder, vars, KV), shimEnv, () => policy);
  relay.leadTo(gate.edge);
  return { ...gate, relay };
}

/** The shim lets through what the edge does. */
const AMPLE = { API_RATE_LIMIT: "10000" };

const KV = { kv_namespaces: [{ binding: "TIDEGATE", id: "operated" }] };

/**
 * @param {import("node:test").TestContext} t
 * @param {{ folder?: string, vars?: Record<string, string> }} [worker]
 * @returns {Promise<Gate>}
 */
export async function openDevGate(t, { folder, vars } = {}) {
  return open(t, (origin) => startWranglerDev(origin, vars, undefined, folder));
}

/**
 * In place of the edge a Worker that caches as the first example of a tutorial does.
 *
 * @param {import("node:test").TestContext} t
 * @returns {Promise<Gate>}
 */
export async function openCarelessGate(t) {
  const folder = inRepository("tests/edge/harness/careless-worker");
  const unbound = { durable_objects: undefined, migrations: undefined };
  return open(t, (origin) => startWranglerDev(origin, undefined, unbound, folder), AMPLE);
}

/**
 * A gate under `wrangler dev` that is operated by the command `tidegate`: `tidegate(...words)`
 * resolves to what that says.
 *
 * @param {import("node:test").TestContext} t
 */
export async function openOperatedDevGate(t) {
  const vars = { TIDEGATE_OVERRIDES_EVERY: "0" };
  const gate = await open(t, (origin) => startWranglerDev(origin, vars, KV), AMPLE);
  const env = { ...process.env, ...OFFLINE, TIDEGATE_WRANGLER: gate.edge.wrangler };
  const options = { env, cwd: inRepository() };
  const run = promisify(execFile);
  const operate = ["--edge", "--local"];
  const tidegate = async (...words) =>
    (await run(program("TIDEGATE_BIN", "tidegate"), [...words, ...operate], options)).stdout;
  return { ...gate, tidegate };
}

/**
 * @param {import("node:test").TestContext} t
 * @param {Parameters<typeof startWatchedWorker>[1]} [options]
 * @returns {Promise<Gate>}
 */
export async function openWatchedGate(t, options) {
  return open(t, (origin) => startWatchedWorker(origin, options));
}

/**
 * A watched worker before an origin of bare sockets.
 *
 * @param {import("node:test").TestContext} t
 * @param {Parameters<typeof startRawOrigin>[1]} answer
 * @param {Record<string, string>} [vars]
 */
export async function openRawGate(t, answer, vars) {
  const folder = process.env.CHANGED_WORKER;
  if (!folder) throw new Error("CHANGED_WORKER names no build: `cargo xtask test` makes it");
  const origin = await startRawOrigin(t, answer);
  const edge = await startWatchedWorker(origin.url, { folder, vars: { ...SECRETS, ...vars } });
  t.after(() => edge.stop());
  return { origin, edge };
}

/**
 * A watched worker before a shim that answers the edge alone.
 *
 * @param {import("node:test").TestContext} t
 * @param {{ keys?: string, vars?: Record<string, string> }} [options] the keys that the shim
 *   knows, and what the edge has in place of its secrets
 */
export async function openSignedGate(t, { keys = KEYS, vars = SECRETS } = {}) {
  const folder = process.env.CHANGED_WORKER;
  if (!folder) throw new Error("CHANGED_WORKER names no build: `cargo xtask test` makes it");
  const change = (policy) =>
    policy.replace("\n[shim]\n", "\n[shim]\nrequire_edge_signature = true\n") +
    `\n[edge.signature]\nkeys = [${keys}]\n`;
  const start = (origin) => startWatchedWorker(origin, { folder, vars });
  return open(t, start, { ...AMPLE, EDGE_KEY, OLD_EDGE_KEY }, change);
}

export const EDGE_KEY = "a secret of the edge, made for tests";
const OLD_EDGE_KEY = "another secret of the edge, for tests";
const SECRETS = { EDGE_KEY };
const KEYS = `{ id = "2026-11", secret = "\${EDGE_KEY}" }`;

async function open(t, startEdge, shimEnv, change) {
  const closing = [];
  // In reverse, so that nobody talks to somebody who is gone.
  t.after(async () => {
    for (const part of closing.reverse()) await part.stop();
  });
  const started = async (starting) => {
    const part = await starting;
    closing.push(part);
    return part;
  };
  const origin = await started(startDemoOrigin());
  const shim = await started(startShim(origin, shimEnv, change));
  const edge = await started(startEdge(shim.url));
  return { origin, shim, edge };
}
