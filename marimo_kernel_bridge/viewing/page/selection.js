/** The active cell and the range that is selected from it. What keys and pointers do to it is in `gestures.js`. */

import { debounced } from "./dom.js";

const TOLD = 1000; // rows of a selection that the view is told of: a request of an App has 20 kB

export class Selection {
  /** -1: the head. */
  row = 0;
  column = 0;
  fromRow = 0;
  fromColumn = 0;
  /** Whether whole rows are selected. */
  whole = false;
  /** Whether a person has selected anything yet. */
  made = false;
  shares = 0;
  /** @type {import("./grid.js").Grid} */
  grid = /** @type {any} */ (null);
  /** @type {() => void} */
  changed = () => {};

  /** @param {import("./view.js").View} view @param {import("./rows.js").Rows} rows */
  constructor(view, rows) {
    this.view = view;
    this.rows = rows;
    this.tell = debounced(() => this.share(), 300);
  }

  /**
   * @param {number} row
   * @param {number} column
   * @param {{extend?: boolean, whole?: boolean, show?: boolean}} [how]
   */
  go(row, column, { extend = false, whole = false, show = true } = {}) {
    const last = this.view.total - 1;
    this.row = Math.max(-1, Math.min(last, row));
    this.column = column;
    this.whole = whole;
    this.made = true;
    if (!extend) {
      this.fromRow = Math.max(0, this.row);
      this.fromColumn = column;
    }
    if (show) this.grid.show(this.row, column);
    else this.grid.draw();
    this.tell();
    this.changed();
  }

  /** The rows and columns' places that are selected, both ends included. */
  get range() {
    const { places, order } = this.grid.columns;
    const columns = [places.get(this.fromColumn) ?? 0, places.get(this.column) ?? 0].sort((a, b) => a - b);
    const rows = [this.fromRow, Math.max(0, this.row)].sort((a, b) => a - b);
    const [left, right] = this.whole ? [0, order.length - 1] : columns;
    return { top: rows[0], bottom: rows[1], left, right, single: rows[0] === rows[1] && left === right };
  }

  /** The columns that are selected, by their index. */
  get columns() {
    const { left, right } = this.range;
    return this.grid.columns.order.slice(left, right + 1);
  }

  /** @param {number} row @param {number} column */
  isActive(row, column) {
    return row === this.row && column === this.column;
  }

  /** @param {number} row @param {number} column */
  holds(row, column) {
    if (this.row < 0 || !this.made) return false;
    const { top, bottom, left, right } = this.range;
    const at = this.grid.columns.places.get(column) ?? -1;
    return row >= top && row <= bottom && at >= left && at <= right;
  }

  /** @param {number} row whether all of it is selected */
  holdsRow(row) {
    return this.whole && this.row >= 0 && row >= this.range.top && row <= this.range.bottom;
  }

  /** @param {number} row @param {number} column @returns {string} the classes of the cell */
  lookOf(row, column) {
    const active = this.isActive(row, column) ? "active" : "";
    return this.holds(row, column) && (this.whole || !this.range.single) ? `in ${active}` : active;
  }

  /** After the rows or columns are others. */
  settle() {
    const { order, places } = this.grid.columns;
    if (!places.has(this.column)) this.column = this.fromColumn = order[0] ?? 0;
    if (!places.has(this.fromColumn)) this.fromColumn = this.column;
    this.row = Math.max(this.row < 0 ? -1 : 0, Math.min(this.row, this.view.total - 1));
    this.fromRow = Math.max(0, Math.min(this.fromRow, this.view.total - 1));
  }

  /** The order of the rows is another: what was selected is elsewhere. */
  reset() {
    this.row = Math.min(this.row, 0);
    this.clear();
  }

  /** Nothing is selected any more; the active cell stays. */
  clear() {
    this.fromRow = Math.max(0, this.row);
    this.fromColumn = this.column;
    this.whole = this.made = false;
    if (this.view.state.selected_count || this.view.state.selected.length) this.tell();
    this.changed();
  }

  /** Tell the view how many rows are selected, and which the first of them are, whether or not the page has them. */
  async share() {
    const mine = ++this.shares;
    const { view } = this;
    const { epoch } = view;
    const { top, bottom, left, right } = this.range;
    const selected_count = this.made && this.row >= 0 && view.total > 0 ? bottom - top + 1 : 0;
    const selected_column = selected_count && left === right && !this.whole ? this.column : null;
    const selected = await this.rows.ids(top, Math.min(TOLD, selected_count)).catch(() => []);
    if (mine === this.shares && epoch === view.epoch) await view.set({ selected, selected_count, selected_column });
  }
}
