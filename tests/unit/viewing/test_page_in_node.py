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
    shown = in_node(
        tmp_path,
        {"values": "shown"},
        f"results.shown = {numbers}.map((value) => shown(value, 'number')[0]);",
    )["shown"]
    assert shown == [
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
