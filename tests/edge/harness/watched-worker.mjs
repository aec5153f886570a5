// The built worker in workerd with the tests around it: see watched/worker.mjs.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

import { OFFLINE } from "./offline.mjs";
import { inRepository } from "./repository.mjs";
import { workerConfig } from "./worker-config.mjs";

// The one that wrangler brings along.
const wrangler = createRequire(inRepository("node_modules", "wrangler", "package.json"));

/**
 * @param {string} origin the URL that the worker sends its misses to
 * @param {object} [options]
 * @param {string} [options.folder] a build of the worker in place of the repository's
 * @param {string} [options.persist] a folder to keep the objects in when the worker is gone
 * @param {Record<string, { limit: number, period: number }>} [options.ratelimits] bindings
 * @param {Record<string, string>} [options.vars] further variables and secrets
 * @param {(request: Request) => Promise<Response>} [options.outbound] answers what it asks for
 * @param {string} [options.cached] the file of a cache before the second Worker, which it has bound
 *   as `BEHIND`
 */
export async function startWatchedWorker(origin, { folder, persist, ratelimits = {}, vars, outbound, cached } = {}) {
  Object.assign(process.env, OFFLINE);
  const { Miniflare, convertV4MiniflareOptions } = await import(wrangler.resolve("miniflare"));
  const config = await workerConfig(origin, folder, vars);
  const build = path.dirname(config.main);
  const watched = inRepository("tests", "edge", "harness", "watched", "worker.mjs");
  const module = async (type, file, name = path.basename(file)) => {
    return { type, path: name, contents: await readFile(file) };
  };
  const said = [];
  const options = {
    ...(persist && { resourcePersistencePath: persist }),
    handleStructuredLogs: ({ message }) => said.push(message),
    workers: [
      {
        name: config.name,
        modules: [
          await module("ESModule", watched, "watched.js"),
          await module("ESModule", config.main, "index.js"),
          await module("CompiledWasm", path.join(build, "index_bg.wasm")),
        ],
        compatibilityDate: config.compatibility_date,
        bindings: config.vars,
        kvNamespaces: ["TIDEGATE"],
        unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
        ...(outbound && { outboundService: outbound }),
        ...(cached && { serviceBindings: { CACHED: "cached" } }),
        durableObjects: { LIMITER: { className: "Limiter", useSQLite: true } },
        analyticsEngineDatasets: { ANALYTICS: { dataset: "tidegate" } },
        ratelimits: Object.fromEntries(
          Object.entries(ratelimits).map(([name, simple], at) => {
            return [name, { namespace_id: String(at + 1), simple }];
          }),
        ),
      },
      ...(cached ? await second() : []),
    ],
  };
  // Two Workers of one build, and a cache between them.
  async function second() {
    const { compatibility_date: compatibilityDate } = config;
    return [
      {
        name: "cached",
        modules: [{ type: "ESModule", path: "cached.js", contents: await readFile(cached) }],
        compatibilityDate,
        serviceBindings: { BEHIND: "second" },
      },
      {
        name: "second",
        modules: [
          await module("ESModule", config.main, "index.js"),
          await module("CompiledWasm", path.join(build, "index_bg.wasm")),
        ],
        compatibilityDate,
        bindings: { ...config.vars, TIDEGATE_ROLE: "cached" },
        ...(outbound && { outboundService: outbound }),
      },
    ];
  }
  const miniflare = new Miniflare(convertV4MiniflareOptions(options));
  await miniflare.ready;

  async function fetch(target, { client = "192.0.2.1", headers, ...init } = {}) {
    const answer = await miniflare.dispatchFetch(new URL(target, "http://edge.test"), {
      redirect: "manual",
      ...init,
      headers: { ...headers, "CF-Connecting-IP": client },
    });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  }

  /** Asks what is around the worker. */
  async function control(target, body) {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const answer = await miniflare.dispatchFetch(`http://control.test/${target}`, init);
    return answer.json();
  }
  /** Where it listens, with nothing before it. */
  const { href: url } = await miniflare.unsafeGetDirectURL(config.name);
  return { fetch, control, said, url, stop: () => miniflare.dispose() };
}
