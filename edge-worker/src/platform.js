// What Rust asks of the platform with one call each. A crossing between wasm and
// JavaScript costs more than the work on either side, so heads cross as one string
// and header changes come back as one string.
//
// The framing is unambiguous: neither a method, a serialised URL, a field name nor a
// field value can hold a line feed (Fetch §2.2), and no field name holds a colon.

/** Requests that were sent on. */
const sent = new WeakSet();
const SAFE = ["GET", "HEAD", "OPTIONS", "TRACE"];

/** Whether `request` can be sent on: not twice, unless it has no body and changes nothing. */
export function mayBeSent(request) {
  return !request.bodyUsed && (!sent.has(request) || SAFE.includes(request.method));
}

/** `METHOD\nURL` and then `\nname:value` for every field. */
export function requestHead(request) {
  return request.method + "\n" + request.url + lines(request.headers);
}

/** What an error says. */
export const why = (error) => String(error?.message ?? error);

/** One field of `response`; `undefined` where it is not there. */
export const field = (response, name) => response.headers.get(name) ?? undefined;

/** `STATUS` and then `\nname:value` for every field; each Set-Cookie is its own line. */
export function responseHead(response) {
  return response.status + lines(response.headers);
}

function lines(headers) {
  let text = "";
  for (const [name, value] of headers) text += "\n" + name + ":" + value;
  return text;
}

/**
 * A copy of `response` with other header fields, and with `body` for its body.
 * Copying is not optional: what comes from `fetch` or from the cache is immutable.
 * Status, WebSocket and content coding are those of `response`.
 */
export function respondLike(response, body, edits) {
  const copy = new Response(body, response);
  edit(copy.headers, edits);
  return copy;
}

/** An answer with a head of our own making, and a text, a stream or nothing for its body. */
export function respond(status, body, edits) {
  const answer = new Response(body ?? null, { status });
  edit(answer.headers, edits);
  return answer;
}

/** A head that many answers begin with. */
export function prepared(edits) {
  const headers = new Headers();
  edit(headers, edits);
  return headers;
}

/** An answer with a copy of `headers`, edited. */
export function respondCopied(status, body, headers, edits) {
  const answer = new Response(body ?? null, { status, headers });
  edit(answer.headers, edits);
  return answer;
}

/** A stored answer with its body, and its status, which the cache does not keep. */
export function respondFrom(stored, status, edits) {
  const head = status === stored.status ? stored : { status, headers: stored.headers };
  const answer = new Response(stored.body, head);
  edit(answer.headers, edits);
  return answer;
}

/** Settled after `millis`. */
export const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** The body of `response` as bytes; `undefined` where it is longer than `limit`. */
export async function readWhole(response, limit) {
  const chunks = [];
  let length = 0;
  // Who leaves the loop lets go of the rest.
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength;
    if (length > limit) return undefined;
    chunks.push(chunk);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

/** `request` as it is to go to `url`: its method and its unread body, other fields. */
export function forward(request, url, edits) {
  sent.add(request);
  const outgoing = new Request(url, request);
  edit(outgoing.headers, edits);
  return outgoing;
}

/**
 * The answer to `request`, whose head must come within `millis`: else it is the word `late` that
 * is thrown. A body that has begun may take as long as it does; redirects are the client's. `zone`
 * says to the zone's own cache that it is to keep the answer, `=` and tags, or to stay out of it, `!`.
 */
export async function ask(request, millis, zone) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), millis);
  try {
    const { signal } = controller;
    return await fetch(request, { redirect: "manual", signal, ...cached(zone) });
  } catch (error) {
    throw controller.signal.aborted ? "late" : error;
  } finally {
    clearTimeout(timer);
  }
}

/** What the second Worker says, or Workers Cache before it: to a GET of `url`, by other fields. */
export async function askCached({ CACHED }, request, url, edits) {
  if (CACHED === undefined) return undefined;
  const { headers } = request;
  const asking = new Request(url, { headers });
  edit(asking.headers, edits);
  return CACHED.fetch(asking, { redirect: "manual" });
}

/** Whether this is the second Worker, behind Workers Cache. */
export const isCached = ({ TIDEGATE_ROLE }) => TIDEGATE_ROLE === "cached";

