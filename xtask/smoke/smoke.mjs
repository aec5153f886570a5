// Asks a deployed Worker what only the real platform can tell: `cargo xtask smoke URL`.
//
//   node smoke.mjs URL [--path PATH] [--bypass PATH] [--token-env NAME] [--json]
//
// Exit code: 0 if all that can be told is as expected, 1 if not, 2 if nobody can be asked.

import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";

import { cannotTell, differs } from "./finding.mjs";
import { ABOUT_CONTENT } from "./questions/content.mjs";
import { ABOUT_PASSING } from "./questions/passing.mjs";
import { ABOUT_THE_CACHE } from "./questions/cache.mjs";
import { ABOUT_THE_TOKEN } from "./questions/token.mjs";
import { ABOUT_THE_WORKER } from "./questions/worker.mjs";
import { printFinding, printSummary } from "./report.mjs";
import { REQUESTS, Site, Stopped, Unanswered, isLoopback, placeOf } from "./site.mjs";

// `stale` comes last: it may wait, and what it does to the entry is nobody else's concern.
const QUESTIONS = [
  ...ABOUT_THE_WORKER,
  ...ABOUT_THE_CACHE.filter(({ name }) => name !== "stale"),
  ...ABOUT_CONTENT,
  ...ABOUT_PASSING,
  ...ABOUT_THE_TOKEN,
  ...ABOUT_THE_CACHE.filter(({ name }) => name === "stale"),
];

/** The paths of the policy that Tidegate comes with. */
const PATH = "/plugins/app.js";
const BYPASS = "/api/v1/plugins";

/** Why there is no run. */
class Unable extends Error {}

try {
  process.exitCode = await run(options());
} catch (error) {
  if (!(error instanceof Unable)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 2;
}

async function run({ url, path, bypassed, token, isJson }) {
  const begun = performance.now();
  const site = new Site(url);
  // A query of its own, so that nobody has asked for it before and a first answer is a first one.
  const separator = path.includes("?") ? "&" : "?";
  const probe = `${path}${separator}tidegate-smoke=${randomBytes(6).toString("hex")}`;
  const about = { site, path, probe, bypassed, token, known: {} };
  const findings = [];
  const what = `${url.origin} about ${path} and ${bypassed}`;
  if (!isJson) console.log(`Asking ${what}, at most ${REQUESTS} times.\n`);
  try {
    for (const question of QUESTIONS) {
      const { name, question: text, isEssential } = question;
      const finding = withoutSecrets(await found(question, about), token);
      findings.push({ name, question: text, ...finding });
      // Without these, that nothing differs means nothing.
      about.isUntold ||= isEssential && finding.answer !== "as expected";
      if (!isJson) printFinding(findings.at(-1));
    }
  } finally {
    site.close();
  }
  const { requests } = site;
  const seconds = Number(((performance.now() - begun) / 1000).toFixed(1));
  if (isJson) {
    const { health = null, first } = about.known;
    const asked = { url: url.origin, path, bypass: bypassed };
    const met = { tidegate: health, place: placeOf(first) ?? null };
    console.log(JSON.stringify({ ...asked, ...met, requests, seconds, findings }, null, 2));
  } else {
    printSummary({ findings, requests, seconds });
  }
  return about.isUntold || findings.some(({ answer }) => answer === "differs") ? 1 : 0;
}

async function found(question, about) {
  try {
    return await question.find(about);
  } catch (error) {
    if (error instanceof Stopped) return cannotTell(`not asked to the end: ${error.message}`);
    if (!(error instanceof Unanswered)) throw error;
    // If nobody answers the first question, there is nobody.
    if (!about.known.first) throw new Unable(`nobody can be asked there: ${error.message}`);
    return differs(error.message, "Ask again: if it stays so, `npx wrangler tail` may show why.");
  }
}

/** Whatever an answer repeats of what it was asked. */
function withoutSecrets({ answer, seen, advice }, token) {
  return { answer, seen: token ? seen.replaceAll(token, "…") : seen, advice };
}

function options() {
  const { values, positionals } = parsed();
  if (positionals.length !== 1) throw new Unable("one URL is needed, that of the Worker");
  const url = URL.parse(positionals[0]);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new Unable(`\`${positionals[0]}\` is no URL that begins with https:// or http://`);
  }
  const own = url.pathname === "/" ? undefined : url.pathname + url.search;
  const path = target(values.path ?? own ?? PATH, url);
  const bypassed = target(values.bypass ?? BYPASS, url);
  return { url, path, bypassed, token: secret(values["token-env"], url), isJson: values.json };
}

function parsed() {
  const text = { type: "string" };
  const json = { type: "boolean", default: false };
  const known = { path: text, bypass: text, "token-env": text, json };
  try {
    return parseArgs({ options: known, allowPositionals: true });
  } catch (error) {
    throw new Unable(error.message);
  }
}

function target(path, base) {
  const url = path.startsWith("/") ? URL.parse(path, base) : null;
  if (url?.origin !== base.origin) throw new Unable(`\`${path}\` is no path: it begins with one /`);
  return url.pathname + url.search;
}

function secret(name, url) {
  if (name === undefined) return undefined;
  const token = process.env[name];
  if (!token) throw new Unable(`the variable ${name} is empty: it should have the token`);
  if (!/^[!-~]+$/.test(token)) throw new Unable(`what ${name} has cannot be the value of a field`);
  if (url.protocol !== "https:" && !isLoopback(url)) {
    throw new Unable("a token is sent by https:// alone: everybody on the way could read it");
  }
  return token;
}
