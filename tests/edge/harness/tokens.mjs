// Real JSON Web Tokens, with keys made for the test, and a server of key sets.

import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import http from "node:http";

/** Where the worker under test looks for its key set: compiled into its policy by xtask. */
const KEY_SERVER = { host: "127.0.0.1", port: 47917 };

export const SECRET = "of the tests, and no longer a secret";

/** @typedef {{ kid: string, alg: string, jwk?: object, sign: (input: string) => Buffer }} Signer */

/** @returns {Signer} */
export const hs256 = (kid, secret = SECRET) => ({
  kid,
  alg: "HS256",
  sign: (input) => createHmac("sha256", secret).update(input).digest(),
});

/** @returns {Signer} */
export function rs256(kid) {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid, use: "sig" };
  return { kid, alg: "RS256", jwk, sign: (input) => sign("sha256", Buffer.from(input), privateKey) };
}

/** @returns {Signer} */
export function es256(kid) {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = { key: privateKey, dsaEncoding: "ieee-p1363" };
  const jwk = { ...publicKey.export({ format: "jwk" }), kid };
  return { kid, alg: "ES256", jwk, sign: (input) => sign("sha256", Buffer.from(input), key) };
}

/** Seconds since 1970. */
export const now = () => Math.floor(Date.now() / 1000);

/** A token of `sub` that is good for five minutes, unless claims or header say otherwise. */
export function token(signer, sub, claims = {}, header = {}) {
  const encode = (json) => Buffer.from(JSON.stringify(json)).toString("base64url");
  const head = encode({ alg: signer.alg, kid: signer.kid, ...header });
  const input = `${head}.${encode({ sub, exp: now() + 300, ...claims })}`;
  return `${input}.${signer.sign(input).toString("base64url")}`;
}

/**
 * Serves the public keys of `signers` for as long as the test runs.
 * @param {import("node:test").TestContext} t
 */
export async function serveKeys(t, signers) {
  const served = { asked: 0, status: 200, signers };
  const server = http.createServer((_, answer) => {
    served.asked += 1;
    answer.writeHead(served.status, { "content-type": "application/json" });
    answer.end(JSON.stringify({ keys: served.signers.map(({ jwk }) => jwk) }));
  });
  server.listen(KEY_SERVER);
  await once(server, "listening");
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  return served;
}
