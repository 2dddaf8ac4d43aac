/** The pane beside the grid: all values of one row, and the active one in full. */

import { $, el, grouped } from "./dom.js";
import { button } from "./popover.js";
import { shown } from "./values.js";

const FIELDS = 200;
const CHILDREN = 500;

export class Detail {
  /** @param {import("./grid.js").Grid} grid */
  constructor(grid) {
    this.grid = grid;
    this.view = grid.view;
    this.drawn = "";
    this.asked = 0;
    $("detail").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.close());
    grid.drawn.push(() => this.refresh());
  }

  get open() {
    return !$("detail").hidden;
  }

  show() {
    if (this.grid.selection.row < 0 || !this.view.total) return;
    $("detail").hidden = false;
    this.drawn = "";
    this.grid.measure();
    this.grid.show(this.grid.selection.row, this.grid.selection.column);
    this.refresh();
  }

  close() {
    $("detail").hidden = true;
    this.grid.measure();
    this.grid.box.focus();
  }

  refresh() {
    const { selection, rows } = this.grid;
    const row = Math.max(0, selection.row);
    const id = rows.id(row);
    const key = JSON.stringify([id, selection.column, this.view.epoch, this.view.state.hidden]);
    if (!this.open || key === this.drawn || id === undefined) return;
    this.drawn = key;
    const whole = el("div", { class: "value" }, "…");
    const { name = "", dtype = "" } = this.view.columns[selection.column] ?? {};
    const list = el("dl", {});
    $("detail").replaceChildren(
      el("div", { class: "line" }, el("h2", {}, `Row ${grouped(row + 1)}`), button("×", () => this.close(), { class: "plain", "aria-label": "Close the row" })),
      el("h3", {}, name, el("small", {}, dtype)),
      whole,
      list,
    );
    if (rows.cell(row, selection.column) === null) whole.replaceChildren(el("span", { class: "faint" }, "null"));
    else this.fetch(id, selection.column, whole);
    this.list(row, list);
  }

  /** @param {number} row @param {any} list */
  async list(row, list) {
    const mine = ++this.asked;
    const { order } = this.grid.columns;
    const listed = order.slice(0, FIELDS);
    try {
      const [cells] = (await this.grid.rows.read(row, row, listed)).rows;
      if (mine !== this.asked) return;
      list.replaceChildren(...listed.flatMap((index, at) => {
        const { name, kind } = this.view.columns[index];
        const [text, look] = shown(cells[at], kind, true);
        const go = () => this.grid.selection.go(this.grid.selection.row, index);
        return [el("dt", {}, button(name || "unnamed", go, { class: "plain" })), el("dd", { class: look }, text)];
      }));
      if (order.length > FIELDS) list.append(el("dt", {}, `and ${grouped(order.length - FIELDS)} more columns`));
    } catch {
      // The head of the pane says what is wrong
    }
  }

  /** @param {number} id @param {number} column @param {any} place */
  async fetch(id, column, place) {
    try {
      const found = await this.view.carrier.ask({ do: "detail", row: id, column, version: this.view.description.version });
      const nested = found.json !== undefined && found.json !== null && typeof found.json === "object";
      place.replaceChildren(nested ? tree(found.json) : el("pre", {}, found.text + (found.cut ? "…" : "")));
    } catch (error) {
      place.replaceChildren(el("p", { class: "wrong" }, /** @type {Error} */ (error).message));
    }
  }
}

/**
 * A nested value, of which a level is made when it is opened.
 * @param {any} value
 * @returns {any}
 */
function tree(value) {
  if (value === null || typeof value !== "object") return el("span", { class: "leaf" }, JSON.stringify(value));
  const entries = Object.entries(value);
  const list = el("ul", {}, ...entries.slice(0, CHILDREN).map(([name, child]) => {
    if (child === null || typeof child !== "object") return el("li", {}, el("b", {}, name), " ", tree(child));
    const size = Array.isArray(child) ? `[${child.length}]` : `{${Object.keys(child).length}}`;
    const inner = el("details", {}, el("summary", {}, el("b", {}, name), " ", el("small", {}, size)));
    inner.addEventListener("toggle", () => inner.open && inner.children.length < 2 && inner.append(tree(child)));
    return el("li", {}, inner);
  }));
  if (entries.length > CHILDREN) list.append(el("li", {}, `and ${grouped(entries.length - CHILDREN)} more`));
  return list;
}