// By hand: what a library leaves unset must not be there, or Cloudflare takes it at its word.
function cached(zone) {
  if (zone === "") return {};
  if (zone === "!") return { cache: "no-store" };
  const cacheTags = zone.slice(1).split(",").filter(Boolean);
  return { cf: { cacheEverything: true, ...(cacheTags.length > 0 && { cacheTags }) } };
}

/**
 * A body of pieces of `body`: for each `[text, first, end]`, which stand in the order of the
 * bytes, the text and then these bytes; and `tail` behind the last.
 */
export function cut(body, pieces, tail) {
  const encoder = new TextEncoder();
  const wanted = JSON.parse(pieces);
  let at = 0;
  const cutter = new TransformStream({
    transform(chunk, controller) {
      const begin = at;
      at += chunk.byteLength;
      while (wanted.length > 0) {
        const [text, first, end] = wanted[0];
        if (first >= at) return;
        if (first >= begin && text !== "") controller.enqueue(encoder.encode(text));
        controller.enqueue(chunk.subarray(Math.max(first - begin, 0), end - begin));
        if (end > at) return;
        wanted.shift();
      }
      if (tail !== "") controller.enqueue(encoder.encode(tail));
      controller.terminate();
    },
    flush() {
      throw new RangeError("the stored body is cut off");
    },
  });
  return body.pipeThrough(cutter);
}

/** A body of two: `rest` behind `begin`. */
export function joined(begin, rest) {
  const { readable, writable } = new TransformStream();
  begin
    .pipeTo(writable, { preventClose: true })
    .then(() => rest.pipeTo(writable))
    // That either breaks is told to whoever reads: the pipe passes it on.
    .catch(() => rest.cancel().catch(() => {}));
  return readable;
}

