// About the Worker as such: does it run, where, and how soon does it answer.

import { asExpected, cannotTell, differs } from "../finding.mjs";
import { Unanswered, placeOf } from "../site.mjs";

const HEALTH = "/.tidegate/health";
/** A start-up may take a second on Cloudflare; who waits longer than this leaves. */
const SLOW = 5_000;

const health = {
  name: "health",
  question: "Does the Worker run, and which?",
  isEssential: true,
  async find({ site, known }) {
    const answer = await site.ask(HEALTH);
    const elsewhere = answer.headers.get("location");
    if (elsewhere) throw new Unanswered(`it sends everybody to ${elsewhere}`);
    known.first = answer;
    const said = parsed(answer.body);
    if (answer.status === 200 && said?.tier === "edge" && said.status === "ok") {
      known.health = said;
      const { version, policy, source } = said;
      return asExpected(`version ${version}, policy ${policy}${source ? ` (${source})` : ""}`);
    }
    const mitigated = answer.headers.get("cf-mitigated");
    if (mitigated) {
      return differs(
        `${HEALTH} is a ${answer.status} of Cloudflare's own (cf-mitigated: ${mitigated})`,
        "A rule of the zone takes this for a robot: let your address pass (Security → WAF), and " +
          "ask again.",
      );
    }
    const isShim = answer.hops.some(({ name }) => name === "tidegate-origin");
    const place = `${HEALTH} is a ${answer.status}`;
    return isShim
      ? differs(
          `${place}, and the shim answers it: nothing of the edge is on the way`,
          "Give the Worker a route that covers this host (`routes` in wrangler.toml), and deploy.",
        )
      : differs(
          `${place}, and not the health page of a Tidegate`,
          "Look at Workers Routes on the dashboard: does a route with this host name the Worker? " +
            "Is it deployed (`npx wrangler deployments list`)?",
        );
  },
};

const place = {
  name: "place",
  question: "Which data centre of Cloudflare answers?",
  async find({ site, known }) {
    const code = placeOf(known.first);
    if (code) return asExpected(code);
    return site.isHere
      ? cannotTell("no CF-Ray: this is a machine of yours, not Cloudflare's network")
      : differs(
          "no CF-Ray: requests do not go through Cloudflare",
          "Let the DNS record of this host be proxied (the orange cloud on the dashboard).",
        );
  },
};

const firstAnswer = {
  name: "first-answer",
  question: "How long does the first answer take?",
  async find({ site, known }) {
    const next = await site.ask(HEALTH);
    const seen =
      `${Math.round(known.first.ms)} ms with the connection and perhaps a start of the Worker, ` +
      `the next ${Math.round(next.ms)} ms`;
    return known.first.ms < SLOW
      ? asExpected(seen)
      : differs(
          seen,
          "Run it again: if only the first run is slow, it is the start of the Worker, whose time " +
            "`npx wrangler deploy` prints; else look at the connection.",
        );
  },
};

function parsed(body) {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

export const ABOUT_THE_WORKER = [health, place, firstAnswer];
