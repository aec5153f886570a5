// What has happened lately: the difference of two looks at numbers that only grow.

/** Seconds that "now" is about. */
const LATELY = 10;

/** Looks at the numbers, the latest last, and what came between them. */
export class Recent {
  #looks = [];

  /** Takes a look; the second that has passed since the one before, if there was one. */
  add(stats) {
    const before = this.#looks.at(-1);
    // A shim that has been started anew counts from nothing.
    if (before !== undefined && stats.uptime < before.uptime) this.#looks = [];
    this.#looks.push(stats);
    while (this.#looks.length > LATELY + 1) this.#looks.shift();
    return this.#looks.length > 1 ? second(this.#looks.at(-2), stats) : null;
  }

  /** Everything so far is of no use: what comes next does not follow on it. */
  clear() {
    this.#looks = [];
  }

  get latest() {
    return this.#looks.at(-1);
  }

  /** What there was lately of one thing, which `of` finds among the numbers. */
  lately(of) {
    const now = of(this.latest);
    const first = this.#looks[0];
    const before = this.#looks.length > 1 ? of(first) : undefined;
    const seconds = (this.latest.at - first.at) / 1000;
    const { bounds } = this.latest;
    const between = (field) => (now[field] ?? 0) - (before?.[field] ?? 0);
    return {
      rate: (field) => (seconds > 0 ? between(field) / seconds : null),
      share: (part, whole) => (seconds > 0 && between(whole) > 0 ? between(part) / between(whole) : null),
      quantile: (part) => (seconds > 0 ? quantile(bounds, steps(before, now), part) : null),
    };
  }
}

/** Finds what has this name in a list of the numbers. */
export const named = (list, name) => (stats) => stats[list].find((each) => each.name === name);

/** One second, as the history has it. */
function second(before, now) {
  const between = (field) => Math.max(0, now.requests[field] - before.requests[field]);
  const took = (part) => quantile(now.bounds, steps(before.requests, now.requests), part);
  // Where looks are further apart than a second, it is their mean.
  const seconds = Math.max(1, (now.at - before.at) / 1000);
  return {
    at: now.at,
    requests: between("count") / seconds,
    hits: between("hits") / seconds,
    refused: between("refused") / seconds,
    failed: between("failed") / seconds,
    p50: took(0.5),
    p95: took(0.95),
    p99: took(0.99),
  };
}

const steps = (before, now) =>
  (now.seconds?.steps ?? []).map((step, at) => Math.max(0, step - (before?.seconds?.steps[at] ?? 0)));

/** Within a step in proportion, as `tidegate top` and Prometheus have it; null without any. */
export function quantile(bounds, counts, part) {
  const all = counts.reduce((sum, step) => sum + step, 0);
  if (all === 0) return null;
  const rank = part * all;
  let below = 0;
  for (const [at, bound] of bounds.entries()) {
    if (below + counts[at] >= rank && counts[at] > 0) {
      const from = at > 0 ? bounds[at - 1] : 0;
      return from + (bound - from) * Math.max(0, (rank - below) / counts[at]);
    }
    below += counts[at];
  }
  return bounds.at(-1);
}
