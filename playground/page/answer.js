// What the core answers, put into the page.

const $ = (id) => document.getElementById(id);

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A text that is said aloud is changed only if it is another. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {(line: number, column?: number) => void} goTo */
export function showAnswer({ errors, warnings, objections, policy, asked }, goTo) {
  const said = [
    ...errors.map((each) => ({ ...each, kind: "error" })),
    ...warnings.map((each) => ({ ...each, kind: "warning" })),
  ];
  const counts = [plural(errors.length, "error"), plural(warnings.length, "warning")].filter(Boolean).join(", ");
  say($("said"), counts === "" ? `Good; hash ${policy}` : `${counts}${policy === null ? "" : `; hash ${policy}`}`);
  $("lines").replaceChildren(...said.map((each) => shownLine(each, goTo)));
  for (const field of ["url", "headers", "client"]) {
    const objection = objections.find((each) => each.field === field);
    say($(`${field}-error`), objection === undefined ? "" : `${objection.message} (${objection.hint})`);
    $(field).setAttribute("aria-invalid", String(objection !== undefined));
  }
  $("policy").setAttribute("aria-invalid", String(errors.length > 0));
  if (asked === null) {
    say($("summary"), errors.length > 0 ? "Nothing is decided by a policy with errors." : "Nothing is decided without a request.");
    $("tiers").replaceChildren();
    return;
  }
  const short = asked.decisions.map(({ tier, decision }) => `${tier}: ${decision}`).join("; ");
  say($("summary"), `${asked.url} by ${asked.identity}. ${short}.`);
  $("tiers").replaceChildren(...asked.decisions.map((decision) => shownTier(decision, goTo)));
}

/** Something that nobody has thought of. */
export function showBroken(error) {
  say($("summary"), `This page does not work here: ${error.message ?? error}`);
}

const plural = (count, word) => (count === 0 ? "" : `${count} ${word}${count === 1 ? "" : "s"}`);

function shownLine({ line, column, code, message, hint, kind }, goTo) {
  const place = element("button", { type: "button" }, `Line ${line}, column ${column}`);
  place.addEventListener("click", () => goTo(line, column));
  const title = code === null ? "" : ` ${code}`;
  return element("li", { class: kind }, place, `${title}: ${message}`, element("div", { class: "hint" }, `Hint: ${hint}`));
}

const NAMES = { edge: "At the edge", origin: "At the shim" };
/** As wide as `tidegate explain` writes the names of values. */
const NAME_WIDTH = 26;

function shownTier({ tier, decision, text }, goTo) {
  const lines = text.trimEnd().split("\n");
  const begin = lines.findIndex((line) => line.endsWith(":") && line.startsWith("  headers"));
  const values = (begin < 0 ? lines : lines.slice(0, begin)).flatMap((line) => shownValue(line, goTo));
  const parts = [
    element("h3", {}, NAMES[tier], element("span", { class: `badge ${decision}` }, decision)),
    element("dl", {}, ...values),
  ];
  if (begin >= 0) {
    const headers = lines.slice(begin + 1);
    parts.push(
      element("p", { class: "hint" }, "The answer to a first request, when the origin says 200 and nothing of caching:"),
      element("pre", {}, headers.map((line) => line.trim()).join("\n")),
    );
  }
  return element("div", { class: "tier" }, ...parts);
}

function shownValue(line, goTo) {
  const name = line.slice(0, NAME_WIDTH).trim();
  const [, value, at] = line.slice(NAME_WIDTH).match(/^(.*?)(?: {2}\(line (\d+)\))?$/);
  const shown = element("dd", {}, value);
  if (at !== undefined) {
    const button = element("button", { type: "button" }, `line ${at}`);
    button.addEventListener("click", () => goTo(Number(at)));
    shown.append(" ", button);
  }
  // Without a name it goes on with what is above it.
  return name === "" ? [shown] : [element("dt", {}, name), shown];
}
