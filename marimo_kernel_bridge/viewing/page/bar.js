/** What is around the grid: title and counts, sort and filters as chips, search, notices, and the line below. */

import { $, counted, debounced, el, grouped, say } from "./dom.js";
import { button } from "./popover.js";
import { sums } from "./sums.js";
import { filterText, isNumeric } from "./values.js";

const SUMMED = 20_000; // cells of a selection

export class Bar {
  /**
   * @param {import("./grid.js").Grid} grid
   * @param {(column: number) => void} openCard
   */
  constructor(grid, openCard) {
    this.grid = grid;
    this.view = grid.view;
    this.openCard = openCard;
    /** @type {Map<string, any>} */
    this.notices = new Map();
    /** Those of the data that were shown. @type {Set<string>} */
    this.notes = new Set();
    const search = $("search");
    const find = debounced(() => search.value !== this.view.state.search && this.view.set({ search: search.value }), 300);
    search.addEventListener("input", find);
    search.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape" && !search.value) grid.box.focus();
      if (event.key === "Enter" || event.key === "ArrowDown") grid.box.focus();
    });
    this.count = debounced(() => say($("count").textContent), 400);
  }

  describe() {
    const { description } = this.view;
    document.title = description.title;
    $("title").textContent = description.title;
    $("about").textContent = description.kind;
    const notes = new Set(description.notes);
    for (const note of this.notes) if (!notes.has(note)) this.note(`note ${note}`, "");
    for (const note of notes) if (!this.notes.has(note)) this.note(`note ${note}`, note);
    this.notes = notes;
    this.state();
    this.total();
  }

  total() {
    const { view } = this;
    const { rows, columns } = view.description;
    const known = view.totalKnown || (!view.filtered && rows !== null);
    const of = view.filtered && rows !== null ? ` of ${grouped(rows)}` : "";
    const text = `${known ? grouped(view.total) : "…"}${of} rows × ${grouped(columns.length)} columns`;
    if ($("count").textContent === text) return;
    $("count").textContent = text;
    if (known) this.count();
  }

  /** Sort, filters and search, as chips. */
  state() {
    const { view } = this;
    const { sort, filters, search, hidden } = view.state;
    const name = (/** @type {number} */ index) => view.columns[index]?.name || "unnamed";
    const chip = (/** @type {string} */ text, /** @type {() => unknown} */ open, /** @type {() => unknown} */ remove) =>
      el("span", { class: "chip" }, button(text, open), button("×", remove, { "aria-label": `Remove: ${text}` }));
    const chips = [
      ...sort.map(({ column, descending }) => chip(`${name(column)} ${descending ? "↓" : "↑"}`,
        () => view.sortBy(column, true, !descending), () => view.sortBy(column, true, null))),
      ...filters.map((filter) => chip(filterText(filter, name(filter.column)), () => this.openCard(filter.column),
        () => view.set({ filters: view.state.filters.filter((other) => other !== filter) }))),
    ];
    if (search) chips.push(chip(`“${search}”`, () => $("search").focus(), () => view.set({ search: "" })));
    if (hidden.length) chips.push(chip(`${counted(hidden.length, "column")} hidden`, () => $("columns").click(), () => view.set({ hidden: [] })));
    if (chips.length > 1) chips.push(button("Clear all", () => view.set({ sort: [], filters: [], search: "", hidden: [] }), { class: "plain" }));
    const held = $("chips").contains(document.activeElement);
    $("chips").replaceChildren(...chips);
    $("chips").hidden = !chips.length;
    if (held) this.grid.box.focus();
    if (document.activeElement !== $("search")) $("search").value = search;
    this.grid.measure();
  }

  /**
   * Show a line above the grid, one of each kind.
   * @param {string} kind
   * @param {string} text empty to take it away
   * @param {{urgent?: boolean, actions?: [string, () => void][], keep?: boolean}} [how]
   */
  note(kind, text, { urgent = false, actions = [], keep = false } = {}) {
    this.notices.get(kind)?.remove();
    this.notices.delete(kind);
    if (text) {
      const close = () => this.note(kind, "");
      const notice = el("div", { class: `notice ${urgent ? "urgent" : ""}` }, el("span", {}, text),
        ...actions.map(([name, act]) => button(name, () => (close(), act()))),
        keep ? "" : button("×", close, { class: "plain", "aria-label": "Dismiss" }));
      this.notices.set(kind, notice);
      $("notices").append(notice);
      say(text);
    }
    this.grid.measure();
  }

  /** What is in the place of rows where there are none. */
  empty() {
    const { view } = this;
    const none = view.totalKnown && view.total === 0;
    const bare = view.columns.length > 0 && !this.grid.columns.order.length;
    $("empty").hidden = !none && !bare;
    if (bare)
      $("empty").replaceChildren(el("p", {}, "All columns are hidden."), button("Show all", () => view.set({ hidden: [] })));
    else if (none)
      $("empty").replaceChildren(
        el("p", {}, view.filtered ? "No row matches." : view.columns.length ? "There are no rows." : "There are no columns."),
        view.filtered ? button("Clear filters and search", () => view.set({ filters: [], search: "" })) : "",
      );
  }

  /** The line below: where the active cell is, or what is selected. */
  selected() {
    const { selection, rows } = this.grid;
    if (selection.row < 0 || !selection.made) return void ($("where").textContent = "");
    const { top, bottom, left, right, single } = selection.range;
    const cells = (bottom - top + 1) * (right - left + 1);
    const { columns } = selection;
    let text = single ? `Row ${grouped(top + 1)} · ${this.view.columns[columns[0]]?.name ?? ""}` : `${counted(bottom - top + 1, "row")} × ${counted(right - left + 1, "column")}`;
    const numeric = columns.filter((index) => isNumeric(this.view.columns[index].kind));
    if (!single && numeric.length && cells <= SUMMED) {
      const values = [];
      for (let row = top; row <= bottom; row++) for (const index of numeric) values.push(rows.cell(row, index));
      if (!rows.stale && !values.includes(undefined)) text += sums(/** @type {any} */ (values));
    }
    $("where").textContent = text;
    $("said").textContent = "";
    if (!single) this.range();
  }

  range = debounced(() => say($("where").textContent), 500);

  /** @param {{done?: number | null, what?: string}} progress */
  progress({ done, what = "" }) {
    const bar = $("progress");
    bar.hidden = done === 1 || !what || what === "failed";
    if (typeof done === "number") bar.value = done;
    else bar.removeAttribute("value");
    $("said").textContent = bar.hidden ? "" : what + (typeof done === "number" ? ` ${Math.round(100 * done)} %` : "");
  }
}
