/** The boxes of the bar: which columns are shown, exports, and the keys. */

import { $, el, grouped } from "./dom.js";
import { button, closeBox, openBox } from "./popover.js";

const LISTED = 300;
const KEYS = [
  ["Arrows, Page Up, Page Down, Home, End", "Move; with Ctrl to the edge, with Shift select"],
  ["↑ from the first row", "To the heads of the columns"],
  ["Enter on a head", "Sort; with Shift also by this column"],
  ["Shift ← → on a head", "Make the column narrower, wider"],
  ["Alt ↓", "Filter, pin, hide and statistics of the column"],
  ["Enter on a cell", "All values of the row, in full"],
  ["Ctrl C, Ctrl A, Shift Space", "Copy, select all, select the row"],
  ["/ or Ctrl F", "Search in all columns"],
  ["?", "These keys"],
];
const MIMES = { csv: "text/csv", parquet: "application/vnd.apache.parquet", json: "application/json", jsonl: "application/jsonl" };

/** @param {import("./grid.js").Grid} grid @param {(column: number) => void} openCard */
export function openColumns(grid, openCard) {
  const { view } = grid;
  const list = el("div", { class: "choices tall" });
  const find = el("input", { type: "search", placeholder: "Find a column", "aria-label": "Find a column", autofocus: true });
  const found = () => {
    const part = find.value.toLowerCase();
    return view.columns.filter(({ name }) => name.toLowerCase().includes(part));
  };
  const draw = () => {
    const hidden = new Set(view.state.hidden);
    const pinned = new Set(view.state.pinned);
    const columns = found();
    list.replaceChildren(...columns.slice(0, LISTED).map(({ index, name, kind }) => {
      const box = el("input", { type: "checkbox", checked: !hidden.has(index), "aria-label": `Show ${name}` });
      box.addEventListener("change", () => view.set({ hidden: box.checked ? view.state.hidden.filter((other) => other !== index) : [...view.state.hidden, index] }));
      const go = button(name || "unnamed", () => {
        closeBox();
        grid.selection.go(grid.selection.row, index);
        grid.box.focus();
      }, { class: "plain", title: "Go to the column" });
      const pin = button(pinned.has(index) ? "Unpin" : "Pin", () => {
        view.set({ pinned: pinned.has(index) ? view.state.pinned.filter((other) => other !== index) : [...view.state.pinned, index] });
        draw();
      }, { class: "small", "aria-label": `${pinned.has(index) ? "Unpin" : "Pin"} ${name}` });
      return el("div", { class: "line" }, box, go, el("small", {}, kind), pin);
    }));
    if (columns.length > LISTED) list.append(el("p", {}, `and ${grouped(columns.length - LISTED)} more: type a part of the name`));
    if (!columns.length) list.append(el("p", {}, "No column has this name."));
  };
  find.addEventListener("input", draw);
  find.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const first = found()[0];
    if (event.key === "Enter" && first) (closeBox(), grid.selection.go(grid.selection.row, first.index), grid.box.focus());
  });
  draw();
  const all = (/** @type {boolean} */ shown) => {
    const names = new Set(found().map(({ index }) => index));
    const others = view.state.hidden.filter((index) => !names.has(index));
    view.set({ hidden: shown ? others : [...others, ...names] });
    draw();
  };
  openBox($("columns").getBoundingClientRect(), "Columns", [
    find,
    list,
    el("div", { class: "line end" }, button("Hide all", () => all(false)), button("Show all", () => all(true))),
  ]);
  void openCard;
}

/** @param {import("./view.js").View} view */
export function openExport(view) {
  const rows = view.filtered ? "the rows that match" : "all rows";
  const columns = el("select", { "aria-label": "Columns" }, el("option", { value: "shown" }, "Columns shown"), el("option", { value: "all" }, "All columns"));
  const save = async (/** @type {keyof typeof MIMES} */ format) => {
    closeBox();
    $("said").textContent = "Preparing the export …";
    try {
      await view.settled;
      const answer = await view.carrier.ask({ do: "export", format, columns: columns.value });
      const name = view.description.title.replace(/[^\w.-]+/g, "_").replace(/\.\w{2,8}$/, "") || "rows";
      await view.carrier.save(answer, `${name}.${format}`, MIMES[format]);
      $("said").textContent = `Exported as ${format}`;
    } catch (error) {
      $("said").textContent = "";
      view.emit("trouble", error);
    }
  };
  openBox($("export").getBoundingClientRect(), "Export", [
    el("p", {}, `Saves ${rows}, sorted as here.`),
    el("div", { class: "line" }, columns),
    el("div", { class: "actions" }, ...[["csv", "CSV"], ["parquet", "Parquet"], ["jsonl", "JSON Lines"], ["json", "JSON"]].map(([format, text]) =>
      button(text, () => save(/** @type {any} */ (format))))),
  ]);
}

export function openHelp() {
  openBox($("help").getBoundingClientRect(), "Keys", [
    el("h2", {}, "Keys"),
    el("dl", { class: "keys" }, ...KEYS.flatMap(([keys, does]) => [el("dt", {}, keys), el("dd", {}, does)])),
    button("Close", closeBox),
  ]);
}
