// The dashboard: follows what the shim tells each second, and shows it.

import { Refused, ask, token } from "./access.js";
import { Chart } from "./chart.js";
import { follow } from "./events.js";
import { badge, notice, showChecks, showForce, showState, showTiles } from "./head.js";
import { lookForBlocked, showLimits } from "./limits.js";
import { beginPurges } from "./operate.js";
import { showSections } from "./sections.js";
import { say } from "./table.js";
import { Recent } from "./recent.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);

/** Seconds that the history keeps, as the shim does. */
const HISTORY = 3600;
/** Milliseconds between two looks at what no event tells: overrides, who is blocked. */
const LOOK_EVERY = 2000;

const recent = new Recent();
let history = [];
let isPaused = false;
let isLooking = false;

const requests = new Chart("Requests a second", words.rate, [
  { name: "all", colour: "main", of: ({ requests }) => requests, join: "mean" },
  { name: "from the cache", colour: "hit", style: "area", of: ({ hits }) => hits, join: "mean" },
  { name: "refused (429)", colour: "slow", style: "dashed", of: ({ refused }) => refused, join: "mean" },
  { name: "failed (5xx)", colour: "bad", style: "dotted", of: ({ failed }) => failed, join: "mean" },
]);
const times = new Chart("How long answers took", words.took, [
  { name: "p50", colour: "hit", of: ({ p50 }) => p50, join: "mean" },
  { name: "p95", colour: "main", style: "dashed", of: ({ p95 }) => p95, join: "mean" },
  { name: "p99", colour: "slow", style: "dotted", of: ({ p99 }) => p99, join: "most" },
]);

function heard(event, data) {
  if (event === "history") {
    history = data;
    recent.clear();
    if (!$("numbers").hidden) return;
    // The shortest span that shows all there is.
    const spans = [...$("span").options].map(({ value }) => Number(value));
    $("span").value = String(spans.find((span) => history.length <= span) ?? spans.at(-1));
    return;
  }
  const second = recent.add(data);
  if (second !== null) {
    history.push(second);
    if (history.length > HISTORY) history.shift();
  }
  notice("lost", null);
  $("access").hidden = true;
  $("numbers").hidden = $("pause").hidden = false;
  $("forget").hidden = token.get() === null;
  if (isPaused) badge("paused", "paused");
  else show();
  if (!isLooking) look();
}

function show() {
  showState(recent.latest);
  showChecks(recent.latest);
  showTiles(recent);
  drawCharts();
  showSections(recent);
  showLimits(recent);
}

function drawCharts() {
  // A connection that is new has told the history alone.
  if (recent.latest === undefined) return;
  const span = Number($("span").value);
  const now = recent.latest.at;
  for (const chart of [requests, times]) chart.draw(history, span, now);
}

function lost() {
  badge("lost", "not connected");
  notice("lost", "The shim does not answer. What is shown is what it said last; it is asked again each second.", "bad");
}

/** Looks at what no event tells, for as long as the numbers are shown. */
async function look() {
  isLooking = true;
  while (!$("numbers").hidden) {
    if (!isPaused && !document.hidden) {
      try {
        showForce(await ask("/status"));
        await lookForBlocked();
      } catch {
        // Who follows the events says what is wrong.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
  isLooking = false;
}

async function begin() {
  try {
    await follow("/events", { heard, lost });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    wantToken();
  }
}

function wantToken() {
  const wasShown = token.get() !== null;
  token.forget();
  badge("", "locked");
  notice("lost", null);
  $("numbers").hidden = $("pause").hidden = $("forget").hidden = true;
  $("access").hidden = false;
  say($("token-error"), wasShown ? "This is not the token of this admin listener." : "");
  $("token").value = "";
  $("token").focus();
}

$("access-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token.keep($("token").value.trim());
  begin();
});
$("forget").addEventListener("click", () => {
  token.forget();
  location.reload();
});
$("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  $("pause").setAttribute("aria-pressed", String(isPaused));
  if (isPaused) badge("paused", "paused");
  else if (recent.latest !== undefined) show();
});
$("span").addEventListener("change", drawCharts);
$("charts").append(requests.figure, times.figure);
beginPurges();
begin();
