// About what comes out of the cache: the right bytes, as few of them as were asked for.

import { asExpected, cannotTell, differs, judged, noHit } from "../finding.mjs";
import { decoded, told } from "../site.mjs";

const CODINGS = ["identity", "gzip", "br"];
const accepting = (coding, headers) => ({ headers: { "Accept-Encoding": coding, ...headers } });

const codings = {
  name: "codings",
  question: "Are kept answers readable in gzip and Brotli, and the same?",
  async find({ site, known, probe }) {
    if (!known.hit) return noHit();
    known.coded = {};
    const wrong = [];
    for (const coding of CODINGS) {
      const answer = await site.ask(probe, accepting(coding));
      known.coded[coding] = answer;
      const is = answer.headers.get("content-encoding");
      if (is && is !== coding) wrong.push(`who accepts ${coding} gets ${is}`);
      const why = await unlike(known.miss, answer);
      if (why) wrong.push(`${coding}: ${why}`);
    }
    const sizes = Object.entries(known.coded).map(([coding, { body }]) => `${coding} ${body.length}`);
    return judged(
      wrong,
      `the content that came each time; bytes: ${sizes.join(", ")}`,
      "Clients get what they cannot read. Keep the path from the edge (`edge = \"bypass\"`) or let " +
        "the origin send it uncompressed, and tell us.",
    );
  },
};

/** Why a kept answer is not what came from the origin; `undefined` if it is. */
async function unlike(first, answer) {
  let content, came;
  try {
    [content, came] = [await decoded(answer), await decoded(first)];
  } catch (error) {
    return `unreadable (${error.message})`;
  }
  if (content.equals(came)) return undefined;
  const isGzip = (body) => body[0] === 0x1f && body[1] === 0x8b;
  if (isGzip(content) && !isGzip(came)) return "compressed twice";
  // Without the same tag it may be another answer, which somebody has asked for meanwhile.
  return tagOf(answer) === tagOf(first) && tagOf(first) !== undefined ? "other content" : undefined;
}

