/**
 * The rows that the page has: blocks of rows by chunks of columns, asked for as they are looked at.
 *
 * Of what is wanted, two requests are under way at most: while somebody scrolls, what has passed is not asked for.
 */

import { counted, debounced } from "./dom.js";
import { plain } from "./values.js";

const HIGH = 100;
const WIDE = 40;
const ASKED = 2;
const KEPT = 150_000; // cells; a long text is as much as several

/** @typedef {{ids: number[], chunks: Map<number, import("./types").Cell[][]>, count: number}} Block */

export class Rows {
  /** @type {Map<number, Block>} */
  blocks = new Map();
  /** What was there in the order before, to be shown until the new one is there. @type {Map<number, Block>} */
  before = new Map();
  /** @type {{first: number, last: number, chunks: number[]}} */
  wanted = { first: 0, last: 0, chunks: [] };
  /** @type {Set<number>} */
  asked = new Set();
  halted = false;
  /** Columns of a request: fewer after one was too much for an answer. */
  widest = 200;
  unsettled = false;

  /** @param {import("./view.js").View} view @param {() => void} arrived */
  constructor(view, arrived) {
    this.view = view;
    this.arrived = arrived;
    view.on("order", () => this.forget());
    view.on("described", ({ same }) => (same ? (this.halted = false) : this.forget()));
  }

  forget() {
    if (this.blocks.size) this.before = this.blocks;
    this.blocks = new Map();
    this.asked.clear();
    this.halted = false;
  }

  /** Whether what is shown is of the order before. */
  get stale() {
    return this.before.size > 0;
  }

  /**
   * @param {number} row
   * @param {number} column
   * @returns {import("./types").Cell | undefined} undefined while it is not there
   */
  cell(row, column) {
    const found = this.has(this.blocks, row, column);
    return found === undefined ? this.has(this.before, row, column) : found;
  }

  /** @param {Map<number, Block>} blocks @param {number} row @param {number} column */
  has(blocks, row, column) {
    const found = blocks.get(Math.floor(row / HIGH))?.chunks.get(Math.floor(column / WIDE))?.[row % HIGH];
    return found?.[column % WIDE];
  }

  /** @param {number} row @returns {number | undefined} its position in the source */
  id(row) {
    return this.blocks.get(Math.floor(row / HIGH))?.ids[row % HIGH];
  }

  /**
   * Have the rows from `first` to before `last`, of these columns.
   * @param {number} first
   * @param {number} last
   * @param {number[]} columns
   */
  want(first, last, columns) {
    this.wanted = { first, last, chunks: [...new Set(columns.map((column) => Math.floor(column / WIDE)))] };
    this.pump();
  }

  missing() {
    const { first, last, chunks } = this.wanted;
    for (let block = Math.floor(first / HIGH); block * HIGH < Math.max(last, 1); block++) {
      const there = this.blocks.get(block)?.chunks;
      const needed = chunks.filter((chunk) => !there?.has(chunk));
      if (needed.length && !this.asked.has(block)) return { block, chunks: needed.slice(0, 5) };
    }
    return null;
  }

  pump() {
    while (!this.halted && !this.view.ended && this.asked.size < ASKED) {
      const next = this.missing();
      if (!next) return;
      this.fetch(next.block, next.chunks);
    }
  }

  /** @param {number} block @param {number[]} chunks */
  async fetch(block, chunks) {
    const { view } = this;
    const { epoch } = view;
    this.asked.add(block);
    try {
      await view.settled;
      const answer = epoch === view.epoch && (await this.ask(block, chunks));
      if (epoch !== view.epoch || !answer) return;
      this.asked.delete(block);
      this.take(block, chunks, answer);
    } catch (error) {
      if (epoch !== view.epoch) return;
      this.asked.delete(block);
      if (/** @type {Error} */ (error).name !== "cancelled") {
        this.halted = true;
        return view.emit("trouble", error);
      }
    }
    this.pump();
  }

  /** @param {number} block @param {number[]} chunks */
  async ask(block, chunks) {
    const columns = chunks.flatMap((chunk) => this.columnsOf(chunk));
    const end = (block + 1) * HIGH;
    const answer = await this.part(block * HIGH, HIGH, columns);
    for (;;) {
      // An answer that would be too large has fewer rows
      const start = block * HIGH + answer.rows.length;
      if (!answer.rows.length || start >= Math.min(end, answer.matching ?? end)) return answer;
      const more = await this.part(start, end - start, columns);
      if (!more.rows.length) return answer;
      answer.rows.push(...more.rows);
      answer.ids.push(...more.ids);
      answer.matching = more.matching;
    }
  }

