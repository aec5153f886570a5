// The usual middleware, as its documentation has it: Hono's cache before a proxy, and
// hono-rate-limiter, counting in memory.

import { Hono } from "hono";
import { cache } from "hono/cache";
import { rateLimiter } from "hono-rate-limiter";

const app = new Hono();
const keyGenerator = (c) => c.req.header("cf-connecting-ip") ?? "";

/** Its store in memory wants a timer, which no Worker may set before its first request. */
function limited(limit) {
  let limiter;
  return (c, next) => {
    limiter ??= rateLimiter({ windowMs: 3_600_000, limit, standardHeaders: "draft-7", keyGenerator });
    return limiter(c, next);
  };
}

app.use("/stored/*", limited(1_000_000_000));
app.use("/passed/*", limited(1_000_000_000));
app.use("/limited/*", limited(1));
app.get("/stored/*", cache({ cacheName: "bench", cacheControl: "max-age=300" }));
app.all("*", async (c) => {
  const { pathname, search } = new URL(c.req.url);
  const answer = await fetch(c.env.ORIGIN + pathname + search, c.req.raw);
  return new Response(answer.body, answer);
});

export default app;
