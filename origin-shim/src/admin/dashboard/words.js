// Numbers as people read them, the same as `tidegate top` writes them.

/** So many a second. */
export function rate(number) {
  if (number === null) return "–";
  if (number === 0) return "0";
  return number < 10 ? number.toFixed(1) : Math.round(number).toLocaleString("en");
}

export const count = (number) => number.toLocaleString("en");

/** A part of a whole, from 0 to 1. */
export const share = (part) => (part === null ? "–" : `${(part * 100).toFixed(1)} %`);

/** Seconds that something took. */
export function took(seconds) {
  if (seconds === null) return "–";
  if (seconds >= 1) return `${seconds.toFixed(1)} s`;
  return seconds >= 0.01 ? `${Math.round(seconds * 1e3)} ms` : `${(seconds * 1e3).toFixed(2)} ms`;
}

export function bytes(number) {
  if (number === null || number === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; number >= 1024 && at < units.length - 1; at += 1) number /= 1024;
  return `${at === 0 ? number : number.toFixed(1)} ${units[at]}`;
}

/** How long something has been going on. */
export function since(seconds) {
  const parts = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([number]) => number > 0);
  if (first < 0) return "0 s";
  const shown = parts.slice(first, first + 2).filter(([number]) => number > 0);
  return shown.map(([number, unit]) => `${number} ${unit}`).join(" ");
}

/** The time of day of an instant, as this machine counts it. */
export const clock = (instant) => new Date(instant).toLocaleTimeString("en-GB");

/** An instant that may be on another day. */
export function day(instant) {
  const date = new Date(instant);
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? clock(date) : `${date.toLocaleDateString("en-CA")} ${clock(date)}`;
}
