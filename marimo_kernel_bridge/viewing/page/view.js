/**
 * The view as the page knows it: the description, the state that it shares with other pages and the agent, and what changes.
 *
 * `epoch` numbers the orders of rows that there were: rows and statistics of an older one are stale.
 */

import { counted } from "./dom.js";

/** @typedef {"described" | "order" | "look" | "total" | "agent" | "ended" | "progress" | "trouble" | "placed" | "shown"} Change */

/** @param {import("./types").ViewState} state */
const orderOf = (state) => JSON.stringify([state.sort, state.filters, state.search]);
/** @param {import("./types").ViewState} state */
const lookOf = (state) => JSON.stringify([state.hidden, state.pinned, state.widths]);
const UNSELECTED = { selected: [], selected_count: 0, selected_column: null };

export class View {
  /** @type {import("./types").Description} */
  description = /** @type {any} */ (null);
  /** @type {import("./types").Column[]} */
  columns = [];
  /** @type {import("./types").ViewState} */
  state = /** @type {any} */ (null);
  epoch = 0;
  /** How many rows match; a guess until the first of them are there. */
  total = 0;
  totalKnown = false;
  ended = "";
  /** @type {Promise<void>} */
  settled = Promise.resolve();
  sets = 0;
  /** @type {Map<Change, ((given?: any) => void)[]>} */
  listeners = new Map();

  /** @param {import("./types").Carrier} carrier */
  constructor(carrier) {
    this.carrier = carrier;
    carrier.onEvent = (event) => this.receive(event);
  }

  /** @param {Change} change @param {(given?: any) => void} listener */
  on(change, listener) {
    this.listeners.set(change, [...(this.listeners.get(change) ?? []), listener]);
  }

  /** @param {Change} change @param {any} [given] */
  emit(change, given) {
    for (const listener of this.listeners.get(change) ?? []) listener(given);
  }

  async open() {
    const description = await this.carrier.ask({ do: "describe" });
    // Of thousands of columns an answer to an App has the first
    const { version } = description;
    while (description.columns.length < (description.columns_total ?? 0)) {
      const more = await this.carrier.ask({ do: "columns", start: description.columns.length, version });
      if (!more.columns.length) break;
      description.columns.push(...more.columns);
    }
    this.describe(description);
  }

  /** @param {import("./types").Description} description */
  describe(description) {
    const first = this.description === null;
    const same = !first && description.version === this.description.version && description.rows === this.description.rows;
    const version = this.description?.version;
    const newer = !first && version !== description.version;
    this.description = description;
    this.columns = description.columns;
    if (!same) this.epoch += 1;
    if (first || newer) this.state = description.state;
    else this.adopt(description.state, true);
    this.count(description.matching ?? description.rows ?? this.total, description.matching !== null);
    this.emit("described", { first, same, newer });
    if (description.progress) this.emit("progress", description.progress);
    if (description.ended !== this.ended) this.end(description.ended);
  }

  /** @param {import("./types").ViewEvent} event */
  receive(event) {
    if (event.event === "state" && event.state && this.state) this.take(event.state, true);
    else if (event.event === "changed" && event.view) {
      const { columns, columns_total = 0 } = event.view;
      if (columns.length < columns_total) this.open().catch((error) => this.emit("trouble", error));
      else this.describe(event.view);
    }
    else if (event.event === "ended") this.end(event.ended || "ended");
    else if (event.event === "progress") this.emit("progress", event);
    else if (event.event === "shown") this.emit("shown");
  }

  /**
   * Take a state as the present one.
   * @param {import("./types").ViewState} state
   * @param {boolean} [pushed] whether somebody else set it
   */
  take(state, pushed = false) {
    const before = this.state;
    this.adopt(state, pushed);
    if (lookOf(before) !== lookOf(state)) this.emit("look");
    if (pushed && state.by !== "person" && state.first_row !== before.first_row) this.emit("placed");
  }

