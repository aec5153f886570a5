// The built worker under `wrangler dev`, as a process of its own on a free port.

import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { createBrotliDecompress, createGunzip } from "node:zlib";

import { OFFLINE } from "./offline.mjs";
import { start } from "./process.mjs";
import { inRepository } from "./repository.mjs";
import { workerConfig } from "./worker-config.mjs";

/**
 * @param {string} origin the URL that the worker sends its misses to
 * @param {Record<string, string>} [vars] further variables and secrets of the worker
 * @param {object} [bindings] what else it is bound to
 * @param {string} [build] a built worker in place of the repository's
 */
export async function startWranglerDev(origin, vars, bindings, build) {
  const folder = await mkdtemp(path.join(tmpdir(), "tidegate-edge-"));
  const removed = () => rm(folder, { recursive: true, force: true });
  try {
    const config = path.join(folder, "wrangler.json");
    await writeFile(config, JSON.stringify(await workerConfig(origin, build, vars, bindings)));
    const { found, stop } = await start(process.execPath, args(config, folder), [READY], {
      cwd: folder,
      env: OFFLINE,
    });
    const server = new URL(found[0][1]);
    return {
      url: server.origin,
      fetch: (target, ask) => exchange(server, target, ask),
      /** How wrangler is called for what this one keeps. */
      wrangler: [process.execPath, WRANGLER, "--config", config, "--persist-to", folder].join(" "),
      stop: () => stop().then(removed),
    };
  } catch (error) {
    await removed();
    throw error;
  }
}

const READY = /Ready on (http:\S+)/;

const WRANGLER = inRepository("node_modules", "wrangler", "bin", "wrangler.js");

const args = (config, folder) => [
  WRANGLER,
  ...["dev", "--config", config, "--persist-to", folder, "--ip", "127.0.0.1", "--port", "0"],
  ...["--inspector-port", "0", "--show-interactive-dev-session", "false"],
];

/** A client that names no coding may get any (RFC 9110 §12.5.3). */
const DECODERS = { gzip: createGunzip, br: createBrotliDecompress };

/** Over a socket and not with `fetch`, which adds headers of its own and hides the body's. */
async function exchange(server, target, { client = "192.0.2.1", headers, body, ...init } = {}) {
  const asked = http.request(new URL(target, server), {
    ...init,
    headers: { ...headers, "CF-Connecting-IP": client },
    signal: AbortSignal.timeout(20_000),
  });
  asked.end(body);
  const [answer] = await once(asked, "response");
  const decoded = DECODERS[answer.headers["content-encoding"]];
  const pieces = await Array.fromAsync(decoded ? answer.pipe(decoded()) : answer);
  return {
    status: answer.statusCode,
    headers: headersOf(answer),
    text: Buffer.concat(pieces).toString(),
  };
}

function headersOf({ rawHeaders }) {
  const headers = new Headers();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at], rawHeaders[at + 1]);
  }
  return headers;
}
