// The page: asks the core at each change, and shows what it says.

import { beginEditor, goTo, mark } from "./editor.js";
import { load } from "./core.js";
import { preload } from "./preload.js";
import { showAnswer, showBroken } from "./answer.js";

const $ = (id) => document.getElementById(id);
const FIELDS = ["policy", "environment", "method", "url", "headers", "client", "user"];
/** Milliseconds of rest before the core is asked: it takes one or two, a word takes longer. */
const REST = 120;

let decide;
let timer;

function ask() {
  const question = Object.fromEntries(FIELDS.map((id) => [id, $(id).value]));
  let answer;
  try {
    answer = JSON.parse(decide(JSON.stringify({ ...question, now: Date.now() })));
  } catch (error) {
    return showBroken(error);
  }
  mark(answer.errors, answer.warnings);
  showAnswer(answer, goTo);
}

async function begin() {
  decide = await load();
  const { text, whose } = await preload();
  $("policy").value = text;
  $("whose").textContent = whose;
  beginEditor();
  for (const id of FIELDS) {
    $(id).addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, REST);
    });
  }
  ask();
}

begin().catch(showBroken);