  /**
   * Have a state, and notice that its order of the rows is another, however it came here.
   * @param {import("./types").ViewState} state
   * @param {boolean} pushed
   */
  adopt(state, pushed) {
    const before = this.state;
    this.state = state;
    if (orderOf(before) !== orderOf(state)) {
      this.epoch += 1;
      this.totalKnown = false;
      this.emit("order", before);
      if (pushed && state.by !== "person") this.emit("agent", before);
    }
  }

  /**
   * Change the shared state. It shows at once; rows are asked for when the view has taken it.
   * @param {Partial<import("./types").ViewState>} change
   */
  set(change) {
    const before = this.state;
    const mine = ++this.sets;
    // What is selected is places in an order
    if (orderOf({ ...before, ...change }) !== orderOf(before)) change = { ...UNSELECTED, ...change };
    this.take({ ...before, ...change, by: "person" });
    const asked = this.carrier.ask({ do: "set", state: change });
    const taken = asked.then(
      (answer) => {
        if (mine === this.sets) this.take(answer.state ?? answer);
      },
      (error) => {
        if (mine === this.sets) this.take(before);
        this.emit("trouble", error);
      },
    );
    this.settled = Promise.all([this.settled, taken]).then(() => {});
    return taken;
  }

  /** @param {number} total @param {boolean} known */
  count(total, known) {
    if (total === this.total && known === this.totalKnown) return;
    this.total = total;
    this.totalKnown = known;
    this.emit("total");
  }

  /** @param {string} ended why, or nothing if it is not */
  end(ended) {
    this.ended = ended;
    this.emit("ended");
  }

  get filtered() {
    return this.state.filters.length > 0 || this.state.search !== "";
  }

  /** @param {number} index */
  sortOf(index) {
    return this.state.sort.find((key) => key.column === index);
  }

  /**
   * Sort by a column: upwards, then downwards, then no more. `more`: beside the columns that it is sorted by already.
   * @param {number} column
   * @param {boolean} more
   * @param {boolean | null} [descending] instead of the next; null for no more
   */
  sortBy(column, more, descending) {
    const key = this.sortOf(column);
    const next = descending === undefined ? (!key ? false : key.descending ? null : true) : descending;
    const changed = next === null ? [] : [{ column, descending: next }];
    const others = this.state.sort.filter((other) => other.column !== column);
    if (more && key && next !== null)
      return this.set({ sort: this.state.sort.map((other) => (other === key ? changed[0] : other)) });
    return this.set({ sort: [...(more ? others : []), ...changed] });
  }

  /** @param {number} column @param {import("./types").Filter[]} filters instead of the column's present ones */
  filterBy(column, filters) {
    return this.set({ filters: [...this.state.filters.filter((filter) => filter.column !== column), ...filters] });
  }

  /** What a model is told of it: what a person would say who looks at it. */
  sentence() {
    const { description, state } = this;
    const name = (/** @type {number} */ index) => this.columns[index]?.name ?? String(index);
    const rows = description.rows === null ? "" : `${description.rows} rows × `;
    const said = [`The person looks at ${description.title} (${rows}${this.columns.length} columns)`];
    if (state.sort.length)
      said.push("sorted by " + state.sort.map((key) => `${name(key.column)} ${key.descending ? "descending" : "ascending"}`).join(", "));
    if (state.filters.length)
      said.push("filtered to " + state.filters.map((f) => `${name(f.column)} ${f.op} ${JSON.stringify(f.value)}`).join(" and "));
    if (state.search) said.push(`searching for ${JSON.stringify(state.search)}`);
    if (this.filtered && this.totalKnown) said.push(`${this.total} rows match`);
    const selected = Math.max(state.selected_count, state.selected.length);
    const listed = state.selected.slice(0, 20).join(", ") + (selected > 20 ? ", …" : "");
    if (selected) said.push(`${counted(selected, "row")} selected (positions in the source: ${listed})`);
    if (state.selected_column !== null && selected) said.push(`in column ${name(state.selected_column)}`);
    return said.join("; ").slice(0, 2000) + ".";
  }
}
