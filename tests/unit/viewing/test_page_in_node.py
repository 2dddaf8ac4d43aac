"""What the page does with values, answers and events, in memory: no browser, no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.viewing.page_modules import in_node

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """
let sort = [], hold = null, asks = 0;
const carrier = { ask: async (request) => {
  if (request.do === "describe") return description({ sort, by: sort.length ? "agent" : "person" });
  if (request.do !== "rows") return { state: { ...STATE, ...request.state } };
  asks += 1;
  const answered = sort;
  await hold;
  const ids = Array.from({ length: request.count }, (_, at) => (answered.length ? 999 - request.start - at : request.start + at));
  return { ids, rows: ids.map((id) => request.columns.map(() => id)), matching: 1000, version: 1 };
} };
const view = new View(carrier);
const rows = new Rows(view, () => {});
await view.open();
"""


def test_a_float_is_never_rounded_before_its_point_and_says_that_digits_are_cut(tmp_path: Path) -> None:
    numbers = [123456789.55, 1234567.891, 0.1234567890123, -1234567.891234, 0.000123456789123]
    numbers += [12345.5, 1.5, -0.25, 2 / 3, 1.2345678901234567e-9, 1e300, 3]
    found = in_node(
        tmp_path,
        {"values": "shown"},
        f"results.shown = {numbers}.map((value) => shown(value, 'number')[0]);"
        "results.whole = [0.1234567890123, 3, 1e300].map((value) => shown(value, 'number', true)[0]);",
    )
    assert found["whole"] == ["0.1234567890123", "3.0", "1e+300"]
    assert found["shown"] == [
        *("123456789.55", "1234567.89…", "0.1234567…", "-1234567.89…", "0.0001234567…"),
        *("12345.5", "1.5", "-0.25", "0.6666666…", "1.234567…e-9", "1e+300", "3.0"),
    ]


def test_a_mean_and_a_range_have_all_digits_before_the_point(tmp_path: Path) -> None:
    found = in_node(
        tmp_path,
        {"card": "factsOf", "head": "summary"},
        """
        const found = { rows: 3, nulls: 0, min: 123456789, max: 987654321.125, median: 123456789, mean: 123456789.75,
          bins: [{ low: 0, high: 1, count: 3 }] };
        results.facts = factsOf(found, "number").map((element) => element.text);
        results.range = summary(found, "number");
        """,
    )
    facts = dict(zip(found["facts"][::2], found["facts"][1::2], strict=True))
    assert (facts["Median"], facts["Mean"]) == ("123456789", "123456789.75")
    assert found["range"] == "123456789 \N{EN DASH} 987654321.12…"


def test_after_a_broken_connection_rows_are_asked_anew_in_the_order_that_the_agent_set_meanwhile(
    tmp_path: Path,
) -> None:
    found = in_node(
        tmp_path,
        {"view": "View", "rows": "Rows"},
        TABLE
        + """
        const orders = [];
        view.on("order", () => orders.push(view.state.sort.length));
        rows.want(0, 50, [0]);
        await turns();
        results.before = rows.cell(0, 0);
        await view.open();
        results.unchanged = rows.id(0);
        sort = [{ column: 0, descending: true }];
        await view.open();
        rows.want(0, 50, [0]);
        await turns();
        Object.assign(results, { after: rows.cell(0, 0), orders, asks });
        """,
    )
    assert found == {"before": 0, "unchanged": 0, "after": 999, "orders": [1], "asks": 2}


def test_a_block_whose_answer_came_too_late_for_its_order_is_asked_again(tmp_path: Path) -> None:
    found = in_node(
        tmp_path,
        {"view": "View", "rows": "Rows"},
        TABLE
        + """
        let free;
        hold = new Promise((done) => (free = done));
        rows.want(0, 50, [0]);
        await turns();
        sort = [{ column: 0, descending: true }];
        await view.open();
        free();
        rows.want(0, 50, [0]);
        await turns();
        Object.assign(results, { row: rows.cell(0, 0) ?? null, asked: [...rows.asked] });
        """,
    )
    assert found == {"row": 999, "asked": []}


def test_a_sum_has_every_digit_and_says_how_many_cells_it_is_without(tmp_path: Path) -> None:
    big = "{ t: '9007199254740993', k: 'big' }"
    decimal = "{ t: '0.10', k: 'decimal' }"
    nan = "{ t: 'NaN', k: 'nan' }"
    found = in_node(
        tmp_path,
        {"sums": "sums"},
        f"""
        results.big = sums([1, {big}, null]);
        results.decimals = sums([{decimal}, {decimal}, {decimal}, {{ t: "-1234567890123456789.25", k: "decimal" }}]);
        results.money = sums([1234567890123.45, 0.05]);
        results.mixed = sums([1, {nan}, 1e-9]);
        results.none = sums([{nan}, null]);
        results.less = sums([{{ t: "-0.25", k: "decimal" }}]);
        """,
    )
    assert found == {
        "big": " · sum 9007199254740994 · mean 4503599627370497",
        "decimals": " · sum -1234567890123456788.95 · mean -308641972530864200",
        "money": " · sum 1234567890123.5 · mean 617283945061.75",
        "mixed": " · sum 1.000000001 · mean 0.5000000… (without 1 that cannot be added)",
        "none": "",
        "less": " · sum -0.25 · mean -0.25",
    }


def test_a_note_goes_when_it_is_true_no_more_and_comes_once(tmp_path: Path) -> None:
    found = in_node(
        tmp_path,
        {"bar": "Bar", "view": "View"},
        """
        const view = new View({ ask: async () => ({}) });
        const bar = new Bar({ view, measure() {}, box: made() }, () => {});
        const notices = () => document.getElementById("notices").children.map((notice) => notice.children[0].text ?? notice.children[0]);
        const describe = (notes) => (view.describe(description({}, { notes })), bar.describe(), notices());
        results.loading = describe(["Loading failed: x", "Dates are texts"]);
        bar.note("note Dates are texts", "");
        results.same = describe(["Loading failed: x", "Dates are texts"]);
        results.loaded = describe(["Dates are texts"]);
        """,
    )
    assert found == {
        "loading": ["Loading failed: x", "Dates are texts"],
        "same": ["Loading failed: x"],
        "loaded": [],
    }


def test_what_loads_is_said_from_the_first_description_until_it_is_there_or_has_failed(
    tmp_path: Path,
) -> None:
    found = in_node(
        tmp_path,
        {"bar": "Bar", "view": "View"},
        """
        const view = new View({ ask: async () => ({}) });
        const bar = new Bar({ view, measure() {}, box: made() }, () => {});
        view.on("progress", (progress) => bar.progress(progress));
        const said = () => [document.getElementById("progress").hidden, document.getElementById("said").textContent];
        view.describe(description({}, { rows: null, progress: { done: null, what: "Loading a.csv" } }));
        results.loading = said();
        view.receive({ event: "changed", view: description({}, { rows: 5 }) });
        view.receive({ event: "progress", done: 1, what: "" });
        results.loaded = said();
        view.receive({ event: "progress", done: null, what: "failed" });
        results.failed = said();
        """,
    )
    assert found == {"loading": [False, "Loading a.csv"], "loaded": [True, ""], "failed": [True, ""]}


def test_statistics_are_asked_for_when_the_rows_are_on_the_screen(tmp_path: Path) -> None:
    found = in_node(
        tmp_path,
        {"statistics": "StatisticsOfColumns", "view": "View"},
        """
        const asked = [], frames = [];
        globalThis.requestAnimationFrame = (act) => frames.push(act);
        const frame = () => frames.splice(0).forEach((act) => act());
        const view = new View({ ask: async ({ do: what, column }) => (asked.push(what), { column }) });
        view.describe(description());
        const grid = { view, rows: { stale: false, blocks: new Map(), halted: false }, drawn: [], indices: [0], draw() {} };
        new StatisticsOfColumns(grid);
        const drawn = async () => (grid.drawn[0](), await turns());
        await drawn();
        results.none = [asked.length, frames.length];
        grid.rows.blocks.set(0, {});
        await drawn();
        await drawn();
        results.drawn = [asked.length, frames.length];
        frame();
        results.next = asked.length;
        frame();
        await turns();
        results.painted = asked;
        """,
    )
    assert found == {"none": [0, 0], "drawn": [0, 1], "next": 0, "painted": ["statistics"]}


def test_an_app_hears_no_news_from_before_its_description_and_why_a_call_was_refused(tmp_path: Path) -> None:
    found = in_node(
        tmp_path,
        {"host": "Host"},
        """
        const calls = [];
        let answer;
        const heard = [];
        globalThis.addEventListener = (name, listener) => name === "message" && heard.push(listener);
        globalThis.parent = { postMessage(message) {
          if (message.id === undefined) return;
          if (message.method === "tools/call") calls.push(JSON.parse(message.params.arguments.request));
          const result = message.method === "ui/initialize" ? {} : answer(message);
          heard[0]({ source: parent, data: { jsonrpc: "2.0", id: message.id, result } });
        } };
        let tick;
        globalThis.setTimeout = (act) => (tick = act);
        const host = new Host();
        results.connections = [];
        host.onConnection = (connection) => results.connections.push(connection);
        host.opened({ view: "v", key: "k" });
        answer = () => ({ content: [{ text: JSON.stringify({ n: 7 }) }] });
        await host.ask({ do: "describe" });
        await turns();
        tick();
        await turns();
        results.since = calls.at(-1).since;
        answer = () => ({ isError: true, content: [{ text: "[no_such_view] There is no such view." }] });
        tick();
        await turns();
        results.closed = results.connections.at(-1);
        """,
    )
    assert (found["since"], found["closed"]) == (7, "closed")


SELECTION = """
const sets = [];
const grid = { columns: { places: new Map([[0, 0], [1, 1]]), order: [0, 1] }, show() {}, draw() {} };
const answer = carrier.ask;
carrier.ask = (request) => {
  if (request.do === "set") sets.push(request.state);
  return answer(request);
};
const selection = new Selection(view, rows);
selection.grid = grid;
const told = [];
selection.tell = () => told.push(selection.share());
view.on("order", () => selection.reset());
const all = () => (selection.go(0, 0), selection.go(999, 1, { extend: true }));
"""


def test_the_view_is_told_how_many_rows_are_selected_and_which_whether_or_not_the_page_has_them(
    tmp_path: Path,
) -> None:
    found = in_node(
        tmp_path,
        {"view": "View", "rows": "Rows", "selection": "Selection"},
        TABLE
        + SELECTION
        + """
        all();
        await Promise.all(told);
        results.all = [sets.length, sets[0].selected, sets[0].selected_count, sets[0].selected_column];
        selection.go(3, 1);
        selection.go(700, 1, { extend: true });
        await Promise.all(told);
        const { selected, selected_count, selected_column } = sets.at(-1);
        results.column = [selected.length, selected[0], selected_count, selected_column];
        results.sentence = view.sentence();
        """,
    )
    assert found["all"] == [1, list(range(1000)), 1000, None]
    assert found["column"] == [698, 3, 698, 1]
    assert "698 rows selected (positions in the source: 3, 4, " in found["sentence"]


def test_of_a_very_large_selection_the_view_has_the_first_rows_and_the_count(tmp_path: Path) -> None:
    found = in_node(
        tmp_path,
        {"view": "View", "rows": "Rows", "selection": "Selection"},
        TABLE
        + SELECTION
        + """
        view.count(1_000_000, true);
        selection.go(0, 0);
        selection.go(999_999, 1, { extend: true });
        await Promise.all(told);
        results.told = [sets.at(-1).selected.length, sets.at(-1).selected_count];
        """,
    )
    assert found["told"] == [1000, 1_000_000]


def test_a_new_order_clears_the_selection_of_the_page_and_of_the_view(tmp_path: Path) -> None:
    found = in_node(
        tmp_path,
        {"view": "View", "rows": "Rows", "selection": "Selection"},
        TABLE
        + SELECTION
        + """
        all();
        await Promise.all(told);
        await view.sortBy(0, false);
        await Promise.all(told);
        results.sorted = [sets.at(-1), view.state.selected_count, selection.holds(5, 0)];
        all();
        await Promise.all(told);
        view.receive({ event: "state", state: { ...view.state, sort: [], by: "agent" } });
        await Promise.all(told);
        results.pushed = [sets.at(-1), view.state.selected_count, selection.holds(5, 0)];
        """,
    )
    none = {"selected": [], "selected_count": 0, "selected_column": None}
    assert found["sorted"] == [none | {"sort": [{"column": 0, "descending": False}]}, 0, False]
    assert found["pushed"] == [none, 0, False]


FULL = """
const texts = ["x".repeat(400), "y", "[" + "1, ".repeat(200) + "1]", "z".repeat(2_000_000)];
const kinds = ["long", "", "nested", "long"];
const cut = (text, kind) => (kind ? { t: text.slice(0, 300) + (kind === "long" ? "" : "…"), k: kind } : text);
let most = 2, details = 0, rowsLength = 4;
const carrier = { ask: async (request) => {
  if (request.do === "describe") return description({}, { rows: rowsLength, matching: rowsLength });
  if (request.do === "detail") {
    details += 1;
    const text = texts[request.row % 4];
    return { text: text.slice(0, 1_000_000), kind: "text", cut: text.length > 1_000_000 };
  }
  const left = rowsLength - request.start;
  const ids = Array.from({ length: Math.max(0, Math.min(request.count, most, left)) }, (_, at) => request.start + at);
  const matching = unknown ? null : rowsLength;
  return { ids, rows: ids.map((id) => request.columns.map(() => cut(texts[id % 4], kinds[id % 4]))), matching, version: 1 };
} };
let unknown = false;
const view = new View(carrier);
const rows = new Rows(view, () => {});
await view.open();
"""


def test_a_copy_has_whole_values_or_says_of_how_many_it_has_the_beginning(tmp_path: Path) -> None:
    found = in_node(
        tmp_path,
        {"view": "View", "rows": "Rows", "copying": "table, wholeRows"},
        FULL
        + """
        const { rows: read, cut: beginnings } = await wholeRows(rows, 0, 3, [0]);
        results.whole = table(read.slice(0, 3)) === texts.slice(0, 3).join("\\n");
        results.last = [read[3][0].length, read[3][0].endsWith("z…"), beginnings, details];
        rowsLength = 4000;
        await view.open();
        results.refused = await wholeRows(rows, 0, 3999, [0]).catch((error) => error.message);
        """,
    )
    assert found["whole"]
    assert found["last"] == [1_000_001, True, 1, 3]
    assert found["refused"] == "3,000 of these values are long: export the rows instead."


def test_a_value_whose_beginning_the_page_has_is_offered_for_no_filter(tmp_path: Path) -> None:
    found = in_node(
        tmp_path,
        {"head": "topOf"},
        """
        const top = [[{ t: "x".repeat(300), k: "long" }, 5], ["a", 4]];
        const parts = topOf({ top, rows: 9 }, { index: 0, kind: "text" });
        results.filters = parts.map(({ filters }) => filters && filters[0].value);
        """,
    )
    assert found["filters"] == [None, "a"]


def test_an_answer_with_fewer_rows_than_asked_is_asked_on_also_while_their_number_is_unknown(
    tmp_path: Path,
) -> None:
    found = in_node(
        tmp_path,
        {"view": "View", "rows": "Rows"},
        FULL
        + """
        rowsLength = 90;
        unknown = true;
        most = 7;
        await view.open();
        rows.want(0, 90, [0]);
        await turns(2000);
        results.there = Array.from({ length: 91 }, (_, at) => rows.id(at)).filter((id) => id !== undefined).length;
        """,
    )
    assert found["there"] == 90


def test_what_is_too_much_for_one_answer_is_asked_in_fewer_columns_then_rows(tmp_path: Path) -> None:
    found = in_node(
        tmp_path,
        {"view": "View", "rows": "Rows"},
        """
        const asked = [];
        const columns = Array.from({ length: 80 }, (_, index) => ({ index, name: `c${index}`, kind: "text", dtype: "str" }));
        const carrier = { ask: async ({ do: what, start, count, columns: some }) => {
          if (what === "describe") return description({}, { columns, rows: 10, matching: 10 });
          asked.push([Math.min(count, 10), some.length]);
          const ids = Array.from({ length: Math.min(count, 10 - start) }, (_, at) => start + at);
          if (ids.length * some.length > limit) throw Object.assign(new Error("too much"), { name: "too_large" });
          return { ids, rows: ids.map((id) => some.map((column) => `${id}.${column}`)), matching: 10, version: 1 };
        } };
        let limit = 200;
        const view = new View(carrier);
        const rows = new Rows(view, () => {});
        view.on("trouble", (error) => (results.trouble = error.message));
        await view.open();
        rows.want(0, 10, [0, 79]);
        await turns(500);
        results.cells = [rows.cell(0, 0), rows.cell(9, 79), rows.cell(4, 41)];
        limit = 5;
        rows.forget();
        rows.want(0, 10, [0]);
        await turns(5000);
        results.narrow = [rows.cell(0, 0), rows.cell(9, 39)];
        """,
    )
    assert found == {"cells": ["0.0", "9.79", "4.41"], "narrow": ["0.0", "9.39"]}


def test_columns_that_come_in_parts_are_put_together_before_the_page_shows_any(tmp_path: Path) -> None:
    found = in_node(
        tmp_path,
        {"view": "View"},
        """
        const columns = Array.from({ length: 5 }, (_, index) => ({ index, name: `c${index}`, kind: "text", dtype: "str" }));
        const part = (start = 0) => description({}, { columns: columns.slice(start, start + 2), columns_total: 5 });
        const view = new View({ ask: async ({ start }) => part(start) });
        const shown = [];
        view.on("described", () => shown.push(view.columns.map(({ name }) => name).join(" ")));
        await view.open();
        view.receive({ event: "changed", view: part() });
        await turns();
        results.shown = shown;
        """,
    )
    assert found["shown"] == ["c0 c1 c2 c3 c4"] * 2
