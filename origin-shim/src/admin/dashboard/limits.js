// Limits, and who is blocked under them.

import { ask } from "./access.js";
import { unblock } from "./operate.js";
import { Table, say } from "./table.js";
import { named } from "./recent.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);
/** Blocked clients that are shown. */
const BLOCKED_MAX = 50;

const limits = new Table($("limits"), {
  caption: "What limits say, lately and since the start",
  empty: "The policy has no limit.",
  columns: [
    { title: "Limit", text: true, of: ({ name }) => name },
    { title: "Says", text: true, of: ({ words }) => words },
    { title: "Allowed/s", of: ({ lately }) => words.rate(lately.rate("allowed")) },
    { title: "Refused/s", of: ({ lately }) => words.rate(lately.rate("refused")) },
    { title: "All refused", of: ({ refused }) => words.count(refused) },
    { title: "Would refuse", of: (row) => words.count(row.would_refuse) },
    { title: "Store failed", of: (row) => words.count(row.store_failed) },
    { title: "Clients", of: ({ clients }) => words.count(clients) },
  ],
});

const blocked = new Table($("blocked"), {
  caption: "Blocked clients",
  empty: "Nobody is blocked.",
  columns: [
    { title: "Client", text: true, mono: true, of: ({ client }) => client },
    { title: "Limit", text: true, of: ({ limit }) => limit },
    { title: "Until", of: ({ until }) => words.day(until) },
    {
      title: "Let in",
      button: ({ client, limit }) => ({
        text: "Unblock…",
        label: `Unblock ${client} under ${limit}`,
        press: () => unblock(limit, client).then(lookForBlocked),
      }),
    },
  ],
});

/** What each limit says, by its name. */
let said = new Map();

/** Shows what limits have said. */
export function showLimits(recent) {
  const { limits: all } = recent.latest;
  const row = (limit) => ({
    ...limit,
    words: said.get(limit.name) ?? "",
    lately: recent.lately(named("limits", limit.name)),
  });
  limits.show(all.map(row), ({ name }) => name, ({ lately }) => lately.rate("refused") > 0);
}

/** Asks who is blocked, and what limits say. */
export async function lookForBlocked() {
  const { limits: all } = await ask("/limits");
  said = new Map(all.map((limit) => [limit.name, inWords(limit)]));
  // Nobody is blocked who was never refused.
  const refusing = all.filter(({ counted }) => counted.refused > 0);
  const lists = await Promise.all(
    refusing.map(async ({ name }) => {
      const answer = await ask(`/limits/${encodeURIComponent(name)}/blocked`);
      return answer.blocked.map((block) => ({ ...block, limit: name }));
    }),
  );
  const rows = lists.flat();
  blocked.show(rows.slice(0, BLOCKED_MAX), ({ limit, client }) => `${limit} ${client}`);
  const more = rows.length - BLOCKED_MAX;
  say($("blocked-more"), more > 0 ? `And ${words.count(more)} more: \`tidegate limits blocked NAME\` lists all.` : "");
}

function inWords({ limit, block, burst, dry_run: rehearsed, override, policy }) {
  const parts = [limit];
  if (burst) parts.push(`burst ${burst}`);
  if (block) parts.push(`block ${block}`);
  if (rehearsed) parts.push("rehearsed only");
  if (override) parts.push(`overridden; the policy says ${policy.limit}`);
  return parts.join(", ");
}
