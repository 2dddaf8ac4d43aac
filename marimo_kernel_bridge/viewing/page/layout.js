/**
 * Where rows and columns are. A browser caps the height of an element, so above LIMIT the scrollbar is a scale of the rows:
 * `top` is the true place in pixels, and the scrollbar is told of it.
 */

import { within } from "./dom.js";

export const ROW = 25;
const LIMIT = 15_000_000;
const WIDTHS = { boolean: 90, integer: 110, number: 120, decimal: 120, date: 110, time: 110, datetime: 205, nested: 220 };

/** Columns in the order in which they are shown: the pinned ones first. */
export class Columns {
  /** Indices of the columns shown. @type {number[]} */
  order = [];
  pinned = 0;
  /** Where each begins: pinned ones from the grid's left edge, the others after them; one more for the end. @type {number[]} */
  lefts = [0];
  pinnedWidth = 0;
  width = 0;
  /** @type {Map<number, number>} */
  places = new Map();

  /** @param {import("./view.js").View} view */
  constructor(view) {
    this.view = view;
  }

  arrange() {
    const { columns, state } = this.view;
    const hidden = new Set(state.hidden);
    const pinned = state.pinned.filter((index) => columns[index] && !hidden.has(index));
    const first = new Set(pinned);
    const others = columns.filter(({ index }) => !hidden.has(index) && !first.has(index)).map(({ index }) => index);
    this.order = [...pinned, ...others];
    this.pinned = pinned.length;
    this.places = new Map(this.order.map((index, at) => [index, at]));
    let left = 0;
    this.lefts = [0];
    for (const index of this.order) this.lefts.push((left += this.widthOf(index)));
    this.width = left;
    this.pinnedWidth = this.lefts[this.pinned];
  }

  /** @param {number} index */
  widthOf(index) {
    const { columns, state } = this.view;
    const { kind, name } = columns[index];
    const usual = Math.max(WIDTHS[/** @type {keyof typeof WIDTHS} */ (kind)] ?? 170, Math.min(240, name.length * 7 + 56));
    return state.widths[index] ?? usual;
  }

  /** @param {number} x @returns {number} the place of the column at this distance from where columns begin */
  at(x) {
    let low = 0;
    let high = this.order.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.lefts[middle] <= x) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The rows' part of the scrollbar. */
export class Scale {
  top = 0;
  total = 0;
  /** Pixels in which rows are seen. */
  seen = 0;

  get height() {
    return Math.min(LIMIT, this.total * ROW);
  }

  get scaled() {
    return this.total * ROW > LIMIT;
  }

  get most() {
    return Math.max(0, this.total * ROW - this.seen);
  }

  /** @param {number} top */
  go(top) {
    this.top = within(top, 0, this.most);
  }

  /** @param {number} scrolled @param {number} span how far the scrollbar goes */
  fromBar(scrolled, span) {
    this.go(this.scaled ? (span > 0 ? scrolled / span : 0) * this.most : scrolled);
  }

  /** @param {number} span */
  toBar(span) {
    return this.scaled && this.most ? (this.top / this.most) * span : this.top;
  }
}
