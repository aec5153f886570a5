// An origin that keeps those who ask waiting until the test lets it answer.

import { once } from "node:events";
import http from "node:http";

/**
 * @param {import("node:test").TestContext} t
 * @returns {Promise<HeldOrigin>}
 *
 * @typedef {object} HeldOrigin
 * @property {string} url
 * @property {string[]} asked the targets that were asked for, so far
 * @property {(answer: Answer) => void} release answers all who wait and who come, like this
 * @property {() => void} hold has all wait who come
 *
 * @typedef {{ status?: number, headers?: Record<string, string>, body?: string }} Answer
 */
export async function startHeldOrigin(t) {
  const asked = [];
  let released = Promise.withResolvers();
  const server = http.createServer(async (request, response) => {
    asked.push(request.url);
    const { status = 200, headers = {}, body = "" } = await released.promise;
    response.writeHead(status, headers).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  const release = (answer) => released.resolve(answer);
  const hold = () => {
    released = Promise.withResolvers();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, asked, release, hold };
}
