"""What flows between cells as they come, change, move and go: only what that changes is told."""

from marimo_kernel_bridge.kernel.versions.value_flow import Changes, Source, ValueFlow


class Cells:
    """A value flow whose cells are changed by their ids; in the order in which they came, if not moved."""

    def __init__(self, *codes: str) -> None:
        self.flow = ValueFlow(lambda cell_id: cell_id.startswith("batch"))
        self.order: list[str] = []
        self.change({chr(ord("a") + number): code for number, code in enumerate(codes)})

    def change(self, codes: dict[str, str | None], order: list[str] | None = None) -> Changes:
        self.order = order or [*self.order, *(cell_id for cell_id in codes if cell_id not in self.order)]
        sources = {cell_id: None if code is None else Source(code) for cell_id, code in codes.items()}
        places = {cell_id: place for place, cell_id in enumerate(self.order)}
        return self.flow.update(sources, places, moved=order is not None)

    def reads(self, cell_id: str) -> dict[str, str]:
        return dict(self.flow.parts[cell_id].reads)


def test_a_cell_reads_the_version_above_it() -> None:
    cells = Cells("x = 1", "x", "x = 2", "x")
    assert (cells.reads("b"), cells.reads("d")) == ({"x": "a"}, {"x": "c"})
    assert cells.flow.makers["x"] == ["a", "c"]
    assert cells.flow.has_versions("x")


def test_a_change_tells_of_the_cells_that_it_concerns_and_of_no_others() -> None:
    cells = Cells("x = 1", "x", "y = 1", "y")
    changes = cells.change({"e": "x = 2"})
    assert changes.parts.keys() == {"a", "b", "e"}
    assert changes.makers == {"x": ["a"]}
    assert changes.names == {"x"}
    changes = cells.change({"a": "z = 1"})
    assert changes.parts.keys() == {"a", "b", "e"}
    assert cells.reads("b") == {"x": "e"}


def test_another_number_that_a_cell_assigns_changes_no_flow_and_is_not_analyzed_again() -> None:
    cells = Cells("a = 1  # one\nb = 2.5", *(f"v{number} = a + {number}" for number in range(20)))
    flows = {cell_id: part.flow for cell_id, part in cells.flow.parts.items()}
    changes = cells.change({"a": "a = 10  # one\nb = 7"})
    assert changes.parts.keys() == {"a"}
    assert cells.flow.parts["a"].source.code == "a = 10  # one\nb = 7"
    assert all(cells.flow.parts[cell_id].flow is flow for cell_id, flow in flows.items())


def test_a_number_that_is_part_of_an_expression_counts() -> None:
    code = "x = [1]\nx[0] = 1\ny = -1\nz = w = 1\nif x: v = 2\n  \nu = 3 + x[0]\nt = 1; s = 2"
    assert Source(code).text == code


def test_a_cell_that_moves_changes_who_reads_what() -> None:
    cells = Cells("x = 1", "x = 2", "x")
    changes = cells.change({}, order=["b", "a", "c"])
    assert cells.reads("c") == {"x": "a"}
    assert changes.makers == {"x": ["a", "b"]}
    assert cells.flow.makers["x"] == ["b", "a"]


def test_a_cell_that_goes_is_read_no_more() -> None:
    cells = Cells("x = 1", "x = 2", "x")
    changes = cells.change({"b": None})
    assert cells.reads("c") == {"x": "a"}
    assert "b" in changes.parts
    assert not cells.flow.has_versions("x")


def test_a_private_name_has_versions_only_if_another_cell_reads_it() -> None:
    cells = Cells("_x = 1", "_x = 2")
    assert not cells.flow.has_versions("_x")
    cells.change({"c": "_x"})
    assert cells.flow.has_versions("_x")


def test_a_batch_clients_cell_reads_nothing_that_is_made_below() -> None:
    flow = ValueFlow(lambda cell_id: cell_id.startswith("batch"))
    sources = {"batch1": Source("x"), "lab": Source("x"), "maker": Source("x = 1")}
    flow.update(sources, {"batch1": 0, "lab": 1, "maker": 2}, moved=False)
    assert not flow.parts["batch1"].reads
    assert flow.parts["lab"].reads == {("x", "maker")}


def test_functions_that_call_each_other_close_a_cycle_that_the_graph_must_not_see() -> None:
    cells = Cells("def f(): return g()", "def g(): return f()")
    assert cells.flow.closes_cycle("g")
    assert "g" in cells.flow.governed()


def test_star_imports_define_the_names_that_are_written_out() -> None:
    flow = ValueFlow(lambda _: False)
    sources = {"a": Source("pass", "from math import pi\n"), "b": Source("pi")}
    flow.update(sources, {"a": 0, "b": 1}, moved=False)
    assert flow.parts["b"].reads == {("pi", "a")}


def test_a_flow_of_the_same_notebook_gives_the_same_answers_in_the_end_as_a_new_one() -> None:
    codes = [f"x{number % 5} = x{(number + 1) % 5} = {number}; x{number % 3}" for number in range(40)]
    cells = Cells(*codes)
    cells.change({"c": "x0 = x1 = 7"})
    cells.change({"d": None})
    codes[2] = "x0 = x1 = 7"
    fresh = ValueFlow(lambda _: False)
    left = {chr(ord("a") + number): Source(code) for number, code in enumerate(codes) if number != 3}
    places = {cell_id: place for place, cell_id in enumerate(left)}
    fresh.update(left, places, moved=False)
    assert {one: part.reads for one, part in fresh.parts.items()} == {
        one: part.reads for one, part in cells.flow.parts.items()
    }
