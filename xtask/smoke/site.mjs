// The Worker as a client on the network meets it: over sockets and not with `fetch`, which takes
// codings off and adds fields of its own. Few requests, each of them bounded, and no more once a
// limit says so.

import http from "node:http";
import https from "node:https";
import { promisify } from "node:util";
import { brotliDecompress, gunzip } from "node:zlib";

import { cacheStatus } from "../../tests/edge/harness/cache-status.mjs";

/** What a run may cost. */
export const REQUESTS = 60;
const MILLISECONDS = 180_000;
/** What one request may take, and its body. */
const PATIENCE = 10_000;
const BODY = 8 * 1024 * 1024;

const EDGE = "tidegate-edge";

/** There is no whole answer. */
export class Unanswered extends Error {}

/** Nobody is asked any more. */
export class Stopped extends Error {}

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {Headers} headers
 * @property {Buffer} body as it came, with its coding
 * @property {number} at when the head was there, in milliseconds of a clock that never goes back
 * @property {number} ms how long that took
 * @property {{ name?: string, [parameter: string]: string | number | boolean }[]} hops of Cache-Status
 * @property {{ hit?: boolean, ttl?: number, fwd?: string, detail?: string }} edge the edge's hop
 */

export class Site {
  #agent;
  #base;
  #stopped;
  #until = performance.now() + MILLISECONDS;

  /** How many requests were sent. */
  requests = 0;
  /** The data centres that answered. */
  places = new Set();

  /** @param {URL} base of which only scheme, host and port count */
  constructor(base) {
    this.#base = base;
    const { Agent } = this.#transport();
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 });
  }

  get host() {
    return this.#base.host;
  }

  /** Whether this machine itself is asked, as `wrangler dev` is. */
  get isHere() {
    return isLoopback(this.#base);
  }

  /**
   * @param {string} target path and query
   * @param {{ method?: string, headers?: Record<string, string> }} [request]
   * @returns {Promise<Answer>}
   */
  async ask(target, request = {}) {
    if (this.requests >= REQUESTS) this.#stopped ??= `${REQUESTS} requests were sent`;
    if (performance.now() > this.#until) this.#stopped ??= `${MILLISECONDS / 1000} s are over`;
    if (this.#stopped) throw new Stopped(this.#stopped);
    const answer = await this.#exchange(target, request);
    const place = placeOf(answer);
    if (place) this.places.add(place);
    if (answer.status === 429) {
      const wait = answer.headers.get("retry-after");
      const when = wait === null ? "later" : `after ${wait} s`;
      this.#stopped = `a limit refused request ${this.requests} (429): ask again ${when}`;
      throw new Stopped(this.#stopped);
    }
    return answer;
  }

  /** Waits, but never beyond the end of the run. */
  async wait(milliseconds) {
    const left = Math.max(this.#until - performance.now(), 0);
    await new Promise((resolve) => setTimeout(resolve, Math.min(milliseconds, left)));
  }

  close() {
    this.#agent.destroy();
  }

  #transport() {
    return this.#base.protocol === "https:" ? https : http;
  }

  async #exchange(target, { method = "GET", headers = {} }, isSecond = false) {
    this.requests += 1;
    const url = new URL(target, this.#base);
    const begun = performance.now();
    const signal = AbortSignal.timeout(PATIENCE);
    const agent = this.#agent;
    const fields = { "User-Agent": "tidegate-smoke", ...headers };
    const asked = this.#transport().request(url, { method, headers: fields, agent, signal });
    try {
      const answer = await new Promise((resolve, reject) => {
        asked.once("response", resolve).once("error", reject);
        asked.end();
      });
      const at = performance.now();
      return read(answer, await whole(answer), at, at - begun);
    } catch (error) {
      // A connection that is kept may close just when it is used again.
      if (error.code === "ECONNRESET" && asked.reusedSocket && !isSecond) {
        return this.#exchange(target, { method, headers }, true);
      }
      asked.destroy();
      throw new Unanswered(`${method} ${url.pathname}: ${why(error)}`);
    }
  }
}

/** Whether a URL leads to this machine. */
export const isLoopback = ({ hostname }) =>
  hostname === "localhost" || hostname === "[::1]" || /^127\./.test(hostname);

/** The three letters of the data centre that answered, out of CF-Ray. */
export const placeOf = ({ headers }) => /-([A-Z]{3})$/.exec(headers.get("cf-ray") ?? "")?.[1];

const DECODERS = { gzip: promisify(gunzip), br: promisify(brotliDecompress) };

/** An answer's body without its coding; throws where it is not what Content-Encoding says. */
export async function decoded({ headers, body }) {
  const coding = headers.get("content-encoding") ?? "identity";
  if (coding === "identity") return body;
  const decode = DECODERS[coding];
  if (!decode) throw new Error(`the coding \`${coding}\` was not asked for`);
  return decode(body, { maxOutputLength: BODY });
}

/** What Cache-Status says of the edge, for people. */
export function told({ status, edge }) {
  const { name, ...parameters } = edge;
  if (!name) return `a ${status} without a word of the edge in Cache-Status`;
  const parameter = ([key, value]) => (value === true ? key : `${key}=${value}`);
  return Object.entries(parameters).map(parameter).join("; ") || `a ${status} of the edge itself`;
}

async function whole(answer) {
  const pieces = [];
  let size = 0;
  for await (const piece of answer) {
    size += piece.length;
    if (size > BODY) throw new Error(`its body is longer than ${BODY >> 20} MiB`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function read({ statusCode: status, rawHeaders }, body, at, ms) {
  const headers = new Headers();
  for (let line = 0; line < rawHeaders.length; line += 2) {
    headers.append(rawHeaders[line], rawHeaders[line + 1]);
  }
  const hops = hopsOf(headers);
  return { status, headers, body, at, ms, hops, edge: hops.findLast(isEdge) ?? {} };
}

const isEdge = ({ name }) => name === EDGE;

/** A field that cannot be read tells nothing. */
function hopsOf(headers) {
  try {
    return cacheStatus({ headers });
  } catch {
    return [];
  }
}

function why(error) {
  if (error.name === "AbortError" || error.name === "TimeoutError") {
    return `no answer within ${PATIENCE / 1000} s`;
  }
  return error.errors?.[0]?.message ?? error.message;
}
