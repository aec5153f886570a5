// Measures `rate-limiter-flexible` over `ioredis`, each as its documentation has it: so many
// decisions at once over one connection, for so long. Prints one line of JSON.
import { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";

const [port, row, concurrency, milliseconds, clients] = process.argv.slice(2).map((word) =>
  /^\d+$/.test(word) ? Number(word) : word,
);
const refused = row === "refused";
const points = refused ? 1 : 1_000_000_000;
const redis = new Redis(port, "127.0.0.1");
const limiter = new RateLimiterRedis({
  storeClient: redis,
  keyPrefix: `flexible-${row}`,
  points,
  duration: 86_400,
  // What it has for clients that are refused: they cost no question either.
  ...(refused ? { inMemoryBlockOnConsumed: points } : {}),
});

let decisions = 0;
let refusals = 0;

async function ask(until) {
  while (performance.now() < until) {
    const client = Math.floor(Math.random() * clients);
    try {
      await limiter.consume(`10.0.${client >> 8}.${client & 255}`);
    } catch (refusal) {
      if (refusal instanceof Error) throw refusal;
      refusals += 1;
    }
    decisions += 1;
  }
}

async function run(span) {
  decisions = 0;
  refusals = 0;
  const until = performance.now() + span;
  await Promise.all(Array.from({ length: concurrency }, () => ask(until)));
}

async function reads() {
  const info = await redis.info("stats");
  return Number(/total_reads_processed:(\d+)/.exec(info)[1]);
}

if (refused) {
  for (let client = 0; client < clients; client += 1) {
    for (let turn = 0; turn < 2; turn += 1) {
      await limiter.consume(`10.0.${client >> 8}.${client & 255}`).catch(() => {});
    }
  }
}
// Until its code is compiled.
await run(milliseconds / 2);
const readsBefore = await reads();
const cpuBefore = process.cpuUsage();
const start = performance.now();
await run(milliseconds);
const seconds = (performance.now() - start) / 1000;
const cpu = process.cpuUsage(cpuBefore);
// The question itself is one.
const readsOfAll = (await reads()) - readsBefore - 1;
if (refusals !== (refused ? decisions : 0)) throw new Error(`${refusals} of ${decisions} refused`);
const micros = cpu.user + cpu.system;
console.log(JSON.stringify({ decisions, seconds, micros, reads: readsOfAll }));
redis.disconnect();
