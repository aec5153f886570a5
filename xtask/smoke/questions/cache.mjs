// About the cache: does it keep anything, and does what comes out say how old it is.

import { asExpected, cannotTell, differs, judged, noHit } from "../finding.mjs";
import { told } from "../site.mjs";

const IDENTITY = { headers: { "Accept-Encoding": "identity" } };
/** After so many milliseconds an answer should be in the cache, each counted from the last look. */
const LOOKS = [100, 200, 400, 800, 1_600, 3_200];
/** The memory of an isolate keeps for seconds what the Cache API may never have kept. */
const MEMORY = { looks: 7, apart: 4_000 };

const cache = {
  name: "cache",
  question: "Are answers kept on this host, and served again?",
  isEssential: true,
  async find({ site, known, probe, path }) {
    const miss = await site.ask(probe, IDENTITY);
    const unfit = whyUnfit(miss, path);
    if (unfit) return unfit;
    known.miss = miss;
    let answer = miss;
    for (const pause of LOOKS) {
      if (answer.edge.hit) break;
      await site.wait(pause);
      answer = await site.ask(probe, IDENTITY);
    }
    if (!answer.edge.hit) return neverHit(site, answer);
    known.hit = answer;
    for (let look = 0; answer.edge.detail === "memory"; look += 1) {
      if (look === MEMORY.looks) {
        return cannotTell(
          "each hit came out of the memory of the isolate (detail=memory)",
          "Give `[edge] memory` a shorter `ttl`, or deploy once with `memory = false`, to see the " +
            "Cache API by itself.",
        );
      }
      await site.wait(MEMORY.apart);
      answer = await site.ask(probe, IDENTITY);
    }
    if (!answer.edge.hit) return neverHit(site, answer);
    known.hit = answer;
    const { detail = "the Cache API" } = answer.edge;
    return asExpected(`by ${detail}: ${told(answer)}`);
  },
};

function whyUnfit(answer, path) {
  const { status, edge } = answer;
  const another =
    "Name by --path a path that the policy caches at the edge (`tidegate explain URL`).";
  if (!edge.name) {
    return differs(
      `${path} is ${told(answer)}`,
      "The Worker is not on the way of this path: look at its routes.",
    );
  }
  if (status >= 500) {
    return differs(
      `${path} is a ${status}: ${told(answer)}`,
      "Is the shim up, and is TIDEGATE_ORIGIN (wrangler.toml) its address as seen from the internet?",
    );
  }
  if (status !== 200) return differs(`${path} is a ${status}`, another);
  if (edge.hit || edge.collapsed || edge.stored) return undefined;
  return differs(`the edge does not keep ${path}: ${told(answer)}`, another);
}

function neverHit(site, answer) {
  const { places, host } = site;
  if (places.size > 1) {
    return cannotTell(
      `no hit, but ${[...places].join(" and ")} answered, which share no cache`,
      "Ask again from a network that always reaches the same data centre.",
    );
  }
  const seen = `stored by its own word, and never a hit within 6 s: ${told(answer)}`;
  return host.endsWith(".workers.dev")
    ? differs(
        seen,
        "The Cache API keeps nothing on workers.dev: give the Worker a route on a domain of yours " +
          "(`routes` in wrangler.toml) and set `workers_dev = false`.",
      )
    : differs(
        seen,
        "Every request goes to the origin. Is this host in your own zone, and proxied? Does a Cache " +
          "Rule of the zone forbid caching? `npx wrangler tail` shows what the Worker warns of.",
      );
}

const age = {
  name: "age",
  question: "Does Age grow while an answer is kept, and its time left fall?",
  async find({ site, known, probe }) {
    if (!known.hit) return noHit();
    if (known.hit.edge.ttl < 5) return cannotTell("fresh for less than five seconds");
    const first = await site.ask(probe, IDENTITY);
    await site.wait(2_500);
    const second = await site.ask(probe, IDENTITY);
    known.hits = [first, second];
    if (!first.edge.hit || !second.edge.hit) {
      return differs(
        `it was kept, and gone again: ${told(first)}, then ${told(second)}`,
        "The cache of a data centre may drop anything at any time; if it does so each time, ask " +
          "Cloudflare.",
      );
    }
    // From the question: when the head is here, the edge may have looked at its clock long ago.
    const elapsed = (second.at - first.at + first.ms) / 1_000;
    const [older, left] = [ageOf(second) - ageOf(first), first.edge.ttl - second.edge.ttl];
    // Whole seconds, each rounded by itself.
    const isSo = (grown) => grown >= 1 && grown <= elapsed + 1;
    const seen =
      `in ${elapsed.toFixed(1)} s Age went from ${ageOf(first)} to ${ageOf(second)}, ttl from ` +
      `${first.edge.ttl} to ${second.edge.ttl}`;
    return isSo(older) && isSo(left)
      ? asExpected(seen)
      : differs(seen, "Browsers would keep it too long: something between writes Age anew. Tell us.");
  },
};

