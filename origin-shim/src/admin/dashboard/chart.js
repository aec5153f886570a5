// Lines over time, as SVG.

import { element, say } from "./table.js";

const SVG = "http://www.w3.org/2000/svg";
/** Points of a line at most; seconds in between are taken together. */
const POINTS = 180;
const [WIDTH, HEIGHT] = [1000, 100];

export class Chart {
  #lines;
  #svg;
  #top;
  #from;
  #title;
  #unit;

  /**
   * @param {string} title
   * @param {(value: number) => string} unit
   * @param {{ name: string, colour: string, style?: string, of: (second: any) => number | null,
   *   join: "mean" | "most" }[]} lines
   */
  constructor(title, unit, lines) {
    [this.#title, this.#unit] = [title, unit];
    this.#svg = document.createElementNS(SVG, "svg");
    this.#svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.#svg.setAttribute("preserveAspectRatio", "none");
    this.#svg.setAttribute("role", "img");
    this.#lines = lines.map((line) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", `s-${line.colour} ${line.style ?? ""}`);
      this.#svg.append(path);
      return { ...line, path };
    });
    this.#top = element("span", { class: "top", "aria-hidden": "true" });
    this.#from = element("span");
    const legend = lines.map(({ name, colour, style = "" }) => element("span", { class: `s-${colour} ${style}` }, name));
    this.figure = element(
      "figure",
      {},
      element("figcaption", {}, element("strong", {}, title), ...legend),
      element("div", { class: "plot" }, this.#svg, this.#top),
      element("div", { class: "axis", "aria-hidden": "true" }, this.#from, element("span", {}, "now")),
    );
  }

  /** Draws the last `span` seconds before `now`, a time in milliseconds. */
  draw(seconds, span, now) {
    const begin = now - span * 1000;
    const shown = seconds.filter(({ at }) => at >= begin);
    const size = Math.max(1, Math.ceil(span / POINTS)) * 1000;
    const drawn = this.#lines.map((line) => ({ line, points: join(shown, line, size) }));
    const most = Math.max(0, ...drawn.flatMap(({ points }) => points.map(([, value]) => value ?? 0)));
    const top = round(most);
    const place = ([at, value]) => [
      ((at - begin) / (span * 1000)) * WIDTH,
      HEIGHT - (top > 0 ? value / top : 0) * (HEIGHT - 2) - 1,
    ];
    for (const { line, points } of drawn) {
      const isArea = line.style === "area";
      line.path.setAttribute("d", path(points, place, isArea, size));
    }
    say(this.#top, top > 0 ? this.#unit(top) : "");
    say(this.#from, span >= 3600 ? "an hour ago" : `${span / 60} minutes ago`);
    const latest = drawn.map(({ line, points }) => {
      const value = points.at(-1)?.[1] ?? null;
      return `${line.name} ${value === null ? "none" : this.#unit(value)}`;
    });
    // Read when somebody looks at it; it is no live region.
    this.#svg.setAttribute("aria-label", `${this.#title}: ${latest.join(", ")}; at most ${this.#unit(most)}`);
  }
}

/** Seconds taken together, by spans of the clock, so that no point moves as time goes on. */
function join(seconds, line, size) {
  const spans = new Map();
  for (const second of seconds) {
    const value = line.of(second);
    const at = Math.floor(second.at / size) * size;
    const span = spans.get(at) ?? spans.set(at, []).get(at);
    if (value !== null) span.push(value);
  }
  const joined = (values) => {
    if (values.length === 0) return null;
    if (line.join === "most") return Math.max(...values);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  return [...spans].map(([at, values]) => [at + size / 2, joined(values)]);
}

/** A line that is broken where there is nothing to tell. */
function path(points, place, isArea, size) {
  const runs = [];
  let last;
  for (const point of points) {
    const follows = last !== undefined && last[1] !== null && point[0] - last[0] <= size * 2.5;
    if (point[1] !== null) {
      if (follows) runs.at(-1).push(place(point));
      else runs.push([place(point)]);
    }
    last = point;
  }
  const text = (run) => run.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L");
  return runs
    .map((run) => {
      // A single point is a dash, so that it can be seen.
      const whole = run.length === 1 ? [run[0], [run[0][0] + 2, run[0][1]]] : run;
      if (!isArea) return `M${text(whole)}`;
      return `M${whole[0][0].toFixed(1)},${HEIGHT}L${text(whole)}L${whole.at(-1)[0].toFixed(1)},${HEIGHT}Z`;
    })
    .join("");
}

/** The next number that is one, two or five of its power of ten. */
function round(most) {
  if (most <= 0) return 0;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= most * 0.999) ?? most;
}
