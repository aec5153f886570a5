// An address for a worker that has none: what is sent here goes to it.

import { once } from "node:events";
import http from "node:http";

/** @param {number} failures so many requests at first are answered with 500 */
export async function startRelay(failures) {
  let edge;
  const seen = [];
  const server = http.createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString();
    seen.push({ url: request.url, body });
    if (edge === undefined || seen.length <= failures) return response.writeHead(500).end();
    const { method, url } = request;
    const { authorization } = request.headers;
    const headers = { Authorization: authorization, "Content-Type": "application/json" };
    const answer = await edge.fetch(url, { method, headers, body });
    response.writeHead(answer.status).end(answer.text);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    leadTo: (worker) => (edge = worker),
    /** What was sent, in order. */
    seen,
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
}
