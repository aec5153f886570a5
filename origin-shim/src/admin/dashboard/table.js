// Tables whose rows stay the same elements while their numbers change: what has the focus keeps
// it, and what is selected stays selected.

/** An element with attributes and children. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Changes a text only if it is another one. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export class Table {
  #body;
  #rows = new Map();
  #columns;
  #empty;

  /**
   * @param {HTMLElement} place
   * @param {object} about
   * @param {string} about.caption
   * @param {string} about.empty what stands there while there is no row
   * @param {{ title: string, text?: boolean, mono?: boolean, of?: (row: any) => string,
   *   part?: (row: any) => number | null, full?: boolean,
   *   button?: (row: any) => { text: string, label: string, press: () => void } }[]} about.columns
   *   the first one names the row; `part` draws a share of 1 below the text
   */
  constructor(place, { caption, empty, columns }) {
    this.#columns = columns;
    // Told anew, because a narrow screen shows them as blocks.
    this.#body = element("tbody", { role: "rowgroup" });
    const head = columns.map(({ title, text }, at) =>
      element("th", { scope: "col", role: "columnheader", class: text || at === 0 ? "text" : undefined }, title),
    );
    const heads = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...head));
    place.replaceChildren(
      element("table", { role: "table" }, element("caption", {}, caption), heads, this.#body),
    );
    const cell = element("td", { class: "empty", colspan: String(columns.length), role: "cell" }, empty);
    this.#empty = element("tr", { role: "row" }, cell);
    this.#body.append(this.#empty);
  }

  /** @param {any[]} rows @param {(row: any) => string} key @param {(row: any) => boolean} [isBad] */
  show(rows, key, isBad = () => false) {
    const before = this.#rows;
    this.#rows = new Map();
    rows.forEach((row, at) => {
      const shown = before.get(key(row)) ?? this.#make();
      before.delete(key(row));
      this.#rows.set(key(row), shown);
      shown.row = row;
      this.#columns.forEach((column, at) => fill(shown.cells[at], column, row));
      shown.element.classList.toggle("bad", isBad(row));
      // Only what is elsewhere is moved: moving takes the focus away.
      if (this.#body.children[at] !== shown.element) {
        this.#body.insertBefore(shown.element, this.#body.children[at] ?? null);
      }
    });
    before.forEach((gone) => gone.element.remove());
    if (rows.length === 0) this.#body.append(this.#empty);
    else this.#empty.remove();
  }

  #make() {
    const shown = { row: undefined };
    shown.cells = this.#columns.map((column, at) => {
      const classes = [column.text && "text", column.mono && "mono"].filter(Boolean).join(" ");
      const attributes = { class: classes || undefined, "data-label": column.title };
      const cell =
        at === 0
          ? element("th", { scope: "row", role: "rowheader", class: classes || undefined })
          : element("td", { role: "cell", ...attributes });
      if (column.button !== undefined) {
        const button = element("button", { type: "button" });
        button.addEventListener("click", () => column.button(shown.row).press());
        cell.append(button);
      } else {
        cell.append(element("span"));
      }
      if (column.part !== undefined) {
        const classes = column.full ? "share full" : "share";
        cell.append(element("span", { class: classes, "aria-hidden": "true" }));
      }
      return cell;
    });
    shown.element = element("tr", { role: "row" }, ...shown.cells);
    return shown;
  }
}

function fill(cell, column, row) {
  const [first, bar] = cell.children;
  if (column.button !== undefined) {
    const { text, label } = column.button(row);
    say(first, text);
    if (first.getAttribute("aria-label") !== label) first.setAttribute("aria-label", label);
  } else {
    say(first, column.of(row));
  }
  bar?.style.setProperty("--part", String(column.part(row) ?? 0));
}
