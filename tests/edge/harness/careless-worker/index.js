// A Worker that keeps whatever comes in the Cache API, compresses what it takes out though the
// platform does so, too, and goes by Tidegate's name: what the real one does shows beside it.

const KEPT = 86_400;

export default {
  async fetch(request, { TIDEGATE_ORIGIN }, context) {
    const { pathname, search } = new URL(request.url);
    if (pathname === "/.tidegate/health") {
      return Response.json({ status: "ok", tier: "edge", version: "0.0.0", policy: "careless" });
    }
    const kept = await caches.default.match(request);
    if (kept) {
      const compressed = kept.body?.pipeThrough(new CompressionStream("gzip"));
      return saying(`hit; ttl=${KEPT}`, kept, compressed);
    }
    const answer = await fetch(new Request(TIDEGATE_ORIGIN + pathname + search, request));
    context.waitUntil(caches.default.put(request.url, answer.clone()));
    const status = `fwd=uri-miss; fwd-status=${answer.status}; stored; ttl=${KEPT}`;
    return saying(status, answer, answer.body);
  },
};

function saying(status, answer, body) {
  const copy = new Response(body, answer);
  copy.headers.append("Cache-Status", `tidegate-edge; ${status}`);
  return copy;
}