  /**
   * Ask for rows, of which at least the first comes if there is one. What is too much for one answer is asked in halves.
   * @param {number} start
   * @param {number} count
   * @param {number[]} columns
   * @returns {Promise<any>}
   */
  async part(start, count, columns) {
    const { carrier, description } = this.view;
    const half = Math.ceil(columns.length / 2);
    if (columns.length > this.widest) {
      const left = await this.part(start, count, columns.slice(0, half));
      if (!left.rows.length) return left;
      const right = await this.part(start, left.rows.length, columns.slice(half));
      if (right.ids.some((/** @type {number} */ id, /** @type {number} */ at) => id !== left.ids[at]))
        throw Object.assign(new Error("The order of the rows changed. Try again."), { name: "cancelled" });
      return { ...right, rows: right.rows.map((/** @type {any} */ row, /** @type {number} */ at) => [...left.rows[at], ...row]) };
    }
    try {
      return await carrier.ask({ do: "rows", start, count, columns, version: description.version });
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "too_large" || (columns.length < 2 && count < 2)) throw error;
    }
    if (columns.length < 2) return this.part(start, Math.ceil(count / 2), columns);
    this.widest = half;
    return this.part(start, count, columns);
  }

  /** @param {number} chunk */
  columnsOf(chunk) {
    const last = Math.min(this.view.columns.length, (chunk + 1) * WIDE);
    return Array.from({ length: last - chunk * WIDE }, (_, at) => chunk * WIDE + at);
  }

  /** @param {number} block @param {number[]} chunks @param {{rows: import("./types").Cell[][], ids: number[], matching: number | null, unsettled?: boolean}} answer */
  take(block, chunks, { rows, ids, matching, unsettled }) {
    const there = this.blocks.get(block) ?? { ids, chunks: new Map(), count: 0 };
    let at = 0;
    for (const chunk of chunks) {
      const width = this.columnsOf(chunk).length;
      const cells = rows.map((row) => row.slice(at, at + width));
      there.chunks.set(chunk, cells);
      there.count += cells.flat().reduce((/** @type {number} */ sum, cell) => sum + 1 + (plain(cell).length >> 5), 0);
      at += width;
    }
    there.ids = ids;
    this.blocks.delete(block);
    this.blocks.set(block, there); // the youngest
    this.before = new Map();
    this.unsettled = !!unsettled;
    this.drop();
    const end = block * HIGH + rows.length;
    const { view } = this;
    if (matching !== null && matching !== undefined) view.count(matching, true);
    else if (rows.length < HIGH) view.count(rows.length || !block ? end : Math.min(view.total, end), view.description.rows !== null);
    else view.count(Math.max(view.total, end + 1), false);
    if (!view.totalKnown) this.countLater();
    this.arrived();
  }

  /** The count of a sort or a filter of much data comes after its first rows. */
  countLater = debounced(async () => {
    const { view } = this;
    const { epoch, description } = view;
    if (view.totalKnown || description.rows === null) return;
    try {
      const { matching } = await view.carrier.ask({ do: "rows", start: 0, count: 1, columns: [], version: description.version });
      if (epoch !== view.epoch) return;
      if (matching === null) this.countLater();
      else view.count(matching, true);
    } catch {
      // The next rows say it, or what is wrong
    }
  }, 500);

  /** Keep the youngest blocks, and those that are looked at. */
  drop() {
    let cells = 0;
    for (const { count } of this.blocks.values()) cells += count;
    for (const [block, { count }] of this.blocks) {
      if (cells <= KEPT) return;
      const seen = (block + 1) * HIGH > this.wanted.first && block * HIGH < this.wanted.last;
      if (seen) continue;
      this.blocks.delete(block);
      cells -= count;
    }
  }

  /**
   * Rows for a copy, whether or not they are on the page.
   * @param {number} first
   * @param {number} last
   * @param {number[]} columns
   * @returns {Promise<{rows: import("./types").Cell[][], ids: number[]}>}
   */
  async read(first, last, columns) {
    /** @type {import("./types").Cell[][]} */
    const read = Array.from({ length: last - first + 1 }, () => []);
    /** @type {number[]} */
    const ids = [];
    await this.view.settled;
    const { epoch } = this.view;
    for (let from = 0; from < columns.length; from += 200)
      for (let start = first; start <= last; ) {
        const answer = await this.part(start, Math.min(500, last + 1 - start), columns.slice(from, from + 200));
        const other = (/** @type {number} */ id, /** @type {number} */ at) => (ids[start - first + at] ??= id) !== id;
        if (epoch !== this.view.epoch || !answer.rows.length || answer.ids.some(other))
          throw new Error(`The data changed while ${counted(last + 1 - first, "row")} were read. Try again.`);
        for (const [at, row] of answer.rows.entries()) read[start - first + at].push(...row);
        start += answer.rows.length;
      }
    return { rows: read, ids };
  }

  /**
   * Where rows are in the source, whether or not they are on the page.
   * @param {number} first
   * @param {number} count
   */
  async ids(first, count) {
    /** @type {number[]} */
    const ids = [];
    while (ids.length < count) {
      const start = first + ids.length;
      const there = this.id(start);
      const more = there === undefined ? (await this.part(start, Math.min(500, count - ids.length), [])).ids : [there];
      if (!more.length) break;
      ids.push(...more);
    }
    return ids;
  }
}
