// About what goes past the cache, and who is counted for it.

import { asExpected, cannotTell, differs, judged } from "../finding.mjs";
import { decoded, told } from "../site.mjs";

const bypass = {
  name: "bypass",
  question: "Does a path that is not cached reach the origin each time?",
  async find({ site, known, bypassed }) {
    const wrong = new Set();
    known.passed = [];
    for (const coding of ["identity", "gzip", "br"]) {
      const answer = await site.ask(bypassed, { headers: { "Accept-Encoding": coding } });
      known.passed.push(answer);
      const why = await notPassed(answer);
      if (why) wrong.add(`${bypassed} is a ${answer.status}, ${why}`);
    }
    return judged(
      [...wrong],
      `${known.passed.length} times, status ${known.passed[0].status}: ${told(known.passed[0])}`,
      "Name by --bypass a path that the policy keeps from the edge. If it is one: does a route lead " +
        "it through the Worker, and does a Cache Rule of the zone cache the Worker's own requests?",
    );
  },
};

async function notPassed(answer) {
  const { status, edge, headers } = answer;
  if (!edge.name) return "and Cache-Status has no word of the edge";
  if (edge.fwd !== "bypass") return told(answer);
  // What is let through because something broke has no status of the next hop.
  if (edge["fwd-status"] === undefined) return `past the gate, for something broke: ${told(answer)}`;
  if (status >= 500) return "which is the origin's trouble";
  const zone = headers.get("cf-cache-status");
  if (["HIT", "STALE", "UPDATING", "REVALIDATED"].includes(zone)) {
    return `and out of the zone's cache (CF-Cache-Status: ${zone})`;
  }
  try {
    await decoded(answer);
  } catch (error) {
    return `and unreadable (${error.message})`;
  }
  return undefined;
}

const limits = {
  name: "limits",
  question: "Do answers say how much is left of a limit, and does it count?",
  async find({ site, known, bypassed }) {
    const asked = known.passed ?? [];
    if (!asked.some(quotaOf)) {
      const hasPolicy = asked.some(({ headers }) => headers.has("ratelimit-policy"));
      return hasPolicy
        ? cannotTell("RateLimit-Policy without RateLimit: Cloudflare's binding counts (`colo`)")
        : cannotTell("no RateLimit-Policy", "Name by --bypass a path whose route has a limit.");
    }
    const answers = [...asked, await site.ask(bypassed)].filter(quotaOf);
    const lefts = () => answers.map((answer) => quotaOf(answer).left);
    // A window that ends meanwhile hides what was counted: a few more belong to one.
    for (let more = 0; more < 2 && !falls(lefts()); more += 1) {
      answers.push(...[await site.ask(bypassed)].filter(quotaOf));
    }
    known.limited = true;
    const { limit } = quotaOf(answers.at(-1));
    const seen = `${limit}: ${lefts().join(", ")} left`;
    if (falls(lefts())) return asExpected(seen);
    return refillsSooner(answers)
      ? cannotTell(`${seen}: it refills as fast as this asks`)
      : differs(
          seen,
          "Nobody is counted. Is the Durable Object bound (LIMITER in wrangler.toml, with its " +
            "migration)? `npx wrangler tail` says if its store fails.",
        );
  },
};

const falls = (lefts) => lefts.some((left, at) => at > 0 && left < lefts[at - 1]);

/** Whether at the limit's own pace one more was allowed between each two. */
function refillsSooner(answers) {
  const [, quota, window] =
    /;q=(\d+).*;w=(\d+)/.exec(answers[0].headers.get("ratelimit-policy") ?? "") ?? [];
  const apart = (answers.at(-1).at - answers[0].at) / 1_000 / (answers.length - 1);
  return (Number(quota) / Number(window)) * apart >= 1;
}

/** The strictest member of RateLimit. */
function quotaOf({ headers }) {
  const members = (headers.get("ratelimit") ?? "").matchAll(/"([^"]*)"[^,]*?;r=(\d+)/g);
  const quotas = [...members].map(([, limit, left]) => ({ limit, left: Number(left) }));
  return quotas.sort((one, other) => one.left - other.left)[0];
}

const clientAddress = {
  name: "client-address",
  question: "Is a client counted as itself, whatever address it claims?",
  async find({ site, known, bypassed }) {
    if (!known.limited) return cannotTell("no count to tell it by: see `limits`");
    const found = {};
    for (const name of ["CF-Connecting-IP", "X-Forwarded-For"]) {
      found[name] = await whoClaims(name, site, bypassed);
      // A window that ended meanwhile has just begun anew.
      if (found[name].isAnother === undefined) found[name] = await whoClaims(name, site, bypassed);
    }
    const all = Object.entries(found).map(([name, { seen }]) => `${name}: ${seen}`);
    const forged = Object.keys(found).filter((name) => found[name].isAnother);
    if (site.isHere && `${forged}` === "CF-Connecting-IP") {
      return cannotTell(`${all.join("; ")}. Cloudflare writes the first, and this is not Cloudflare`);
    }
    const isUntold = Object.values(found).some(({ isAnother }) => isAnother === undefined);
    if (forged.length === 0 && isUntold) return cannotTell(all.join("; "));
    return judged(
      forged.length > 0 ? all : [],
      all.join("; "),
      "Anybody gets past the limits. Requests must reach the Worker through Cloudflare alone, which " +
        "writes CF-Connecting-IP; then X-Forwarded-For counts for nothing.",
    );
  },
};

/** What is left for this client, for one that claims another address, and for this one again. */
async function whoClaims(name, site, target) {
  const address = `192.0.2.${1 + Math.floor(Math.random() * 254)}`;
  const answers = [];
  for (const headers of [{}, { [name]: address }, {}]) {
    answers.push(await site.ask(target, { headers }));
  }
  const [before, claimed, after] = answers.map(quotaOf);
  // Cloudflare refuses some requests that name a client.
  if (before && after && !claimed && answers[1].status >= 400) {
    return { isAnother: false, seen: `a claim is refused with ${answers[1].status}` };
  }
  if (!before || !claimed || !after) return { seen: "not each answer says what is left" };
  const seen = `${before.left} left, ${claimed.left} with a claim, ${after.left} without`;
  // A window that ends meanwhile gives everything back.
  if (after.left >= before.left) return { seen: `${seen}: nothing was counted, or a window ended` };
  return { isAnother: claimed.left > before.left, seen };
}

export const ABOUT_PASSING = [bypass, limits, clientAddress];
