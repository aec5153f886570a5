// The worker's configuration for a test: what wrangler.toml says, with the built worker
// taken as it is and another origin.

import { access } from "node:fs/promises";
import path from "node:path";
import { experimental_readRawConfig as readRawConfig } from "wrangler";

import { inRepository } from "./repository.mjs";

/**
 * @param {string} origin the URL that the worker sends its misses to
 * @param {string} [folder] a build of the worker in place of the repository's
 * @param {Record<string, string>} [vars] further variables and secrets of the worker
 * @param {object} [bindings] what else it is bound to
 */
export async function workerConfig(origin, folder, vars, bindings) {
  const { rawConfig } = readRawConfig({ config: inRepository("wrangler.toml") });
  const { build, dev, routes, env, ...config } = rawConfig;
  const main = folder ? path.join(folder, path.basename(config.main)) : inRepository(config.main);
  await access(main).catch(() => {
    throw new Error(`${main} is missing: build the worker with \`${build.command}\``);
  });
  return { ...config, ...bindings, main, vars: { ...config.vars, ...vars, TIDEGATE_ORIGIN: origin } };
}
