// Reading `Cache-Status` (RFC 9211) for assertions.

/**
 * The hops of an answer, the one nearest to the origin first: the name of each and its
 * parameters, those without a value as `true`.
 *
 * @param {{ headers: Headers }} answer
 */
export function cacheStatus(answer) {
  const field = answer.headers.get("cache-status") ?? "";
  return split(field, ",").map((member) => {
    const [name, ...parameters] = split(member, ";");
    return { name: value(name), ...Object.fromEntries(parameters.map(parameter)) };
  });
}

/** What the cache called `name` says of an answer; empty if it says nothing. */
export function hop(answer, name) {
  return cacheStatus(answer).find((member) => member.name === name) ?? {};
}

/**
 * Asks until the edge answers from its cache. A Worker puts an answer into the cache behind
 * the client's back, so the next request may still be ahead of it, on a busy machine for
 * long; asking is the only way to know.
 */
export async function untilHit(edge, target, ask) {
  const PATIENCE = 20_000;
  const begun = Date.now();
  let answer;
  do {
    answer = await edge.fetch(target, ask);
    if (hop(answer, "tidegate-edge").hit) return answer;
  } while (Date.now() - begun < PATIENCE);
  const said = answer.headers.get("cache-status");
  throw new Error(`${target} is not in the edge's cache after ${PATIENCE} ms; at last ${said}`);
}

function parameter(text) {
  const [, key, rest] = text.match(/^([^=]+)(?:=(.*))?$/);
  return [key, rest === undefined ? true : value(rest)];
}

function value(text) {
  if (text.startsWith('"')) return text.slice(1, -1).replace(/\\(.)/g, "$1");
  return /^-?\d+$/.test(text) ? Number(text) : text;
}

/** The trimmed parts between separators outside of quotes. */
function split(text, separator) {
  const part = new RegExp(`(?:"(?:\\\\.|[^"\\\\])*"|[^"${separator}])+`, "g");
  return (text.match(part) ?? []).map((piece) => piece.trim()).filter(Boolean);
}
