/**
 * The grid: a pane that stays where it is, in which the rows and columns are drawn that are to be seen, and no others.
 * Rows and cells that leave are used again for those that come.
 */

import { $, el } from "./dom.js";
import { Columns, ROW, Scale } from "./layout.js";
import { isNumeric, shown } from "./values.js";

const REST = 100; // milliseconds at most

/** @typedef {{element: any, text: string, look: string, left: number, width: number, index: number, id: string}} Slot */
/** @typedef {{element: any, number: any, pinned: any, moving: any, slots: [Slot[], Slot[]], top: number, row: number}} Line */

export class Grid {
  /** @type {Line[]} */
  lines = [];
  first = 0;
  /** Places of the columns that are drawn beside the pinned ones. */
  from = 0;
  to = 0;
  gutter = 48;
  asked = false;
  /** Until when the next frame waits: a page that paints without a pause leaves nothing of a slow machine to others. */
  rests = 0;
  /** How far the browser was told to scroll: what it reports then is no news. */
  told = -1;
  /** @type {(() => void)[]} */
  drawn = [];

  /**
   * @param {import("./view.js").View} view
   * @param {import("./rows.js").Rows} rows
   * @param {import("./selection.js").Selection} selection
   */
  constructor(view, rows, selection) {
    this.view = view;
    this.rows = rows;
    this.selection = selection;
    this.columns = new Columns(view);
    this.scale = new Scale();
    /** @type {HTMLElement} */
    this.box = $("grid");
    this.box.addEventListener("scroll", () => this.scrolled());
    this.box.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    new ResizeObserver(() => this.measure()).observe(this.box);
  }

  /** Columns or the number of rows have changed. */
  arrange() {
    this.columns.arrange();
    this.gutter = Math.max(48, String(this.view.total).length * 8 + 20);
    this.measure();
  }

  measure() {
    const { box, scale } = this;
    if (!this.view.state) return;
    const head = $("head").offsetHeight;
    scale.total = this.view.total;
    const width = this.gutter + this.columns.width;
    const { style } = $("sizer");
    style.width = `${width}px`;
    style.height = `${scale.height + head}px`;
    scale.seen = Math.max(0, box.clientHeight - head);
    const pane = $("pane").style;
    pane.width = `${box.clientWidth}px`;
    pane.height = `${box.clientHeight}px`;
    box.style.setProperty("--gutter", `${this.gutter}px`);
    box.style.setProperty("--pinned", `${this.gutter + this.columns.pinnedWidth}px`);
    box.setAttribute("aria-rowcount", String(this.view.totalKnown ? this.view.total + 1 : -1));
    box.setAttribute("aria-colcount", String(this.view.columns.length + 1));
    this.goTo(scale.top);
  }

  get span() {
    return this.box.scrollHeight - this.box.clientHeight;
  }

  /** @param {number} top pixels from the first row */
  goTo(top) {
    this.scale.go(top);
    this.box.scrollTop = this.scale.toBar(this.span);
    this.told = this.box.scrollTop;
    this.draw();
  }

  scrolled() {
    if (Math.abs(this.box.scrollTop - this.told) > 1) {
      this.scale.fromBar(this.box.scrollTop, this.span);
      this.told = this.box.scrollTop;
    }
    this.draw();
  }

