// The token, and requests with it.

const KEPT_AS = "tidegate-token";

/** The listener wants a token, or another one. */
export class Refused extends Error {}

/** What the listener has against a request: its problem details. */
export class Problem extends Error {
  constructor({ detail, hint }) {
    super(hint ? `${detail} (${hint})` : detail);
  }
}

export const token = {
  // Of this tab, over a reload of the page and not beyond: no other tab and no later visitor of
  // this browser can use it.
  get: () => sessionStorage.getItem(KEPT_AS),
  keep: (text) => sessionStorage.setItem(KEPT_AS, text),
  forget: () => sessionStorage.removeItem(KEPT_AS),
};

/** An answer with a body that is still to come. */
export async function open(path, { method = "GET", body, signal } = {}) {
  const headers = {};
  if (token.get() !== null) headers.Authorization = `Bearer ${token.get()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
  if (answer.status === 401) throw new Refused();
  if (!answer.ok) throw new Problem(await problem(answer));
  return answer;
}

/** What the listener says, as JSON. */
export const ask = async (path, request) => (await open(path, request)).json();

async function problem(answer) {
  try {
    return await answer.json();
  } catch {
    return { detail: `The admin listener answers with ${answer.status}.` };
  }
}
