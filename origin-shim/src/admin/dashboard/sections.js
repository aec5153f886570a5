// The tables: what there was lately beside what there is.

import { Table, say } from "./table.js";
import { named } from "./recent.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);
const name = (title, fallback = "") => ({ title, text: true, of: (row) => row.name || fallback });
const NO_ROUTE = "(no\u00a0route)";

const routes = new Table($("routes"), {
  caption: "By route, lately; the shares are of its requests",
  empty: "No request has come yet.",
  columns: [
    name("Route", NO_ROUTE),
    { title: "req/s", of: ({ lately }) => words.rate(lately.rate("count")) },
    {
      title: "Hits",
      of: ({ lately }) => words.share(lately.share("hits", "count")),
      part: ({ lately }) => lately.share("hits", "count"),
    },
    { title: "5xx", of: ({ lately }) => words.share(lately.share("failed", "count")) },
    { title: "p50", of: ({ lately }) => words.took(lately.quantile(0.5)) },
    { title: "p95", of: ({ lately }) => words.took(lately.quantile(0.95)) },
    { title: "p99", of: ({ lately }) => words.took(lately.quantile(0.99)) },
    { title: "All requests", of: ({ count }) => words.count(count) },
    { title: "All hits", of: ({ hits, count }) => words.share(count > 0 ? hits / count : null) },
  ],
});

const MEANINGS = {
  HIT: "a stored answer served",
  STALE: "a stale one served",
  REVALIDATED: "the origin said it is still good",
  MISS: "the origin answered",
  BYPASS: "passed on, as the policy says",
  PREFLIGHT: "a browser asked whether it may ask (CORS)",
  NONE: "answered by Tidegate itself, as with 429",
};

const outcomes = new Table($("outcomes"), {
  caption: "By outcome",
  empty: "No request has come yet.",
  columns: [
    name("Outcome"),
    { title: "Means", text: true, of: ({ name }) => MEANINGS[name] ?? "" },
    { title: "req/s", of: ({ lately }) => words.rate(lately.rate("count")) },
    { title: "Since the start", of: ({ count }) => words.count(count), part: ({ part }) => part },
  ],
});

/** Reasons that are shown. */
const REASONS_MAX = 8;

const reasons = new Table($("reasons"), {
  caption: "Why no stored answer just served, since the start",
  empty: "Every answer was a hit so far.",
  columns: [
    { ...name("Reason"), mono: true },
    { title: "Mostly on", text: true, of: ({ route }) => route || NO_ROUTE },
    { title: "Requests", of: ({ count }) => words.count(count), part: ({ part }) => part },
  ],
});

const upstreams = new Table($("upstreams"), {
  caption: "Who is asked for what is not stored, lately",
  empty: "The policy names no upstream.",
  columns: [
    name("Upstream"),
    { title: "Servers up", of: ({ servers }) => (servers ? `${servers.up} of ${servers.all}` : "a folder") },
    { title: "Breaker", of: ({ breaker_open: open }) => (open === null ? "–" : open ? "open" : "closed") },
    { title: "req/s", of: ({ lately }) => words.rate(lately.rate("count")) },
    { title: "Errors/s", of: ({ lately }) => words.rate(lately.rate("failed")) },
    { title: "In flight", of: (row) => words.count(row.in_flight) },
    { title: "p50", of: ({ lately }) => words.took(lately.quantile(0.5)) },
    { title: "p95", of: ({ lately }) => words.took(lately.quantile(0.95)) },
  ],
});

const zones = new Table($("zones"), {
  caption: "Zones of stored answers, and the process",
  empty: "",
  columns: [
    name("Zone"),
    { title: "URLs", of: ({ entries }) => (entries === undefined ? "–" : words.count(entries)) },
    { title: "Used", of: ({ bytes }) => words.bytes(bytes) },
    { title: "Of", of: (row) => words.bytes(row.bytes_max), part: (row) => row.bytes / row.bytes_max, full: true },
  ],
});

