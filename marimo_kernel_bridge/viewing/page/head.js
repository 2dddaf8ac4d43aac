/** The heads of the columns: name, type, how its values are spread, and what is done with a pointer there. */

import { $, counted, el, grouped, say } from "./dom.js";
import { filterValue, isCut, shortened, shown } from "./values.js";

/** @typedef {{element: any, label: any, mark: any, type: any, chart: any, range: any, drawn: any, left: number, width: number}} Heading */

export class Head {
  /** @type {Map<number, Heading>} */
  headings = new Map();

  /**
   * @param {import("./grid.js").Grid} grid
   * @param {import("./statistics.js").StatisticsOfColumns} statistics
   * @param {(column: number) => void} openCard
   */
  constructor(grid, statistics, openCard) {
    this.grid = grid;
    this.view = grid.view;
    this.statistics = statistics;
    this.openCard = openCard;
    grid.drawn.push(() => this.draw());
  }

  /** Columns are others, or named otherwise. */
  forget() {
    for (const { element } of this.headings.values()) element.remove();
    this.headings.clear();
  }

  draw() {
    const { columns, indices, selection } = this.grid;
    const seen = new Set(indices);
    for (const [index, { element }] of this.headings)
      if (!seen.has(index)) {
        element.remove();
        this.headings.delete(index);
      }
    for (const [at, index] of indices.entries()) {
      const heading = this.headings.get(index) ?? this.make(index);
      const place = /** @type {number} */ (columns.places.get(index));
      const pinned = place < columns.pinned;
      const parent = $(pinned ? "head-pinned" : "head-moving");
      const next = parent.children[pinned ? at : at - columns.pinned];
      if (next !== heading.element) parent.insertBefore(heading.element, next ?? null);
      const left = columns.lefts[place] - (pinned ? 0 : columns.pinnedWidth);
      if (heading.left !== left) heading.element.style.left = `${(heading.left = left)}px`;
      const width = columns.widthOf(index);
      if (heading.width !== width) heading.element.style.width = `${(heading.width = width)}px`;
      this.mark(heading, index);
      const active = selection.row < 0 && selection.column === index;
      heading.element.classList.toggle("active", active);
      if (active) heading.element.id = "active";
      else heading.element.removeAttribute("id");
      this.summarize(heading, index);
    }
  }

  /** @param {number} index @returns {Heading} */
  make(index) {
    const { name, kind, dtype } = this.view.columns[index];
    const label = el("span", { class: "label", title: `${name} (${dtype})` }, name || "unnamed");
    const mark = el("span", { class: "mark" });
    const more = el("button", {
      class: "more", type: "button", tabindex: "-1", "aria-label": `Filter and more: ${name}`,
      click: (/** @type {Event} */ event) => (event.stopPropagation(), this.openCard(index)),
    }, "⋯");
    const type = el("div", { class: "type" }, el("span", {}, kind), el("b", {}));
    const chart = el("div", { class: "chart", "aria-hidden": "true" });
    const range = el("div", { class: "range" });
    const grip = el("div", { class: "grip", pointerdown: (/** @type {PointerEvent} */ event) => this.resize(event, index) });
    grip.addEventListener("dblclick", () => this.fit(index));
    grip.addEventListener("click", (/** @type {Event} */ event) => event.stopPropagation());
    const element = el("div", { role: "columnheader", class: "th", "aria-label": name || "unnamed", "aria-colindex": index + 2 },
      el("div", { class: "name" }, label, mark, more), type, chart, range, grip);
    element.addEventListener("click", (/** @type {MouseEvent} */ event) => this.click(event, index));
    element.addEventListener("contextmenu", (/** @type {Event} */ event) => (event.preventDefault(), this.openCard(index)));
    /** @type {Heading} */
    const heading = { element, label, mark, type, chart, range, drawn: null, left: -1, width: -1 };
    this.headings.set(index, heading);
    return heading;
  }

  /** @param {MouseEvent} event @param {number} index */
  click(event, index) {
    this.grid.box.focus({ preventScroll: true });
    this.grid.selection.go(-1, index, { show: false });
    const bar = /** @type {any} */ (/** @type {Element} */ (event.target).closest(".bar"));
    if (bar?.filters) return void this.view.filterBy(index, bar.filters);
    this.view.sortBy(index, event.shiftKey || event.ctrlKey || event.metaKey);
  }

  /** @param {Heading} heading @param {number} index */
  mark({ element, mark }, index) {
    const { sort, filters } = this.view.state;
    const place = sort.findIndex((key) => key.column === index);
    const down = sort[place]?.descending;
    const sign = place < 0 ? "" : (down ? "↓" : "↑") + (sort.length > 1 ? String(place + 1) : "");
    if (mark.textContent !== sign) mark.textContent = sign;
    const order = place < 0 ? "none" : down ? "descending" : "ascending";
    if (element.ariaSort !== order) element.ariaSort = order;
    element.classList.toggle("filtered", filters.some((filter) => filter.column === index));
  }

  /** @param {Heading} heading @param {number} index */
  summarize(heading, index) {
    const [found, stale] = this.statistics.of(index);
    heading.element.classList.toggle("old", stale && !!found);
    if (heading.drawn === (found ?? null)) return;
    heading.drawn = found ?? null;
    if (!found) return;
    const column = this.view.columns[index];
    const nulls = found.nulls ? `${percent(found.nulls, found.rows)} null` : "";
    heading.type.lastChild.textContent = nulls;
    heading.range.textContent = summary(found, column.kind);
    heading.chart.replaceChildren(...bars(found, column, (text) => {
      heading.range.textContent = text ?? summary(found, column.kind);
    }));
    heading.element.setAttribute("aria-description", `${column.kind}, ${nulls && `${nulls}, `}${heading.range.textContent}`);
  }

