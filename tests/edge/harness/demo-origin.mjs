// The demo origin as a process, on ports of its own.

import { start } from "./process.mjs";
import { program } from "./repository.mjs";

/**
 * @typedef {object} DemoOrigin
 * @property {string} plugins where the plugin server listens, as host:port
 * @property {string} base where the base service listens, as host:port
 * @property {(path: string) => Promise<number>} served how often a path was asked for
 * @property {() => Promise<void>} stop
 *
 * @returns {Promise<DemoOrigin>}
 */
export async function startDemoOrigin() {
  const { found, stop } = await start(
    program("DEMO_ORIGIN_BIN", "demo-origin"),
    ["--plugins", "127.0.0.1:0", "--base", "127.0.0.1:0"],
    [/plugin server listening on http:\/\/(\S+)/, /base service listening on http:\/\/(\S+)/],
  );
  const [plugins, base] = found.map((match) => match[1]);

  async function served(path) {
    const service = path.startsWith("/api/") ? base : plugins;
    const answer = await fetch(`http://${service}/__count`);
    const { paths } = await answer.json();
    return paths[path] ?? 0;
  }
  return { plugins, base, served, stop };
}
