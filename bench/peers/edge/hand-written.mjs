// What somebody writes who needs just this: a Worker with the behaviour that the bench's policy
// gives Tidegate, and nothing for any other policy.

const LIMITS = {
  standard: { quota: 1_000_000_000, window: 3_600_000 },
  tight: { quota: 1, window: 3_600_000 },
};
const ROUTES = [
  { prefix: "/stored/", limit: "standard", ttl: 86_400, browser: "public, max-age=300" },
  { prefix: "/passed/", limit: "standard" },
  { prefix: "/limited/", limit: "tight" },
];
const CLIENTS_MAX = 10_000;
const STORED_AT = "x-stored-at";
const KEPT = "x-kept-cache-control";

const clients = new Map();

export default {
  async fetch(request, { ORIGIN }, context) {
    const url = new URL(request.url);
    const route = ROUTES.find(({ prefix }) => url.pathname.startsWith(prefix));
    if (route === undefined) return new Response(null, { status: 404 });
    const verdict = admit(route.limit, request.headers.get("cf-connecting-ip"));
    if (!verdict.allowed) return refuse(verdict);
    if (route.ttl === undefined || request.method !== "GET" || request.headers.has("authorization")) {
      const answer = await ask(request, url, ORIGIN);
      return finish(answer, route, verdict, "tidegate-edge; fwd=bypass");
    }
    url.searchParams.sort();
    const key = `https://${url.host}/cache${url.pathname}${url.search}`;
    const found = await caches.default.match(key);
    if (found !== undefined) {
      const age = Math.max(0, Math.floor((Date.now() - Number(found.headers.get(STORED_AT))) / 1000));
      if (age < route.ttl) {
        const tag = found.headers.get("etag");
        if (tag !== null && request.headers.get("if-none-match") === tag) {
          await found.body?.cancel();
          const unchanged = new Response(null, { status: 304, headers: found.headers });
          return finish(restored(unchanged, age), route, verdict, hit(route, age));
        }
        return finish(restored(new Response(found.body, found), age), route, verdict, hit(route, age));
      }
    }
    const answer = await ask(request, url, ORIGIN);
    const stored = isKept(answer);
    if (stored) context.waitUntil(caches.default.put(key, kept(answer, route)));
    const status = `tidegate-edge; fwd=uri-miss; fwd-status=${answer.status}${stored ? "; stored" : ""}`;
    return finish(answer, route, verdict, status);
  },
};

const hit = (route, age) => `tidegate-edge; hit; ttl=${route.ttl - age}`;

/** A fixed window for each client. */
function admit(name, client) {
  const { quota, window } = LIMITS[name];
  const now = Date.now();
  const id = `${name}/${client}`;
  let state = clients.get(id);
  if (state === undefined || state.end <= now) {
    if (clients.size >= CLIENTS_MAX) clients.clear();
    state = { count: 0, end: now + window };
    clients.set(id, state);
  }
  state.count += 1;
  const reset = Math.ceil((state.end - now) / 1000);
  const remaining = Math.max(0, quota - state.count);
  return { allowed: state.count <= quota, name, quota, window: window / 1000, remaining, reset };
}

function refuse(verdict) {
  const body = {
    type: "about:blank",
    title: "Too Many Requests",
    status: 429,
    detail: `Come back in ${verdict.reset} s.`,
    error: "Too Many Requests",
    retryAfter: verdict.reset,
  };
  const answer = new Response(JSON.stringify(body), {
    status: 429,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      "retry-after": String(verdict.reset),
    },
  });
  limited(answer.headers, verdict);
  return answer;
}

function ask(request, url, origin) {
  const outgoing = new Request(origin + url.pathname + url.search, request);
  const client = request.headers.get("cf-connecting-ip");
  outgoing.headers.set("x-forwarded-for", client);
  outgoing.headers.set("x-real-ip", client);
  outgoing.headers.set("x-forwarded-host", url.host);
  outgoing.headers.set("x-forwarded-proto", url.protocol.slice(0, -1));
  outgoing.headers.delete("forwarded");
  return fetch(outgoing, { redirect: "manual" });
}

function isKept({ status, headers }) {
  const control = headers.get("cache-control") ?? "";
  return status === 200 && !headers.has("set-cookie") && !/no-store|private/i.test(control);
}

function kept(answer, route) {
  const copy = new Response(answer.clone().body, answer);
  copy.headers.set(STORED_AT, String(Date.now()));
  const control = copy.headers.get("cache-control");
  if (control !== null) copy.headers.set(KEPT, control);
  copy.headers.set("cache-control", `max-age=${route.ttl}`);
  return copy;
}

function restored(answer, age) {
  answer.headers.set("age", String(age));
  answer.headers.delete(STORED_AT);
  answer.headers.delete(KEPT);
  return answer;
}

function finish(answer, route, verdict, status) {
  const copy = new Response(answer.body, answer);
  if (route.browser !== undefined) copy.headers.set("cache-control", route.browser);
  copy.headers.append("cache-status", status);
  copy.headers.set("x-cache", status.includes("; hit") ? "HIT" : "MISS");
  limited(copy.headers, verdict);
  return copy;
}

function limited(headers, { name, quota, window, remaining, reset }) {
  headers.set("ratelimit-policy", `"${name}";q=${quota};w=${window}`);
  headers.set("ratelimit", `"${name}";r=${remaining};t=${reset}`);
}