function edit(headers, edits) {
  if (edits === "") return;
  for (const line of edits.split("\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(1, colon);
    const value = line.slice(colon + 1);
    if (line[0] === "=") headers.set(name, value);
    else if (line[0] === "+") headers.append(name, value);
    else headers.delete(name);
  }
}

/**
 * Puts `response` into `cache` if its body arrives whole and within `limit` bytes,
 * streaming; resolves to whether it did.
 *
 * `Cache.put` resolves all the same when the origin hangs up halfway, and a local
 * simulator then keeps the half (the platform drops it). So the end of the body is
 * watched here, and an entry that turns out broken is taken out again: only ours, told
 * by the value of its `mark` field, never a good one that another request has put.
 */
export async function putWhole(cache, url, response, limit, mark) {
  let whole = response.body === null;
  let size = 0;
  const counter = new TransformStream({
    transform(chunk, controller) {
      size += chunk.byteLength;
      if (size > limit) controller.error(new RangeError("too large to store"));
      else controller.enqueue(chunk);
    },
    flush() {
      whole = true;
    },
  });
  // That a body breaks is told by `whole`; nobody waits for the pipe itself.
  response.body?.pipeTo(counter.writable).catch(() => {});
  const body = response.body && counter.readable;
  try {
    await cache.put(url, new Response(body, response));
  } finally {
    if (!whole) await takeOut(cache, url, mark, response.headers.get(mark));
  }
  return whole;
}

async function takeOut(cache, url, mark, value) {
  const present = await cache.match(url);
  if (present === undefined) return;
  await present.body?.cancel();
  if (present.headers.get(mark) === value) await cache.delete(url);
}

// By the names of RFC 7518 §3.1.
const ALGORITHMS = {
  HS256: { name: "HMAC", hash: "SHA-256" },
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
};

/** A key to verify with: `material` is a public JWK, or for HS256 the secret itself. */
export async function importKey(algorithm, material) {
  const [format, data] =
    algorithm === "HS256"
      ? ["raw", new TextEncoder().encode(material)]
      : ["jwk", JSON.parse(material)];
  return crypto.subtle.importKey(format, data, ALGORITHMS[algorithm], false, ["verify"]);
}

/** Whether `signature` is that of `key` over `input`: copies, since wasm's memory may move. */
export async function verify(algorithm, key, signature, input) {
  const [copy, signed] = [signature.slice(), input.slice()];
  return crypto.subtle.verify(ALGORITHMS[algorithm], key, copy, signed);
}

/** The body of a 200 that comes whole within `limit` bytes and `millis`. */
export async function fetchText(url, limit, millis) {
  const answer = await fetch(url, {
    headers: { Accept: "application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(millis),
  });
  if (answer.status !== 200) {
    await answer.body?.cancel();
    throw new Error(`status ${answer.status}`);
  }
  return bodyText(answer, limit);
}

/** Whether the Worker is bound to a dataset of Analytics Engine. */
export const hasDataset = ({ ANALYTICS }) => ANALYTICS !== undefined;

/** A line of JSON about a request and its answer; a query may hold what is nobody's business. */
export function logRequest(request, route, outcome, reason, status, ms) {
  const { pathname: path } = new URL(request.url);
  const { method } = request;
  const line = { log: "request", route, method, path, status, outcome, reason, ms };
  console.log(JSON.stringify(line));
}

/**
 * A point of the dataset: by route; `blob1` to `blob4` are outcome, reason, method and place of
 * Cloudflare, `double1` is milliseconds and `double2` the status. What fails is nobody's loss.
 */
export function writePoint({ ANALYTICS }, request, route, outcome, reason, status, ms) {
  const blobs = [outcome, reason, request.method, request.cf?.colo ?? ""];
  try {
    ANALYTICS.writeDataPoint({ indexes: [route], blobs, doubles: [ms, status] });
  } catch (error) {
    console.warn(`tidegate: Analytics Engine takes no point, ${error}`);
  }
}

/** So many seconds after each other KV is asked: as the variable says, else half a minute. */
export function overridesEvery({ TIDEGATE_OVERRIDES_EVERY: seconds = "30" }) {
  if (/^\d{1,5}$/.test(seconds)) return Number(seconds);
  console.warn(`tidegate: TIDEGATE_OVERRIDES_EVERY is ${seconds}, which is no number of seconds`);
  return 30;
}

const IN_KV = ["overrides", "policy", "purges"];

/**
 * What is said at run time: the texts in KV, `null` where there is none; `undefined` without KV.
 * Half a minute is the shortest that a place of Cloudflare keeps what it has read.
 */
export async function readKv({ TIDEGATE: kv }, millis) {
  if (kv === undefined) return undefined;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${millis} ms`)), millis);
  });
  try {
    const texts = await Promise.race([kv.get(IN_KV, { cacheTtl: 30 }), late]);
    // The core refuses what is longer than 1 MiB; nobody needs all of it for that.
    return IN_KV.map((key) => texts.get(key)?.slice(0, 1_048_577) ?? null);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the Worker is bound to KV. */
export const hasKv = ({ TIDEGATE: kv }) => kv !== undefined;

/** Writes a text to KV. */
export async function putKv({ TIDEGATE: kv }, key, text) {
  await kv.put(key, text);
}

/** The body of a request or an answer, if it comes whole within `limit` bytes; else nothing. */
export async function bodyText({ body }, limit) {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > limit) throw new RangeError("too long");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** What the object `name` knew, within `millis`: see `answered`. */
export function askObject(env, binding, name, url, body, millis) {
  return answered(millis, async (signal) => {
    const method = body === undefined ? "GET" : "POST";
    const answer = await env[binding].getByName(name).fetch(url, { method, body, signal });
    return answer.headers.get("tidegate-known") ?? "";
  });
}

/** Whether the rate limit binding lets `key` pass, `yes` or `no`, within `millis`. */
export function askRatelimit(env, binding, key, millis) {
  return answered(millis, async () => {
    const { success } = await env[binding].limit({ key });
    return success === true ? "yes" : success === false ? "no" : "";
  });
}

/**
 * `=` and what `ask` says; or `!` and why it says nothing: `late`, `overloaded`, or the
 * message of its error. Whatever happens, there is an answer after `millis`.
 */
async function answered(millis, ask) {
  const controller = new AbortController();
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve("!late"), millis);
  });
  const said = ask(controller.signal).then(
    (text) => "=" + text,
    (error) => "!" + (error?.overloaded === true ? "overloaded" : String(error?.message ?? error)),
  );
  const answer = await Promise.race([said, late]);
  clearTimeout(timer);
  if (answer === "!late") controller.abort();
  return answer;
}
