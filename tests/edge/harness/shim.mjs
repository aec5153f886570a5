// `tidegate serve` as a process, before a demo origin.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { start } from "./process.mjs";
import { inRepository, program } from "./repository.mjs";

/**
 * @param {import("./demo-origin.mjs").DemoOrigin} origin
 * @param {Record<string, string>} [env] what its policy takes from the environment besides
 * @param {(policy: string) => string} [change] makes its policy of the repository's
 */
export async function startShim(origin, env, change = (policy) => policy) {
  const folder = await mkdtemp(path.join(tmpdir(), "tidegate-shim-"));
  const removed = () => rm(folder, { recursive: true, force: true });
  const policy = path.join(folder, "tidegate.toml");
  await writeFile(policy, change(await readFile(inRepository("tidegate.toml"), "utf8")));
  const starting = start(
    program("TIDEGATE_BIN", "tidegate"),
    ["serve", "--policy", policy, "--listen", "127.0.0.1:0"],
    [/^tidegate: listening on (http:\S+)$/],
    {
      env: {
        BASE_SVC: origin.base,
        PLUGIN_SERVER: origin.plugins,
        TIDEGATE_ADMIN_LISTEN: "127.0.0.1:0",
        ...env,
      },
    },
  );
  const { found, stop } = await starting.catch((error) => removed().finally(() => Promise.reject(error)));
  return { url: found[0][1], stop: () => stop().then(removed) };
}
