/** The box of a column: sort, pin, hide, its filter and its statistics. */

import { $, el, grouped } from "./dom.js";
import { percent } from "./head.js";
import { button, closeBox, openBox } from "./popover.js";
import { filterValue, isCut, isNumeric, isTemporal, operatorText, plain, shortened, shown, typed } from "./values.js";

const ORDERED = ["between", "=", "!=", "<", "<=", ">", ">=", "one_of", "null", "not_null"];
const TEXTUAL = ["contains", "starts", "=", "!=", "one_of", "null", "not_null"];
const INPUTS = { date: "date", datetime: "datetime-local", time: "time" };

export class Card {
  /**
   * @param {import("./grid.js").Grid} grid
   * @param {import("./statistics.js").StatisticsOfColumns} statistics
   * @param {import("./head.js").Head} head
   */
  constructor(grid, statistics, head) {
    this.grid = grid;
    this.view = grid.view;
    this.statistics = statistics;
    this.head = head;
  }

  /** @param {number} index */
  open(index) {
    const column = this.view.columns[index];
    if (!column) return;
    this.grid.show(this.grid.selection.row, index);
    const heading = this.head.headings.get(index)?.element ?? $("head");
    const facts = el("dl", {}, el("dt", {}, "…"));
    openBox(heading.getBoundingClientRect(), `Column ${column.name}`, [
      el("h2", {}, column.name || "unnamed", el("small", {}, column.dtype)),
      this.actions(index),
      this.form(column),
      facts,
    ]);
    this.statistics.ask(index).then(
      (found) => facts.replaceChildren(...factsOf(found, column.kind)),
      (error) => facts.replaceChildren(el("dt", {}, error.message)),
    );
  }

  /** @param {number} index */
  actions(index) {
    const { view } = this;
    const { hidden, pinned } = view.state;
    const key = view.sortOf(index);
    const more = view.state.sort.some((other) => other.column !== index);
    const act = (/** @type {string} */ text, /** @type {() => unknown} */ does, pressed = false) =>
      button(text, () => (closeBox(), void does()), { "aria-pressed": String(pressed) });
    const isPinned = pinned.includes(index);
    return el("div", { class: "actions" },
      act("↑ Ascending", () => view.sortBy(index, more, key && !key.descending ? null : false), !!key && !key.descending),
      act("↓ Descending", () => view.sortBy(index, more, key?.descending ? null : true), !!key?.descending),
      act(isPinned ? "Unpin" : "Pin", () => view.set({ pinned: isPinned ? pinned.filter((other) => other !== index) : [...pinned, index] }), isPinned),
      act("Hide", () => view.set({ hidden: [...hidden, index] })),
      act("Fit width", () => this.head.fit(index)),
    );
  }

  /** @param {import("./types").Column} column */
  form(column) {
    const { index, kind } = column;
    const present = this.view.state.filters.filter((filter) => filter.column === index);
    const conditions = isNumeric(kind) || isTemporal(kind) ? ORDERED : kind === "boolean" ? ["one_of", "null", "not_null"] : TEXTUAL;
    const select = el("select", { "aria-label": "Condition", autofocus: true },
      ...conditions.map((op) => el("option", { value: op }, op === "between" ? "is between" : operatorText(op))));
    const fields = el("div", { class: "fields" });
    const said = el("p", { class: "wrong", role: "alert" });
    select.value = present.length > 1 && conditions.includes("between") ? "between" : (present[0]?.op ?? (conditions[0] === "between" && present[0] ? present[0].op : conditions[0]));
    /** @type {() => import("./types").Filter[] | string} */
    let read = () => [];
    const draw = () => (read = this.fields(column, select.value, present, fields));
    select.addEventListener("change", draw);
    draw();
    const apply = (/** @type {Event} */ event) => {
      event.preventDefault();
      const filters = read();
      if (typeof filters === "string") return void (said.textContent = filters);
      closeBox();
      this.view.filterBy(index, filters);
    };
    const clear = () => (closeBox(), void this.view.filterBy(index, []));
    return el("form", { submit: apply, novalidate: true }, el("label", { class: "line" }, "Filter", select), fields, said,
      el("div", { class: "line end" }, present.length ? button("Clear", clear) : "", el("button", { class: "main" }, "Apply")));
  }