/** Without the mark of a weak one: what the edge keeps is decoded, and its tag weak. */
const tagOf = ({ headers }) => headers.get("etag")?.replace(/^W\//, "");

const compression = {
  name: "compression",
  question: "Is text compressed on its way out of the cache?",
  async find({ known }) {
    if (!known.coded) return noHit();
    const { identity, gzip, br } = known.coded;
    const type = identity.headers.get("content-type") ?? "nothing";
    if (!/^text\/|javascript|json|xml|svg/.test(type) || identity.body.length < 1_024) {
      return cannotTell(`${identity.body.length} bytes of ${type}, which need no compression`);
    }
    const are = [gzip, br].map(({ headers }) => headers.get("content-encoding") ?? "identity");
    const seen = `who accepts gzip gets ${are[0]}, who accepts br gets ${are[1]}`;
    return are.includes("identity")
      ? differs(
          seen,
          "What the edge keeps lies there uncompressed, and Cloudflare compresses it for the client: " +
            "look for Compression Rules of the zone that forbid it.",
        )
      : asExpected(seen);
  },
};

const acceptEncoding = {
  name: "accept-encoding",
  question: "Is the origin asked with Cloudflare's Accept-Encoding?",
  async find({ known }) {
    // What the shim compresses says so in its tag.
    const coding = /;(br|gzip)"$/.exec(known.miss?.headers.get("etag") ?? "")?.[1];
    if (!known.miss?.edge.stored) return cannotTell("no first answer to tell it by: see `cache`");
    const seen = "the client said identity";
    return coding
      ? asExpected(`${seen}, and the shim was asked for ${coding}`)
      : cannotTell(
          `${seen}, and the tag of the answer does not show that it was compressed`,
          "Name by --path text of 1 KiB or more, with [compression] in the policy of the shim.",
        );
  },
};

const conditionals = {
  name: "conditionals",
  question: "Are conditional requests answered out of the cache?",
  async find({ site, known, probe }) {
    if (!known.hit) return noHit();
    const tag = known.hit.headers.get("etag");
    const modified = known.hit.headers.get("last-modified");
    if (!tag && !modified) return cannotTell("the answer has neither ETag nor Last-Modified");
    const asks = [];
    if (tag) asks.push(["its ETag", { "If-None-Match": tag }, 304]);
    if (modified) asks.push(["its Last-Modified", { "If-Modified-Since": modified }, 304]);
    if (modified) {
      const both = { "If-None-Match": '"another"', "If-Modified-Since": modified };
      // RFC 9110 §13.2.2: the tag counts, and the time does not.
      asks.push(["another ETag and its Last-Modified", both, 200]);
    }
    return statuses(site, probe, asks);
  },
};

const ranges = {
  name: "ranges",
  question: "Are parts answered out of the cache?",
  async find({ site, known, probe }) {
    if (!known.hit) return noHit();
    const from = await withLength(site, known, probe);
    if (!from) {
      return cannotTell(
        "the answer is kept without its length, so that no part of it can be cut",
        "Name by --path what is not compressed, such as an image.",
      );
    }
    const content = (await site.ask(from, accepting("identity"))).body;
    const last = Math.min(9, content.length - 1);
    const part = `bytes=0-${last}`;
    return statuses(site, from, [
      [part, { Range: part }, 206, content.subarray(0, last + 1)],
      ["a part of another ETag", { Range: part, "If-Range": '"another"' }, 200, content],
      ["a part behind the end", { Range: `bytes=${content.length}-` }, 416],
      ["nonsense", { Range: "bytes=x-y" }, 200, content],
    ]);
  },
};

/** What is kept as the origin compressed it has no length: have it kept once more, as it is. */
async function withLength(site, known, probe) {
  const has = (answer) => answer.edge.hit && answer.headers.has("content-length");
  const plain = { ...accepting("identity", { "X-No-Compression": "1" }), method: "HEAD" };
  known.head = await site.ask(probe, { ...accepting("identity"), method: "HEAD" });
  if (has(known.head)) return probe;
  const other = `${probe}-plain`;
  await site.ask(other, { ...plain, method: "GET" });
  for (const pause of [100, 400, 1_600, 3_200]) {
    await site.wait(pause);
    const head = await site.ask(other, plain);
    if (head.edge.hit) return has(head) ? other : undefined;
  }
  return undefined;
}

/** Asks so that the answers should have these statuses, bodies if given, and come from the cache. */
async function statuses(site, target, asks) {
  const [wrong, seen] = [[], []];
  for (const [what, headers, status, body] of asks) {
    const answer = await site.ask(target, accepting("identity", headers));
    seen.push(`${what}: ${answer.status}`);
    if (answer.status !== status) wrong.push(`${what}: ${answer.status} instead of ${status}`);
    else if (!answer.edge.hit) wrong.push(`${what}: not out of the cache (${told(answer)})`);
    else if (body && !answer.body.equals(body)) wrong.push(`${what}: other bytes than those`);
  }
  return judged(
    wrong,
    seen.join(", "),
    "Something between client and Worker answers such requests itself, or changes them: look for " +
      "rules of the zone, then tell us.",
  );
}

const head = {
  name: "head",
  question: "Is HEAD answered out of the cache, by what GET has left there?",
  async find({ site, known, probe }) {
    if (!known.hit) return noHit();
    const question = { ...accepting("identity"), method: "HEAD" };
    const answer = known.head ?? (await site.ask(probe, question));
    const wrong = [];
    if (answer.status !== known.hit.status) wrong.push(`status ${answer.status}`);
    if (!answer.edge.hit) wrong.push(`not out of the cache (${told(answer)})`);
    for (const name of ["etag", "content-type"]) {
      const [own, other] = [answer, known.hit].map(({ headers }) => headers.get(name));
      if (own !== other) wrong.push(`${name} is ${own}, for GET ${other}`);
    }
    return judged(wrong, told(answer), "Look for rules of the zone that change fields, then tell us.");
  },
};

export const ABOUT_CONTENT = [codings, compression, acceptEncoding, conditionals, ranges, head];
