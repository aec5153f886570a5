// Routes that bypass the cache stream through the edge untouched, over real sockets both ways.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import test from "node:test";

import { openRawGate } from "./harness.mjs";

const PATH = "/api/v1/anything";

test("methods, fields and bodies arrive as they were sent", async (t) => {
  const bodies = [];
  const { edge, origin } = await openRawGate(t, async (asked) => {
    bodies.push(await body(asked));
    asked.say("200 OK\r\nX-Own: 1\r\nContent-Length: 2", asked.method === "HEAD" ? "" : "ok");
  });
  const methods = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "GET"];
  for (const method of methods) {
    const text = ["GET", "HEAD"].includes(method) ? undefined : `body of ${method}`;
    const headers = { "Content-Type": "text/x-own", "X-Sent": method };
    // For DELETE and OPTIONS node says no length by itself.
    if (text) headers["Content-Length"] = text.length;
    const answer = await finish(ask(edge, PATH, { method, headers }), text);
    assert.deepEqual([answer.status, answer.headers["x-own"]], [200, "1"], method);
  }
  assert.deepEqual(origin.asked.map(({ method }) => method), methods);
  assert.deepEqual(origin.asked.map(({ headers }) => headers.get("x-sent")), methods);
  assert.deepEqual(bodies.slice(0, 5), methods.slice(0, 5).map((method) => `body of ${method}`));
  assert.ok(origin.asked.every(({ headers }) => headers.get("content-type") === "text/x-own"));
});

test("a request body streams: its begin is there before its end is sent", async (t) => {
  const begun = Promise.withResolvers();
  const { edge } = await openRawGate(t, async (asked) => {
    const text = await body(asked, (soFar) => soFar.includes("begin") && begun.resolve());
    asked.say("200 OK", text);
  });
  const request = ask(edge, PATH, { method: "POST" });
  request.write("begin, ");
  await begun.promise;
  assert.equal((await finish(request, "end")).text, "begin, end");
});

test("an answer streams: each server-sent event is there before the next is sent", async (t) => {
  let next = Promise.withResolvers();
  const { edge } = await openRawGate(t, async ({ socket }) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
    for (const n of [1, 2, 3]) {
      await next.promise;
      next = Promise.withResolvers();
      socket.write(`data: ${n}\n\n`);
    }
    socket.end();
  });
  const [answer] = await once(ask(edge, PATH, { headers: { Accept: "text/event-stream" } }).end(), "response");
  assert.equal(answer.headers["content-type"], "text/event-stream");
  const chunks = answer[Symbol.asyncIterator]();
  for (const n of [1, 2, 3]) {
    next.resolve();
    const { value } = await chunks.next();
    assert.equal(value.toString(), `data: ${n}\n\n`);
  }
  assert.equal((await chunks.next()).done, true);
});