  /** Where the scrollbar is a scale, a notch of the wheel is still some rows. @param {WheelEvent} event */
  wheel(event) {
    if (!this.scale.scaled || !event.deltaY || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? ROW : event.deltaMode === 2 ? this.scale.seen : 1;
    this.goTo(this.scale.top + event.deltaY * unit);
    this.box.scrollLeft += event.deltaX;
  }

  /** Bring a cell into sight. @param {number} row -1 for the head @param {number} column */
  show(row, column) {
    const { scale, columns, box } = this;
    const at = columns.places.get(column);
    if (at !== undefined && at >= columns.pinned) {
      const room = box.clientWidth - this.gutter - columns.pinnedWidth;
      const left = columns.lefts[at] - columns.pinnedWidth;
      const right = left + columns.widthOf(column);
      if (left < box.scrollLeft) box.scrollLeft = left;
      else if (right > box.scrollLeft + room) box.scrollLeft = Math.min(left, right - room);
    }
    if (row < 0) return this.draw();
    const top = row * ROW;
    if (top < scale.top) this.goTo(top);
    else if (top + ROW > scale.top + scale.seen) this.goTo(top + ROW - scale.seen);
    else this.draw();
  }

  /** Draw at the next frame, however often it is asked for. */
  draw() {
    if (this.asked) return;
    this.asked = true;
    const rest = Math.min(REST, this.rests - performance.now());
    if (rest > 0) setTimeout(() => this.frame(), rest);
    else this.frame();
  }

  /** Paint in the next frame, and then rest as long as that took. */
  frame() {
    requestAnimationFrame(() => {
      this.asked = false;
      if (!this.view.state) return;
      const begun = performance.now();
      this.paint();
      // After the frame is laid out and painted
      setTimeout(() => {
        const now = performance.now();
        this.rests = now + (now - begun);
      });
    });
  }

  paint() {
    const { scale, columns, box, view } = this;
    const x = box.scrollLeft;
    const room = box.clientWidth - this.gutter - columns.pinnedWidth;
    this.from = columns.at(x + columns.pinnedWidth);
    if (this.from < columns.pinned) this.from = columns.pinned;
    this.to = Math.min(columns.order.length, columns.at(x + columns.pinnedWidth + Math.max(0, room - 1)) + 1);
    this.first = Math.floor(scale.top / ROW);
    const last = Math.min(view.total, Math.ceil((scale.top + scale.seen) / ROW));
    box.style.setProperty("--x", `${-x}px`);
    this.rows.want(this.first, last, this.indices);
    this.lay(last);
    $("body").style.transform = `translateY(${this.first * ROW - scale.top}px)`;
    box.classList.toggle("stale", this.rows.stale);
    box.classList.toggle("moved", x > 0);
    box.setAttribute("aria-busy", String(this.rows.stale));
    for (const after of this.drawn) after();
    // The active cell may be out of sight
    if ($("active")) box.setAttribute("aria-activedescendant", "active");
    else box.removeAttribute("aria-activedescendant");
  }

  /** The columns that are drawn, by their index. */
  get indices() {
    const { order, pinned } = this.columns;
    return [...order.slice(0, pinned), ...order.slice(Math.max(pinned, this.from), this.to)];
  }

  /** @param {number} last */
  lay(last) {
    const count = Math.max(0, last - this.first);
    const free = this.lines.filter((line) => line.row < this.first || line.row >= last);
    const kept = new Map(this.lines.filter((line) => !free.includes(line)).map((line) => [line.row, line]));
    this.lines = [];
    for (let at = 0; at < count; at++) {
      const row = this.first + at;
      const line = kept.get(row) ?? free.pop() ?? this.newLine();
      this.lines.push(line);
      this.fill(line, row, at * ROW);
    }
    for (const line of free) line.element.remove();
    // In the order of the rows, for screen readers
    const body = $("body");
    this.lines.forEach((line, at) => {
      if (body.children[at] !== line.element) body.insertBefore(line.element, body.children[at] ?? null);
    });
  }

  /** @returns {Line} */
  newLine() {
    const number = el("div", { class: "no", role: "rowheader", "aria-colindex": "1" });
    const pinned = el("div", { class: "pin", role: "none" });
    const moving = el("div", { class: "move", role: "none" });
    const element = el("div", { class: "row", role: "row" }, number, pinned, el("div", { class: "clip", role: "none" }, moving));
    return { element, number, pinned, moving, slots: [[], []], top: -1, row: -1 };
  }

  /** @param {Line} line @param {number} row @param {number} top */
  fill(line, row, top) {
    if (line.top !== top) line.element.style.top = `${(line.top = top)}px`;
    if (line.row !== row) {
      line.row = row;
      line.element.setAttribute("aria-rowindex", row + 2);
      line.number.textContent = String(row + 1);
    }
    const { order, pinned } = this.columns;
    const whole = this.selection.holdsRow(row);
    if (line.element.ariaSelected !== String(whole)) line.element.ariaSelected = String(whole);
    this.fillCells(line, row, 0, order.slice(0, pinned), 0);
    this.fillCells(line, row, 1, order.slice(this.from, this.to), this.columns.pinnedWidth);
  }

  /** @param {Line} line @param {number} row @param {0 | 1} side @param {number[]} indices @param {number} offset */
  fillCells(line, row, side, indices, offset) {
    const slots = line.slots[side];
    while (slots.length > indices.length) slots.pop()?.element.remove();
    while (slots.length < indices.length) {
      const element = el("div", { role: "gridcell" });
      line[side ? "moving" : "pinned"].append(element);
      slots.push({ element, text: "", look: "", left: -1, width: -1, index: -1, id: "" });
    }
    indices.forEach((index, at) => this.fillCell(slots[at], row, index, offset));
  }

  /** @param {Slot} slot @param {number} row @param {number} index @param {number} offset */
  fillCell(slot, row, index, offset) {
    const { kind } = this.view.columns[index];
    const value = this.rows.cell(row, index);
    const [text, look] = value === undefined ? ["", "wait"] : shown(value, kind);
    const { element } = slot;
    const classes = `td ${isNumeric(kind) ? "right " : ""}${look} ${this.selection.lookOf(row, index)}`;
    if (slot.text !== text) element.textContent = slot.text = text;
    if (slot.look !== classes) {
      element.className = slot.look = classes;
      element.ariaSelected = String(this.selection.holds(row, index));
    }
    const at = /** @type {number} */ (this.columns.places.get(index));
    const left = this.columns.lefts[at] - offset;
    const width = this.columns.lefts[at + 1] - this.columns.lefts[at];
    if (slot.left !== left) {
      element.style.left = `${(slot.left = left)}px`;
    }
    if (slot.width !== width) element.style.width = `${(slot.width = width)}px`;
    if (slot.index !== index) element.setAttribute("aria-colindex", (slot.index = index) + 2);
    const id = this.selection.isActive(row, index) ? "active" : "";
    if (slot.id !== id) {
      slot.id = id;
      if (id) element.id = id;
      else element.removeAttribute("id");
    }
  }

  /**
   * The cell at a point of the window: its row (-1: the head) and its column (-1: the row's number).
   * @param {number} x
   * @param {number} y
   */
  cellAt(x, y) {
    const { box, columns, scale } = this;
    const { left, top } = box.getBoundingClientRect();
    const down = y - top - $("head").offsetHeight;
    const row = Math.max(0, Math.min(this.view.total - 1, Math.floor((scale.top + Math.max(0, Math.min(down, scale.seen - 1))) / ROW)));
    const right = x - left - this.gutter;
    const at = columns.at(right < columns.pinnedWidth ? right : right + box.scrollLeft);
    return { row: down < 0 ? -1 : row, column: right < 0 ? -1 : columns.order[at] };
  }
}
