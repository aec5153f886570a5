// An origin on bare sockets, which says byte by byte what the test wants, and keeps what it was
// asked.

import { once } from "node:events";
import net from "node:net";

/**
 * @param {import("node:test").TestContext} t
 * @param {(asked: Asked) => unknown} answer gets each request once its head is there
 * @returns {Promise<RawOrigin>}
 *
 * @typedef {object} RawOrigin
 * @property {string} url
 * @property {Asked[]} asked what was asked for, so far
 * @property {() => Promise<void>} leave has nobody be there any more
 *
 * @typedef {object} Asked
 * @property {string} method
 * @property {string} target
 * @property {Map<string, string>} headers by lower-case names
 * @property {Buffer} rest what has come behind the head
 * @property {net.Socket} socket
 * @property {(head: string, body?: string) => void} say answers, and ends the connection
 */
export async function startRawOrigin(t, answer) {
  const asked = [];
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // Who breaks off is the edge's business.
    socket.on("error", () => {});
    let heard = Buffer.alloc(0);
    socket.on("data", function listen(chunk) {
      heard = Buffer.concat([heard, chunk]);
      const end = heard.indexOf("\r\n\r\n");
      if (end < 0) return;
      socket.off("data", listen);
      const request = read(heard.subarray(0, end).toString("latin1"));
      const say = (head, body = "") => socket.end(`HTTP/1.1 ${head}\r\nConnection: close\r\n\r\n${body}`);
      const all = { ...request, rest: heard.subarray(end + 4), socket, say };
      asked.push(all);
      answer(all);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const leave = async () => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  t.after(leave);
  return { url: `http://127.0.0.1:${server.address().port}`, asked, leave };
}

function read(head) {
  const [line, ...lines] = head.split("\r\n");
  const [method, target] = line.split(" ");
  const headers = lines.map((field) => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
  });
  return { method, target, headers: new Map(headers) };
}
