// The built worker in workerd, driven by wrangler's own test harness.

import { createTestHarness } from "wrangler";

import { OFFLINE } from "./offline.mjs";
import { workerConfig } from "./worker-config.mjs";

/**
 * @param {string} origin the URL that the worker sends its misses to
 * @param {string} [folder] a build of the worker in place of the repository's
 * @param {Record<string, string>} [vars] further variables and secrets of the worker
 * @param {object} [bindings] what else it is bound to
 */
export async function startWorker(origin, folder, vars, bindings) {
  Object.assign(process.env, OFFLINE);
  const config = await workerConfig(origin, folder, vars, bindings);
  const server = createTestHarness({ workers: [{ config }] });
  await server.listen();

  async function fetch(target, { client = "192.0.2.1", headers, ...init } = {}) {
    const answer = await server.fetch(target, {
      redirect: "manual",
      ...init,
      headers: { ...headers, "CF-Connecting-IP": client },
    });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  }
  const said = () => server.getLogs().map(({ message }) => message).join("\n");
  const env = () => server.getWorker(config.name).getEnv();
  const scheduled = () => server.getWorker(config.name).scheduled();
  return { fetch, said, env, scheduled, stop: () => server.close() };
}
