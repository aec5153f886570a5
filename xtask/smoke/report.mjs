// What people read, and what programs do.

const WIDTH = 100;
const INDENT = "                  ";

const isTerminal = process.stdout.isTTY === true;
const bold = (text) => (isTerminal ? `\x1b[1m${text}\x1b[0m` : text);

/** One question and what came of it. */
export function printFinding({ name, question, answer, seen, advice }) {
  const title = answer === "differs" ? bold("DIFFERS") : answer;
  const padding = " ".repeat(INDENT.length - 2 - answer.length);
  console.log(`  ${title}${padding}${bold(name)}: ${question}`);
  console.log(wrapped(seen, INDENT, INDENT));
  if (advice) console.log(wrapped(advice, `${INDENT}→ `, `${INDENT}  `));
}

/** How the run went as a whole. */
export function printSummary({ findings, requests, seconds }) {
  const count = (answer) => findings.filter((finding) => finding.answer === answer).length;
  const counts = ["as expected", "differs", "cannot be told"].map((answer) => {
    const plural = answer === "differs" && count(answer) !== 1 ? "differ" : answer;
    return `${count(answer)} ${plural}`;
  });
  console.log(bold(`\n${counts.join(", ")}; ${requests} requests in ${seconds} s`));
}

function wrapped(text, first, rest) {
  const lines = [];
  let line = first;
  for (const word of text.split(" ")) {
    if (line.length + word.length > WIDTH && line.trim() !== "" && line !== first) {
      lines.push(line.trimEnd());
      line = rest;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()].join("\n");
}
