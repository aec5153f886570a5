// The whole path for a test: demo origin ← shim ← edge, all of them the real
// programs, gone when the test ends.
//
// Two ways to run the worker, since each shows what the other hides:
//   openGate      in the process of the test, ready in a second; hosts can be chosen freely
//   openDevGate   under `wrangler dev`, spoken to over a socket, so that every header is
//                 what a client would see
//
// Nothing here sleeps: readiness is read from the programs, and every wait is bounded.

import { startDemoOrigin } from "./harness/demo-origin.mjs";
import { startShim } from "./harness/shim.mjs";
import { startWorker } from "./harness/worker.mjs";
import { startWranglerDev } from "./harness/wrangler-dev.mjs";

export { cacheStatus, hop, untilHit } from "./harness/cache-status.mjs";

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
 * @param {import("node:test").TestContext} t
 * @returns {Promise<Gate>}
 */
export async function openDevGate(t) {
  return open(t, startWranglerDev);
}

async function open(t, startEdge) {
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
  const shim = await started(startShim(origin));
  const edge = await started(startEdge(shim.url));
  return { origin, shim, edge };
}