const ageOf = ({ headers }) => Number(headers.get("age") ?? Number.NaN);

const date = {
  name: "date",
  question: "Is Date that of the answer which was kept?",
  async find({ known }) {
    if (!known.hits) return known.hit ? cannotTell("see `age`") : noHit();
    const [first, second] = known.hits.map(({ headers }) => headers.get("date"));
    return judged(
      first === second && first !== null ? [] : [`${first}, then ${second}`],
      `${first} both times`,
      "The platform writes Date anew on the way out. Nothing breaks: caches go by Age, too (RFC " +
        "9111 §4.2.3).",
    );
  },
};

const hops = {
  name: "cache-status",
  question: "Does Cache-Status tell what each hop did?",
  async find({ known }) {
    if (!known.miss) return cannotTell("no answer that the edge might keep: see `cache`");
    const wrong = [];
    const answers = { first: known.miss, hit: known.hit };
    for (const [which, answer] of Object.entries(answers)) {
      if (!answer) continue;
      const names = answer.hops.map(({ name }) => name);
      const edges = names.filter((name) => name === "tidegate-edge").length;
      if (edges > 1) wrong.push(`the edge stands in it ${edges} times (${which} answer)`);
      if (names.at(-1) !== "tidegate-edge") wrong.push(`${names.at(-1)} comes last (${which} answer)`);
    }
    if (known.hit && names(known.hit) !== names(known.miss)) {
      wrong.push(`a hit tells of ${names(known.hit)}, the first answer of ${names(known.miss)}`);
    }
    const behind = known.miss.hops.slice(0, -1).map(({ name }) => name);
    const seen =
      `first ${told(known.miss)}${known.hit ? `, then ${told(known.hit)}` : ""}; behind the edge ` +
      (behind.length > 0 ? behind.join(", ") : "nobody who says so");
    return judged(
      wrong,
      seen,
      "Twice the edge: TIDEGATE_ORIGIN is a host that the Worker is routed on. Another hop last: a " +
        "cache stands before the Worker, which should be the first.",
    );
  },
};

const names = ({ hops }) => hops.map(({ name }) => name).join(", ");

/** Nobody waits longer for an answer to get stale. */
const STALE_WAIT = 20;

const stale = {
  name: "stale",
  question: "Is an answer still there when its time is over?",
  async find({ site, known, probe }) {
    if (!known.hit) return noHit();
    let answer = await site.ask(probe, IDENTITY);
    // What others ask for is fresh again by the time that it should be stale.
    for (let round = 0; round < 3 && answer.edge.hit && answer.edge.ttl >= 0; round += 1) {
      const { ttl } = answer.edge;
      if (ttl > STALE_WAIT) {
        return cannotTell(
          `it is fresh for another ${ttl} s, and nobody waits that long here`,
          `Name by --path an answer that is fresh for at most ${STALE_WAIT} s to see it.`,
        );
      }
      await site.wait((ttl + 1.2) * 1_000);
      answer = await site.ask(probe, IDENTITY);
    }
    const { edge } = answer;
    if (!edge.name) return differs(told(answer), "`npx wrangler tail` may show why.");
    if (edge.fwd === "stale") {
      return asExpected(`found, and confirmed with the origin: ${told(answer)}`);
    }
    if (edge.hit && edge.ttl < 0) {
      const fresh = await refreshed(site, probe);
      return fresh
        ? asExpected(`served stale (${told(answer)}), and fresh soon after (${told(fresh)})`)
        : differs(
            `served stale (${told(answer)}), and never fresh after`,
            "The refresh behind the client's back does not come through: `npx wrangler tail` says why.",
          );
    }
    if (edge.hit) return cannotTell(`somebody else refreshes it: ${told(answer)}`);
    const promised = ["cache-control", "cdn-cache-control"].some((name) =>
      /stale-while-revalidate/.test(answer.headers.get(name) ?? ""),
    );
    return promised
      ? differs(
          `gone, although it may be served stale: ${told(answer)}`,
          "The platform hides what the edge means to keep beyond its freshness. Tell us.",
        )
      : cannotTell(
          `gone: ${told(answer)}`,
          "Name by --path an answer that the policy lets be stale (`stale_while_revalidate`).",
        );
  },
};

async function refreshed(site, probe) {
  for (const pause of LOOKS) {
    await site.wait(pause);
    const answer = await site.ask(probe, IDENTITY);
    if ((answer.edge.hit && answer.edge.ttl >= 0) || answer.edge.stored) return answer;
  }
  return undefined;
}

export const ABOUT_THE_CACHE = [cache, hops, age, date, stale];