const hottest = new Table($("hottest"), {
  caption: "By how often the sample has them",
  empty: "Nothing is in the sample yet.",
  columns: [
    { title: "Path", text: true, mono: true, of: ({ path }) => path },
    { title: "Route", text: true, of: ({ route }) => route || NO_ROUTE },
    { title: "In the sample", of: ({ count, excess }) => words.count(count) + (excess > 0 ? ` (−${excess})` : ""), part: ({ part }) => part },
  ],
});
/** URLs that are shown. */
const HOTTEST_MAX = 15;

const misses = new Table($("misses"), {
  caption: "The latest first",
  empty: "Nothing was missed yet.",
  columns: [
    { title: "Path", text: true, mono: true, of: ({ path }) => path },
    { title: "Outcome", text: true, of: ({ outcome }) => outcome },
    { title: "Why", text: true, of: ({ reason }) => reason.replaceAll("-", "\u2011") },
    { title: "Route", text: true, of: ({ route }) => route || NO_ROUTE },
    { title: "Status", of: ({ status }) => String(status) },
    { title: "At", of: ({ at }) => words.clock(at) },
  ],
});
/** Misses that are shown. */
const MISSES_MAX = 15;

/** Shows all of it. */
export function showSections(recent) {
  const stats = recent.latest;
  const lately = (list) => (row) => ({ ...row, lately: recent.lately(named(list, row.name)) });
  const byName = (row) => row.name;
  const used = stats.routes.filter(({ count }) => count > 0).sort((a, b) => b.count - a.count);
  const isFailing = ({ lately }) => lately.share("failed", "count") > 0.01;
  routes.show(used.map(lately("routes")), byName, isFailing);
  showOutcomes(recent);
  showReasons(stats);
  upstreams.show(stats.upstreams.map(lately("upstreams")), byName, isUnwell);
  const { resident, memory_limit: limit } = stats.process;
  const whole = { name: "the whole process", bytes: resident, bytes_max: limit };
  zones.show(resident ? [...stats.zones, whole] : stats.zones, byName, (row) => row.bytes > 0.95 * row.bytes_max);
  const { urls, looked_at: size, every } = stats.hottest;
  say($("hottest-of"), `A sample: one request in ${every}, ${words.count(size)} so far.`);
  const part = (url) => ({ ...url, part: url.count / size });
  hottest.show(urls.slice(0, HOTTEST_MAX).map(part), ({ route, path }) => `${route} ${path}`);
  // Several of a second may be alike, so that their places tell them apart.
  misses.show(stats.misses.slice(0, MISSES_MAX).map((miss, at) => ({ ...miss, place: String(at) })), (row) => row.place);
}

const isUnwell = ({ servers, breaker_open: open }) => open === true || (servers !== null && servers.up < servers.all);

function showOutcomes(recent) {
  const sums = (stats) => sum(stats.routes.map((route) => route.outcomes));
  const all = sums(recent.latest);
  const most = Math.max(1, ...Object.values(all));
  const row = (name) => {
    const lately = recent.lately((stats) => ({ count: sums(stats)[name] ?? 0 }));
    return { name, count: all[name], part: all[name] / most, lately };
  };
  outcomes.show(Object.keys(MEANINGS).filter((name) => all[name] > 0).map(row), (row) => row.name);
}

function showReasons({ routes }) {
  const all = sum(routes.map((route) => route.reasons));
  const most = Math.max(1, ...Object.values(all));
  const rows = Object.entries(all).sort(([, a], [, b]) => b - a).slice(0, REASONS_MAX);
  const mostly = (name) =>
    routes.reduce((most, route) => ((route.reasons[name] ?? 0) > (most.reasons[name] ?? 0) ? route : most)).name;
  reasons.show(
    rows.map(([name, count]) => ({ name, count, part: count / most, route: mostly(name) })),
    (row) => row.name,
  );
}

/** Counts by their names, added up. */
function sum(counts) {
  const sums = {};
  for (const [name, count] of counts.flatMap(Object.entries)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}
