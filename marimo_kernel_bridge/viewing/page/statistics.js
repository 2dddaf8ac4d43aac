/**
 * The columns' statistics: asked for when the rows are on the screen, for the columns that are seen, two at a time. They take
 * the processors that paint.
 */

const AT_ONCE = 2;

export class StatisticsOfColumns {
  /** @type {Map<number, import("./types").Statistics>} */
  known = new Map();
  /** Those of other rows, shown until the present ones are there. @type {Map<number, import("./types").Statistics>} */
  before = new Map();
  /** @type {Map<number, Promise<import("./types").Statistics>>} */
  asked = new Map();
  /** @type {Set<number>} */
  failed = new Set();
  under = 0;
  /** Rows of these filters: not there yet, drawn, or on the screen. @type {"" | "drawn" | "painted"} */
  rowsAre = "";

  /** @param {import("./grid.js").Grid} grid */
  constructor(grid) {
    this.grid = grid;
    this.view = grid.view;
    this.rowsOf = "";
    grid.drawn.push(() => this.pump());
  }

  /** Sorting does not change them: only other rows do. */
  refresh() {
    const { filters, search } = this.view.state;
    const rowsOf = JSON.stringify([this.view.description.version, filters, search]);
    if (rowsOf === this.rowsOf) return;
    this.rowsOf = rowsOf;
    this.before = new Map([...this.before, ...this.known]);
    this.known = new Map();
    this.asked.clear();
    this.failed.clear();
    this.under = 0;
    this.rowsAre = "";
  }

  /** @param {number} column @returns {[import("./types").Statistics | undefined, boolean]} and whether they are stale */
  of(column) {
    const known = this.known.get(column);
    return [known ?? this.before.get(column), !known];
  }

  pump() {
    this.refresh();
    const { rows } = this.grid;
    if (rows.stale || !rows.blocks.size || this.view.ended || rows.halted) return;
    if (this.rowsAre !== "painted") return this.whenPainted();
    for (const column of this.grid.indices) {
      if (this.under >= AT_ONCE) return;
      if (!this.known.has(column) && !this.failed.has(column) && !this.asked.has(column)) this.ask(column).catch(() => {});
    }
  }

  /** Go on when the rows, which are drawn by now, are on the screen: a frame after theirs. */
  whenPainted() {
    if (this.rowsAre === "drawn") return;
    this.rowsAre = "drawn";
    const { rowsOf } = this;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (rowsOf !== this.rowsOf) return;
      this.rowsAre = "painted";
      this.pump();
    }));
  }

  /** @param {number} column */
  ask(column) {
    this.refresh();
    const { rowsOf } = this;
    const there = this.known.get(column);
    if (there) return Promise.resolve(there);
    const under = this.asked.get(column);
    if (under) return under;
    this.under += 1;
    const asked = this.view.settled
      .then(() => this.view.carrier.ask({ do: "statistics", column, version: this.view.description.version }))
      .then(
        (answer) => {
          if (rowsOf === this.rowsOf) this.known.set(column, answer);
          return answer;
        },
        (error) => {
          // The column stays without: its rows are what matters
          if (rowsOf === this.rowsOf) this.failed.add(column);
          throw error;
        },
      )
      .finally(() => {
        if (rowsOf !== this.rowsOf) return;
        this.under -= 1;
        this.asked.delete(column);
        this.grid.draw();
      });
    this.asked.set(column, asked);
    return asked;
  }
}
