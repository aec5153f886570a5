// Stands in for Workers Cache, which nothing simulates locally: keeps what the second Worker answers
// by URL and Vary, for as long as Cache-Control says, and knows nothing of Tidegate. The host is not
// in its key, as on the platform.

const kept = new Map();

export default {
  async fetch(request, { BEHIND }) {
    const { pathname, search } = new URL(request.url);
    const variants = kept.get(pathname + search) ?? [];
    kept.set(pathname + search, variants);
    const suits = ({ vary }) => vary.every(([name, value]) => request.headers.get(name) === value);
    const found = variants.find(suits);
    if (found && Date.now() < found.until) return respond(found, "HIT");

    const answer = await BEHIND.fetch(request);
    const control = answer.headers.get("cache-control") ?? "";
    const [, seconds] = control.match(/(?:^|, )max-age=(\d+)/) ?? [];
    if (seconds === undefined) return answer;
    const names = (answer.headers.get("vary") ?? "").split(/\s*,\s*/).filter(Boolean);
    const vary = names.map((name) => [name, request.headers.get(name)]);
    const { status } = answer;
    const entry = { status, headers: [...answer.headers], body: await answer.arrayBuffer(), vary };
    entry.until = Date.now() + seconds * 1000;
    variants.unshift(entry);
    return respond(entry, "MISS");
  },
};

function respond({ status, headers, body }, said) {
  const answer = new Response(body, { status, headers });
  answer.headers.set("cf-cache-status", said);
  return answer;
}
