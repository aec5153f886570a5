// `tidegate serve` as a process, before a demo origin.

import { start } from "./process.mjs";
import { inRepository, program } from "./repository.mjs";

/**
 * @param {import("./demo-origin.mjs").DemoOrigin} origin
 * @param {Record<string, string>} [env] what its policy takes from the environment besides
 */
export async function startShim(origin, env) {
  const { found, stop } = await start(
    program("TIDEGATE_BIN", "tidegate"),
    ["serve", "--policy", inRepository("tidegate.toml"), "--listen", "127.0.0.1:0"],
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
  return { url: found[0][1], stop };
}
