/** What keys, pointers and the clipboard do in the grid. */

import { table, wholeRows } from "./copying.js";
import { $, counted, grouped, say } from "./dom.js";
import { ROW } from "./layout.js";
import { isCut, plain } from "./values.js";

const COPIED = 200_000; // cells

export class Gestures {
  /**
   * @param {import("./grid.js").Grid} grid
   * @param {{card: (column: number) => void, detail: () => void, search: () => void, help: () => void, trouble: (error: Error) => void}} open
   */
  constructor(grid, open) {
    this.grid = grid;
    this.selection = grid.selection;
    this.view = grid.view;
    this.open = open;
    const { box } = grid;
    box.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("copy", (event) => this.copyEvent(event));
    $("body").addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.press(event));
    $("body").addEventListener("dblclick", () => open.detail());
    $("body").addEventListener("pointerover", (/** @type {PointerEvent} */ event) => this.hint(event));
    document.addEventListener("keydown", (event) => this.anywhere(event));
  }

  /** @param {KeyboardEvent} event */
  anywhere(event) {
    const field = /** @type {HTMLElement} */ (event.target).closest?.("input, select, textarea, [popover]");
    if ((event.ctrlKey || event.metaKey) && event.key === "f" && document.activeElement !== $("search")) this.open.search();
    else if (field || event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === "/") this.open.search();
    else if (event.key === "?") this.open.help();
    else return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { grid, selection } = this;
    if (event.target !== grid.box) return;
    const { row, column } = selection;
    const wide = event.ctrlKey || event.metaKey;
    const act = {
      Enter: () => (row < 0 ? this.view.sortBy(column, event.shiftKey) : this.open.detail()),
      " ": () => (event.shiftKey ? selection.go(row, column, { whole: true, extend: true }) : this.open.detail()),
      ContextMenu: () => this.open.card(column),
      F10: () => event.shiftKey && this.open.card(column),
      a: () => wide && this.all(),
    }[event.key];
    if (event.altKey && event.key === "ArrowDown") this.open.card(column);
    else if (row < 0 && event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight"))
      this.widen(column, event.key === "ArrowLeft" ? -16 : 16);
    else if (act) {
      if (act() === false) return;
    } else if (!this.move(event, wide)) return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event @param {boolean} wide to the end @returns {boolean} whether the key moves */
  move(event, wide) {
    const { grid, selection } = this;
    const { places, order } = grid.columns;
    const last = this.view.total - 1;
    const end = order.length - 1;
    const page = Math.max(1, Math.floor(grid.scale.seen / ROW) - 1);
    const at = places.get(selection.column) ?? 0;
    const { row } = selection;
    /** @type {Record<string, [number, number]>} */
    const moves = {
      ArrowUp: [wide ? (row > 0 ? 0 : -1) : row - 1, at],
      ArrowDown: [wide ? last : row + 1, at],
      ArrowLeft: [row, wide ? 0 : at - 1],
      ArrowRight: [row, wide ? end : at + 1],
      PageUp: [Math.max(0, row - page), at],
      PageDown: [row + page, at],
      Home: [wide ? 0 : row, 0],
      End: [wide ? last : row, end],
    };
    const to = moves[event.key];
    if (!to || event.altKey || !order.length) return false;
    const extend = event.shiftKey && row >= 0;
    const target = Math.max(extend ? 0 : -1, Math.min(last, to[0]));
    selection.go(target, order[Math.max(0, Math.min(end, to[1]))], { extend, whole: extend && selection.whole });
    return true;
  }

  all() {
    this.selection.go(0, this.grid.columns.order[0], { show: false });
    this.selection.go(this.view.total - 1, this.grid.columns.order.at(-1) ?? 0, { extend: true, show: false });
  }

  /** @param {number} column @param {number} by */
  widen(column, by) {
    const width = Math.max(48, Math.min(1200, this.grid.columns.widthOf(column) + by));
    this.view.set({ widths: { ...this.view.state.widths, [column]: width } });
    say(`${width} pixels wide`);
  }

  /** A value that is cut shows in full while the pointer rests on it. @param {PointerEvent} event */
  hint(event) {
    const element = /** @type {HTMLElement} */ (event.target);
    if (!element.classList.contains("td")) return;
    const { row, column } = this.grid.cellAt(event.clientX, event.clientY);
    const whole = plain(this.grid.rows.cell(row, column));
    element.title = whole === element.textContent && element.scrollWidth <= element.clientWidth ? "" : whole;
  }

  /** @param {PointerEvent} event */
  press(event) {
    const { grid, selection } = this;
    if (event.button !== 0 && event.button !== 2) return;
    const { row, column } = grid.cellAt(event.clientX, event.clientY);
    if (row < 0 || (event.button === 2 && selection.holds(row, column))) return;
    grid.box.focus({ preventScroll: true });
    const whole = column < 0;
    const extend = event.shiftKey && selection.row >= 0;
    selection.go(row, whole ? selection.column : column, { extend, whole, show: false });
    if (event.button !== 0 || event.pointerType === "touch") return;
    event.preventDefault();
    this.drag(event, whole);
  }

  /** @param {PointerEvent} event @param {boolean} whole */
  drag(event, whole) {
    const { grid, selection } = this;
    let { clientX, clientY } = event;
    const body = $("body");
    body.setPointerCapture(event.pointerId);
    const follow = () => {
      const { row, column } = grid.cellAt(clientX, clientY);
      const to = whole || column < 0 ? selection.column : column;
      if (row >= 0 && (row !== selection.row || to !== selection.column)) selection.go(row, to, { extend: true, whole, show: false });
    };
    // Beyond the edge the rows move along
    const timer = setInterval(() => {
      const { top, bottom, left, right } = grid.box.getBoundingClientRect();
      const down = clientY > bottom ? clientY - bottom : Math.min(0, clientY - top - $("head").offsetHeight);
      if (down) grid.goTo(grid.scale.top + down);
      const aside = clientX > right ? clientX - right : Math.min(0, clientX - left);
      if (aside) grid.box.scrollLeft += aside;
      if (down || aside) follow();
    }, 50);
    body.onpointermove = (/** @type {PointerEvent} */ moved) => {
      ({ clientX, clientY } = moved);
      follow();
    };
    body.onlostpointercapture = () => {
      clearInterval(timer);
      body.onpointermove = body.onlostpointercapture = null;
    };
  }

  /** The selected cells as lines of texts between tabs; null if some are not on the page. */
  copied() {
    const { top, bottom } = this.selection.range;
    const { columns } = this.selection;
    if ((bottom - top + 1) * columns.length > COPIED)
      throw new Error(`That is more than ${grouped(COPIED)} cells: export the rows instead.`);
    const cells = [];
    for (let row = top; row <= bottom; row++) {
      const line = columns.map((column) => (this.grid.rows.stale ? undefined : this.grid.rows.cell(row, column)));
      if (line.includes(undefined) || line.some(isCut)) return null;
      cells.push(line);
    }
    return table(/** @type {any} */ (cells));
  }

  /** @param {ClipboardEvent} event */
  copyEvent(event) {
    if (document.activeElement !== this.grid.box || this.selection.row < 0) return;
    event.preventDefault();
    try {
      const text = this.copied();
      if (text === null) return void this.fetchAndCopy();
      event.clipboardData?.setData("text/plain", text);
      this.sayCopied();
    } catch (error) {
      this.open.trouble(/** @type {Error} */ (error));
    }
  }

  /** Rows that are not on the page, and values that are longer than a cell, are asked for first. */
  async fetchAndCopy() {
    const { selection, grid } = this;
    const { top, bottom, single } = selection.range;
    const { columns } = selection;
    try {
      const { rows, cut } = await wholeRows(grid.rows, top, bottom, columns);
      await navigator.clipboard.writeText(single ? plain(rows[0][0]) : table(rows));
      this.sayCopied(cut);
    } catch (error) {
      this.open.trouble(/** @type {Error} */ (error));
    }
  }

  /** @param {number} cut values of which that is the beginning */
  sayCopied(cut = 0) {
    const { top, bottom, left, right } = this.selection.range;
    const beginning = cut ? `; of ${counted(cut, "cell")} the beginning alone: export the rows to have all` : "";
    const text = `Copied ${counted((bottom - top + 1) * (right - left + 1), "cell")}${beginning}`;
    $("said").textContent = text;
    say(text);
  }
}