  /** @param {PointerEvent} event @param {number} index */
  resize(event, index) {
    event.preventDefault();
    event.stopPropagation();
    const grip = /** @type {HTMLElement} */ (event.target);
    const { columns } = this.grid;
    const begin = columns.widthOf(index) - event.clientX;
    let widths = this.view.state.widths;
    grip.setPointerCapture(event.pointerId);
    grip.onpointermove = ({ clientX }) => {
      widths = { ...widths, [index]: Math.max(48, Math.round(begin + clientX)) };
      this.view.state = { ...this.view.state, widths };
      this.grid.arrange();
    };
    grip.onlostpointercapture = () => {
      grip.onpointermove = grip.onlostpointercapture = null;
      if (widths[index]) this.view.set({ widths });
    };
  }

  /** Make a column as wide as what is seen of it. @param {number} index */
  fit(index) {
    const width = (/** @type {any} */ element) => element.scrollWidth;
    const at = this.grid.indices.indexOf(index);
    const { pinned } = this.grid.columns;
    const cells = this.grid.lines.map(({ slots }) => (at < pinned ? slots[0][at] : slots[1][at - pinned])?.element);
    const heading = this.headings.get(index);
    const measured = [...cells.filter(Boolean), heading?.label].map((element) => {
      element.style.width = "0";
      const found = width(element) + (element === heading?.label ? 60 : 2);
      element.style.width = "";
      return found;
    });
    for (const { slots } of this.grid.lines) for (const slot of slots.flat()) slot.width = -1;
    const wide = Math.max(56, Math.min(800, ...measured.length ? [Math.max(...measured)] : [56]));
    this.view.set({ widths: { ...this.view.state.widths, [index]: wide } });
    say(`${wide} pixels wide`);
  }
}

/** @param {number} part @param {number} whole */
export function percent(part, whole) {
  const share = (100 * part) / Math.max(1, whole);
  return share > 0 && share < 0.1 ? "< 0.1 %" : `${share < 10 ? share.toFixed(1) : Math.round(share)} %`;
}

/** @param {import("./types").Cell} value @param {string} kind */
function short(value, kind) {
  if (typeof value === "number") return shortened(value, 4);
  return shown(value, kind)[0].replace(/[ T]00:00:00.*/, "");
}

/** @param {import("./types").Statistics} found @param {string} kind */
export function summary(found, kind) {
  if (found.bins?.length) return `${short(found.min ?? null, kind)} – ${short(found.max ?? null, kind)}`;
  if (found.top?.length && found.rows > 0) {
    const distinct = found.distinct ? `${found.distinct_exact === false ? "≈ " : ""}${counted(found.distinct, "value")}` : "";
    const [value, count] = found.top[0];
    return count > 1 && count >= found.rows / 200 ? `${shown(value, kind)[0]} ${percent(count, found.rows)} · ${distinct}` : distinct;
  }
  return found.rows && found.rows === found.nulls ? "all null" : "";
}

/**
 * A bar for each bin or frequent value; one that is clicked filters by it.
 * @param {import("./types").Statistics} found
 * @param {import("./types").Column} column
 * @param {(text?: string) => void} tell what the pointer is at
 */
function bars(found, column, tell) {
  const parts = found.bins?.length ? binsOf(found.bins, column) : topOf(found, column);
  const most = Math.max(1, ...parts.map(({ count, look }) => (look === "rest" ? 0 : count)));
  return parts.map(({ count, text, filters, look }) => {
    const told = `${text}: ${grouped(count)} (${percent(count, found.rows)})`;
    const bar = el("div", { class: `bar ${look}`, pointerenter: () => tell(told), pointerleave: () => tell() }, el("i"));
    bar.firstChild.style.height = count ? `max(2px, ${Math.min(100, (100 * count) / most)}%)` : "0";
    bar.filters = filters;
    return bar;
  });
}

/** @param {NonNullable<import("./types").Statistics["bins"]>} bins @param {import("./types").Column} column */
function binsOf(bins, { index, kind }) {
  return bins.map(({ low, high, count }, at) => {
    const last = at === bins.length - 1;
    const filters = [
      { column: index, op: ">=", value: filterValue(low) },
      { column: index, op: last ? "<=" : "<", value: filterValue(high) },
    ];
    return { count, text: `${short(low, kind)} – ${short(high, kind)}`, filters, look: "" };
  });
}

/** @param {import("./types").Statistics} found @param {import("./types").Column} column */
export function topOf({ top, other, rows }, { index, kind }) {
  if (!top?.length || top[0][1] <= 1 || top[0][1] < rows / 200) return [];
  const parts = top.slice(0, 12).map(([value, count]) => {
    const filter = isCut(value) ? null : { column: index, op: "=", value: filterValue(value) };
    return { count, text: shown(value, kind)[0], filters: /** @type {any} */ (filter && [filter]), look: "often" };
  });
  const rest = (other ?? 0) + top.slice(12).reduce((sum, [, count]) => sum + count, 0);
  return rest ? [...parts, { count: rest, text: "other values", filters: null, look: "rest" }] : parts;
}
