// Server-sent events. `EventSource` cannot show a token, so they are read off a stream.

import { Refused, open } from "./access.js";

/** Milliseconds without an event after which nobody is there: one comes each second. */
const SILENCE = 8000;
/** Milliseconds between attempts. */
const PAUSE = 1000;

/**
 * Hands each event to `heard`, for ever: when the connection is lost, `lost` is told and another
 * one is tried. Ends when a token is wanted.
 *
 * @param {string} path
 * @param {{ heard: (name: string, data: any) => void, lost: () => void }} who
 */
export async function follow(path, { heard, lost }) {
  for (;;) {
    const silence = new AbortController();
    try {
      await listen(path, heard, silence);
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    silence.abort();
    lost();
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

async function listen(path, heard, silence) {
  let timer = setTimeout(() => silence.abort(), SILENCE);
  const answer = await open(path, { signal: silence.signal });
  const texts = answer.body.pipeThrough(new TextDecoderStream());
  let rest = "";
  for await (const text of texts) {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE);
    const events = (rest + text).split("\n\n");
    rest = events.pop();
    events.forEach((event) => tell(event, heard));
  }
  clearTimeout(timer);
}

function tell(event, heard) {
  const fields = event.split("\n").map((line) => line.split(/: (.*)/s));
  const field = (name) => fields.find(([known]) => known === name)?.[1];
  heard(field("event"), JSON.parse(field("data")));
}