test("megabytes go through in both directions, byte by byte", async (t) => {
  const SIZE = 24 << 20;
  const { edge } = await openRawGate(t, ({ headers, rest, socket }) => {
    const length = Number(headers.get("content-length"));
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`);
    socket.write(rest);
    let left = length - rest.length;
    socket.on("data", (chunk) => {
      left -= chunk.length;
      // What comes back comes as fast as it goes.
      if (!socket.write(chunk)) socket.pause();
      if (left === 0) socket.end();
    });
    socket.on("drain", () => socket.resume());
  });
  const sent = Buffer.alloc(SIZE, (n) => n % 251);
  const request = ask(edge, PATH, { method: "PUT", headers: { "Content-Length": SIZE } });
  request.end(sent);
  const [answer] = await once(request, "response");
  const [hash, expected] = [createHash("sha256"), createHash("sha256").update(sent)];
  for await (const chunk of answer) hash.update(chunk);
  assert.equal(hash.digest("hex"), expected.digest("hex"));
});

test("redirects are the client's to follow", async (t) => {
  const { edge, origin } = await openRawGate(t, ({ say }) =>
    say("302 Found\r\nLocation: /api/v1/elsewhere\r\nContent-Length: 0"));
  for (const method of ["GET", "POST"]) {
    const answer = await finish(ask(edge, PATH, { method }));
    assert.deepEqual([answer.status, answer.headers.location], [302, "/api/v1/elsewhere"]);
  }
  assert.equal(origin.asked.length, 2);
});

test("a WebSocket goes through, text and bytes, both ways, until either end closes", async (t) => {
  const { edge, origin } = await openRawGate(t, echo);
  const socket = new WebSocket(new URL("/api/v1/socket?room=1", edge.url), "chat");
  socket.binaryType = "arraybuffer";
  await once(socket, "open");
  assert.equal(socket.protocol, "chat");
  for (const message of ["hello", "ü".repeat(200), new Uint8Array([0, 255, 7])]) {
    socket.send(message);
    const [{ data }] = await once(socket, "message");
    assert.deepEqual(typeof data === "string" ? data : new Uint8Array(data), message);
  }
  assert.equal(origin.asked[0].headers.get("upgrade"), "websocket");
  assert.ok(origin.asked[0].headers.has("signature"), "signed like all others");
  socket.close(1000, "done");
  const [closed] = await once(socket, "close");
  assert.equal(closed.code, 1000);
});

test("what refuses a WebSocket is an answer like any other", async (t) => {
  const { edge } = await openRawGate(t, ({ say }) => say("403 Forbidden\r\nContent-Length: 2", "no"));
  const headers = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const answer = await finish(ask(edge, PATH, { headers }));
  assert.deepEqual([answer.status, answer.text], [403, "no"]);
});

function ask(edge, target, { method = "GET", headers } = {}) {
  const signal = AbortSignal.timeout(20_000);
  return http.request(new URL(target, edge.url), { method, headers, signal });
}

async function finish(request, text) {
  request.end(text);
  const [answer] = await once(request, "response");
  const pieces = await Array.fromAsync(answer);
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text: Buffer.concat(pieces).toString(),
  };
}

/** The text of a request's body, of known length or in chunks. */
async function body({ headers, rest, socket }, heard = () => {}) {
  let all = rest;
  const length = headers.get("content-length");
  const is_whole = () => {
    if (length !== undefined) return all.length >= Number(length);
    return !headers.has("transfer-encoding") || all.includes("0\r\n\r\n");
  };
  heard(all.toString());
  while (!is_whole()) {
    const [chunk] = await once(socket, "data");
    all = Buffer.concat([all, chunk]);
    heard(all.toString());
  }
  if (length !== undefined || !headers.has("transfer-encoding")) return all.toString();
  let text = "";
  for (let left = all.toString(); ; ) {
    const [size] = left.split("\r\n", 1);
    const count = Number.parseInt(size, 16);
    if (count === 0) return text;
    text += left.slice(size.length + 2, size.length + 2 + count);
    left = left.slice(size.length + 2 + count + 2);
  }
}

/** A server of WebSockets (RFC 6455) that says what it hears. */
function echo({ headers, rest, socket }) {
  const key = `${headers.get("sec-websocket-key")}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash("sha1").update(key).digest("base64");
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    `Sec-WebSocket-Protocol: ${headers.get("sec-websocket-protocol")}`,
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  let heard = rest;
  socket.on("data", (chunk) => {
    heard = Buffer.concat([heard, chunk]);
    for (;;) {
      if (heard.length < 2) return;
      const short = heard[1] & 127;
      const [length, begin] = short < 126 ? [short, 2] : [heard.readUInt16BE(2), 4];
      if (heard.length < begin + 4 + length) return;
      const mask = heard.subarray(begin, begin + 4);
      const content = heard.subarray(begin + 4, begin + 4 + length).map((byte, at) => byte ^ mask[at % 4]);
      const size = length < 126 ? [length] : [126, length >> 8, length & 255];
      socket.write(Buffer.concat([Buffer.from([heard[0], ...size]), content]));
      if ((heard[0] & 15) === 8) socket.end();
      heard = heard.subarray(begin + 4 + length);
    }
  });
}
