// Runs in workerd, around the built worker, which stays as it is: counts what its limits cost,
// keeps the points of its dataset, breaks what it needs, and tells it the time. The tests speak to it by the host
// `control.test`; nothing of it is in any build.

import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import Worker, { Limiter as BuiltLimiter } from "./index.js";

const calls = { objects: 0, ratelimits: 0 };
/** What becomes of questions: `none`, `throws`, `hangs` or `nonsense`. */
const faults = { objects: "none", ratelimits: "none", dataset: "none" };
/** What was written to the dataset. */
const points = [];

/** Questions to the Cache API. */
let cache = 0;
const { match } = Cache.prototype;
Cache.prototype.match = function (...asked) {
  cache += 1;
  return match.apply(this, asked);
};

let told;
const tell = Date.now;
Date.now = () => told ?? tell();

/** Far longer than anybody waits. */
const forever = () => scheduler.wait(600_000);

/** What `fault` makes of a call that would do `work`. */
async function faulty(fault, work) {
  if (faults[fault] === "throws") throw new Error("a fault of the test");
  if (faults[fault] === "hangs") await forever();
  return work();
}

for (const method of ["put", "match"]) {
  const built = Cache.prototype[method];
  Cache.prototype[method] = function (...all) {
    return faulty(method, () => built.apply(this, all));
  };
}

export class Limiter extends DurableObject {
  #built;

  constructor(ctx, env) {
    super(ctx, env);
    this.#built = new BuiltLimiter(ctx, env);
  }

  async fetch(request) {
    const { host, pathname } = new URL(request.url);
    if (host === "control.test") return this.#control(pathname.slice(1));
    calls.objects += 1;
    if (faults.objects === "throws") throw new Error("a fault of the test");
    if (faults.objects === "hangs") await forever();
    if (faults.objects === "nonsense") {
      return new Response(null, { headers: { "tidegate-known": "well, well" } });
    }
    return this.#built.fetch(request);
  }

  alarm() {
    return this.#built.alarm();
  }

  async #control(what) {
    if (what === "evict") this.ctx.abort("evicted by the test");
    if (what === "alarm") await this.alarm();
    const [stored, alarm] = [await this.ctx.storage.list(), await this.ctx.storage.getAlarm()];
    return Response.json({ stored: stored.size, alarm });
  }
}

export default class extends WorkerEntrypoint {
  fetch(request) {
    const url = new URL(request.url);
    if (url.host === "control.test") return this.#control(url, request);
    const env = { ...this.env, ...this.#ratelimits(), ANALYTICS: this.#dataset() };
    return Worker.fetch(request, env, this.ctx);
  }

  /** The dataset, watched. */
  #dataset() {
    const { ANALYTICS: dataset } = this.env;
    return {
      writeDataPoint(point) {
        points.push(point);
        if (faults.dataset === "throws") throw new Error("a fault of the test");
        dataset.writeDataPoint(point);
      },
    };
  }

  /** The bindings of rate limits, watched. */
  #ratelimits() {
    const bindings = Object.entries(this.env).filter(([name]) => name.startsWith("RATELIMIT_"));
    const watched = ([name, binding]) => [name, { limit: (asked) => limit(binding, asked) }];
    return Object.fromEntries(bindings.map(watched));
  }

  async #control(url, request) {
    if (url.pathname === "/calls") return Response.json(calls);
    if (url.pathname === "/cache") return Response.json(cache);
    if (url.pathname === "/points") return Response.json(points);
    if (url.pathname === "/fault") {
      Object.assign(faults, await request.json());
      return Response.json(faults);
    }
    if (url.pathname === "/clock") {
      told = (await request.json()) ?? undefined;
      return Response.json(Date.now());
    }
    if (url.pathname === "/overrides") {
      await this.env.TIDEGATE.put("overrides", await request.text());
      return Response.json(null);
    }
    if (url.pathname === "/trace") return Response.json(await this.#trace(await request.json()));
    const object = this.env.LIMITER.getByName(url.searchParams.get("name"));
    // An object that is aborted answers nothing.
    const nothing = () => Response.json(null);
    return object.fetch(`https://control.test${url.pathname}`).catch(nothing);
  }

  /** Asks one object after the other, each at its time; what each knew. */
  async #trace({ limit, events }) {
    const question = `https://limiter/?${encodeURIComponent(JSON.stringify(limit))}`;
    const known = [];
    for (const [name, now, evict] of events) {
      told = now;
      const stub = () => this.env.LIMITER.getByName(`${limit.name}/${name}`);
      if (evict) await stub().fetch("https://control.test/evict").catch(() => {});
      known.push((await stub().fetch(question)).headers.get("tidegate-known"));
    }
    told = undefined;
    return known;
  }
}

async function limit(binding, asked) {
  calls.ratelimits += 1;
  if (faults.ratelimits === "throws") throw new Error("a fault of the test");
  if (faults.ratelimits === "hangs") await forever();
  if (faults.ratelimits === "nonsense") return {};
  return binding.limit(asked);
}
