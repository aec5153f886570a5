// What changes something: asked about first, and told afterwards.

import { Problem, Refused, ask } from "./access.js";
import { notice } from "./head.js";
import { say } from "./table.js";

const $ = (id) => document.getElementById(id);

/** What the kinds of a purge are called where their value is asked for, and in a question. */
const KINDS = {
  keys: ["URL, or a path on all hosts", (value) => `the stored answers to ${value}`],
  tags: ["Tag, such as team:42", (value) => `all that is stored with the tag ${value}`],
  prefixes: ["What URLs begin with, or paths on all hosts", (value) => `all that is stored for URLs that begin with ${value}`],
  everything: [null, () => "everything that is stored"],
};

/** Lets a blocked client in again, after a question. */
export async function unblock(limit, client) {
  const text = `${client} gets its whole quota under ${limit}.`;
  if (!(await isMeant("Unblock this client?", text, "Unblock"))) return;
  const path = `/limits/${encodeURIComponent(limit)}/blocked/${encodeURIComponent(client)}`;
  await carryOut(async () => {
    await ask(path, { method: "DELETE" });
    return `${client} is let in again under ${limit}.`;
  });
}

/** Makes the form of purges work. */
export function beginPurges() {
  $("purge-kind").addEventListener("change", showKind);
  $("purge").addEventListener("submit", (event) => {
    event.preventDefault();
    purge($("purge-kind").value, $("purge-value").value.trim());
  });
  showKind();
}

function showKind() {
  const [label] = KINDS[$("purge-kind").value];
  $("purge-label").hidden = $("purge-value").hidden = label === null;
  $("purge-value").required = label !== null;
  if (label !== null) say($("purge-label"), label);
}

async function purge(kind, value) {
  const what = KINDS[kind][1](value);
  const text = `This voids ${what}, here and in shims that share a Redis with this one. The next requests ask the origin.`;
  if (!(await isMeant("Purge this?", text, "Purge"))) return;
  await carryOut(async () => {
    const body = kind === "everything" ? { everything: true } : { [kind]: [value] };
    const { elsewhere } = await ask("/purge", { method: "POST", body });
    const others = elsewhere === null ? "" : `; in other shims ${elsewhere}`;
    $("purge-value").value = "";
    return `Purged: ${what}, here now${others}.`;
  });
}

/** Does it, and tells how it went. */
async function carryOut(work) {
  try {
    notice("done", await work(), "good");
  } catch (error) {
    if (error instanceof Refused) notice("done", "The listener wants its token: load this page anew.", "bad");
    else if (error instanceof Problem) notice("done", error.message, "bad");
    else notice("done", "The shim does not answer, so nothing was changed.", "bad");
  }
}

/** Asks a person; whether the answer is yes. */
function isMeant(title, text, yes) {
  const dialog = $("confirm");
  say($("confirm-title"), title);
  say($("confirm-text"), text);
  say($("confirm-yes"), yes);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const answered = new AbortController();
    const once = { signal: answered.signal };
    $("confirm-yes").addEventListener("click", () => dialog.close("yes"), once);
    $("confirm-no").addEventListener("click", () => dialog.close(), once);
    const close = () => {
      answered.abort();
      resolve(dialog.returnValue === "yes");
    };
    dialog.addEventListener("close", close, once);
  });
}