  /**
   * Draw the fields of a condition; returns what reads them.
   * @param {import("./types").Column} column
   * @param {string} op
   * @param {import("./types").Filter[]} present
   * @param {any} place
   * @returns {() => import("./types").Filter[] | string}
   */
  fields(column, op, present, place) {
    const { index, kind } = column;
    const input = (/** @type {string} */ label, /** @type {any} */ value) => {
      const type = INPUTS[/** @type {keyof typeof INPUTS} */ (kind)] ?? "text";
      const shape = { type, step: type === "text" ? undefined : type === "date" ? undefined : "any", inputmode: isNumeric(kind) ? "decimal" : undefined };
      const field = el("input", { "aria-label": label, placeholder: label, autocomplete: "off", spellcheck: "false", ...shape });
      field.value = value === undefined || value === null ? "" : String(value);
      return field;
    };
    const value = (/** @type {string} */ text) => typed(text, kind);
    if (op === "null" || op === "not_null") {
      place.replaceChildren();
      return () => [{ column: index, op, value: null }];
    }
    if (op === "between") {
      const of = (/** @type {string[]} */ ...ops) => present.find((filter) => ops.includes(filter.op));
      const low = input("From", of(">=", ">", "=")?.value);
      const high = input("To", of("<=", "<", "=")?.value);
      place.replaceChildren(low, high);
      const below = of("<") ? "<" : "<=";
      return () => {
        const bounds = [[low, of(">") ? ">" : ">="], [high, below]].filter(([field]) => field.value.trim() !== "");
        const filters = bounds.map(([field, bound]) => ({ column: index, op: bound, value: value(field.value) }));
        return wrong(filters, kind) ?? filters;
      };
    }
    if (op === "one_of") return this.choices(column, present, place, input);
    const field = input("Value", Array.isArray(present[0]?.value) ? "" : present[0]?.value);
    place.replaceChildren(field);
    return () => {
      if (isNumeric(kind) || isTemporal(kind)) {
        const filters = [{ column: index, op, value: value(field.value) }];
        return wrong(filters, kind) ?? filters;
      }
      return field.value === "" && op !== "=" && op !== "!=" ? [] : [{ column: index, op, value: field.value }];
    };
  }

  /**
   * The frequent values to tick, and a field for others.
   * @param {import("./types").Column} column
   * @param {import("./types").Filter[]} present
   * @param {any} place
   * @param {(label: string, value: any) => any} input
   * @returns {() => import("./types").Filter[] | string}
   */
  choices({ index, kind }, present, place, input) {
    const chosen = new Set(present.flatMap(({ op, value }) => (op === "one_of" || op === "=" ? value : [])));
    const list = el("div", { class: "choices", role: "group", "aria-label": "Values" });
    const other = input("Another value", "");
    if (kind === "boolean") other.hidden = true;
    place.replaceChildren(list, other);
    /** @type {[any, any][]} */
    const boxes = [];
    const add = (/** @type {any} */ value, /** @type {string} */ text, /** @type {string} */ count) => {
      if (boxes.some(([offered]) => offered === value)) return;
      const box = el("input", { type: "checkbox", checked: chosen.has(value) });
      boxes.push([value, box]);
      list.append(el("label", {}, box, el("span", {}, text), el("small", {}, count)));
    };
    for (const value of chosen) add(value, String(value), "");
    this.statistics.ask(index).then(({ top }) => {
      // Of one that is cut, no filter has all
      for (const [value, count] of top ?? []) if (value !== null && !isCut(value)) add(filterValue(value), shown(value, kind)[0], grouped(count));
      if (kind === "boolean") for (const value of [true, false]) add(value, String(value), "");
    }, () => {});
    return () => {
      const values = boxes.filter(([, box]) => box.checked).map(([value]) => value);
      if (other.value !== "") values.push(typed(other.value, kind));
      return values.length ? [{ column: index, op: "one_of", value: values }] : [];
    };
  }
}

/** @param {import("./types").Filter[]} filters @param {string} kind @returns {string | null} */
function wrong(filters, kind) {
  const bad = filters.find(({ value }) => value === "" || (isNumeric(kind) && Number.isNaN(Number(value))));
  if (bad === undefined) return null;
  return bad.value === "" ? "A value is missing." : `${bad.value} is no number.`;
}

/** @param {import("./types").Statistics} found @param {string} kind */
export function factsOf(found, kind) {
  const text = (/** @type {any} */ value) => (value === null || value === undefined ? "" : shown(value, kind)[0]);
  const rounded = (/** @type {any} */ value) => (typeof value === "number" ? shortened(value, 7) : plain(value));
  const distinct = found.distinct ?? null;
  /** @type {[string, string][]} */
  const facts = [
    ["Rows", grouped(found.rows)],
    ["Null", found.nulls ? `${grouped(found.nulls)} (${percent(found.nulls, found.rows)})` : "none"],
    ["Distinct", distinct === null ? "" : (found.distinct_exact === false ? "≈ " : "") + grouped(distinct)],
    ["Minimum", text(found.min)],
    ["Median", rounded(found.median)],
    ["Mean", rounded(found.mean)],
    ["Maximum", text(found.max)],
    ["Deviation", rounded(found.sd)],
  ];
  return facts.filter(([, value]) => value !== "").flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]);
}
