// Line numbers beside a plain field of text, marked where something is wrong.

const $ = (id) => document.getElementById(id);

/** Keeps the numbers in step with the text. */
export function beginEditor() {
  number(new Map());
  $("policy").addEventListener("input", () => number(marks));
  $("policy").addEventListener("scroll", follow);
  new ResizeObserver(follow).observe($("policy"));
}

let marks = new Map();

/** Marks the lines of errors, and of warnings. */
export function mark(errors, warnings) {
  marks = new Map(warnings.map(({ line }) => [line, "warning"]));
  for (const { line } of errors) marks.set(line, "error");
  number(marks);
}

/** Puts the cursor at a place, and the place into view. */
export function goTo(line, column = 1) {
  const field = $("policy");
  const lines = field.value.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  // Columns count characters, positions in a field count halves of them.
  const at = before + [...(lines[line - 1] ?? "")].slice(0, column - 1).join("").length;
  field.focus();
  field.setSelectionRange(at, at);
  field.scrollTop = Math.max(0, (line - 5) * parseFloat(getComputedStyle(field).lineHeight));
  follow();
}

function number(marks) {
  const count = $("policy").value.split("\n").length;
  const lines = Array.from({ length: count }, (_, at) => {
    const kind = marks.get(at + 1);
    if (kind === undefined) return `${at + 1}\n`;
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = `${at + 1}`;
    return span;
  });
  $("gutter").replaceChildren(...lines.flatMap((line) => (typeof line === "string" ? [line] : [line, "\n"])));
  follow();
}

function follow() {
  $("gutter").scrollTop = $("policy").scrollTop;
}
