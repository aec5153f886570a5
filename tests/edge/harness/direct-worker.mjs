// A built worker in bare workerd, with nothing before it: requests arrive as they were sent,
// and a witness tells the origin when all that was to do for one is done.
//
//   node direct-worker.mjs BUILD ORIGIN ENDED
//
// serves the build in this folder on a port of its own, before this origin, until interrupted;
// the origin is asked for the host ENDED at the end of each request.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

import { OFFLINE } from "./offline.mjs";
import { inRepository } from "./repository.mjs";
import { workerConfig } from "./worker-config.mjs";

// The one that wrangler brings along.
const wrangler = createRequire(inRepository("node_modules", "wrangler", "package.json"));
const { Miniflare, convertV4MiniflareOptions } = await import(wrangler.resolve("miniflare"));

/** Told by the runtime when a request and all that was begun for it has ended. */
const WITNESS = `export default {
  async tail(ends, { ORIGIN, ENDED }) {
    const requests = ends.filter(({ event, entrypoint }) => event?.request && !entrypoint);
    for (const _ of requests) await fetch(ORIGIN, { headers: { "X-Forwarded-Host": ENDED } });
  },
};`;

const [folder, origin, ended] = process.argv.slice(2);
Object.assign(process.env, OFFLINE);
const config = await workerConfig(origin, folder);
const miniflare = new Miniflare(convertV4MiniflareOptions({ workers: [await worker(), witness()] }));
process.once("SIGINT", () => miniflare.dispose());
await miniflare.ready;
console.log(`worker listening on ${await miniflare.unsafeGetDirectURL(config.name)}`);

async function worker() {
  const build = path.dirname(config.main);
  const module = async (type, name) => {
    return { type, path: name, contents: await readFile(path.join(build, name)) };
  };
  return {
    name: config.name,
    modules: [
      await module("ESModule", path.basename(config.main)),
      await module("CompiledWasm", "index_bg.wasm"),
    ],
    compatibilityDate: config.compatibility_date,
    bindings: config.vars,
    durableObjects: Object.fromEntries(
      config.durable_objects.bindings.map(({ name, class_name }) => [
        name,
        { className: class_name, useSQLite: true },
      ]),
    ),
    tails: ["witness"],
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  };
}

function witness() {
  const { compatibility_date: compatibilityDate } = config;
  const bindings = { ORIGIN: origin, ENDED: ended };
  return { name: "witness", modules: true, script: WITNESS, compatibilityDate, bindings };
}
