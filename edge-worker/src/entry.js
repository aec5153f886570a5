// What the platform calls: the handlers of this Worker and its Durable Objects, all of them in
// wasm. A panic there is survived here.

import * as wasm from "../../../index.js";

/** For each request that a task of wasm is at: what ends it when wasm dies. */
const atWork = new Set();
const DIED = new Error("wasm has died");
let isDead = false;
let deaths = 0;

const FAILED = '{"type":"about:blank","title":"Internal error","status":500}';
const FAILED_HEADERS = { "Content-Type": "application/problem+json", "Cache-Control": "no-store" };

export default {
  fetch: (request, env, context) => answer(request, env, context, false),
  scheduled(event, env, context) {
    revive();
    return wasm.scheduled(event, env, context);
  },
};

export const Limiter = durable(wasm.Limiter);
export const Purger = durable(wasm.Purger);

function answer(request, env, context, hasDied) {
  try {
    return wasm.fetch(request, env, context, hasDied);
  } catch (error) {
    died(error);
    return afterDeath(request, env, context, hasDied);
  }
}

/**
 * What the request `task` comes to once `promise` is settled, the one thing that it waits for. A
 * function of our own costs less than a closure and a task of wasm.
 */
export function later(promise, task, request, env, context, hasDied) {
  const begun = deaths;
  const goOn = (value, isKept) => {
    if (begun === deaths) {
      try {
        const answer = wasm.resume(task, value, isKept);
        if (answer !== undefined) return answer;
      } catch (error) {
        died(error);
      }
    }
    return afterDeath(request, env, context, hasDied);
  };
  return promise.then(
    (value) => goOn(value, true),
    (error) => goOn(error, false),
  );
}

/**
 * What `answering` comes to, which is a task of wasm. What it has promised is never kept when wasm
 * dies, so all that wait for such are told.
 */
export async function survive(answering, request, env, context, hasDied) {
  let end;
  const dying = new Promise((_, reject) => (end = () => reject(DIED)));
  atWork.add(end);
  try {
    return await Promise.race([answering, dying]);
  } catch (error) {
    if (error !== DIED) throw error;
    return afterDeath(request, env, context, hasDied);
  } finally {
    atWork.delete(end);
  }
}

/**
 * A panic leaves wasm's memory in disorder, for whichever request of the isolate. Each goes on in
 * its own context, and past the gate by a new instance; once, since what kills that one as well
 * would kill the next.
 */
function afterDeath(request, env, context, hasDied) {
  if (hasDied) return new Response(FAILED, { status: 500, headers: FAILED_HEADERS });
  revive();
  return answer(request, env, context, true);
}

function died(error) {
  isDead = true;
  deaths += 1;
  console.error(
    `tidegate: panic ${deaths} of this isolate, ${atWork.size} requests go past the gate: ${error}`,
  );
  for (const end of atWork) end();
}

function revive() {
  if (!isDead) return;
  wasm.__wbg_reset_state();
  isDead = false;
}

// A trap in a task of wasm ends here.
addEventListener("error", (event) => {
  if (!(event.error instanceof WebAssembly.RuntimeError)) return;
  event.stopImmediatePropagation();
  died(event.error);
});

/** A Durable Object whose class is in wasm: made anew when that was. */
function durable(Class) {
  return class {
    #make;
    #object;
    #made;

    constructor(state, env) {
      this.#make = () => new Class(state, env);
    }

    fetch(request) {
      return this.#call((object) => object.fetch(request));
    }

    alarm() {
      return this.#call((object) => object.alarm());
    }

    #call(ask) {
      revive();
      try {
        if (this.#made !== deaths) {
          this.#object = this.#make();
          this.#made = deaths;
        }
        return ask(this.#object);
      } catch (error) {
        died(error);
        throw error;
      }
    }
  };
}
