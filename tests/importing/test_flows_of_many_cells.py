"""What the analysis costs as cells are added: counted, as a busy machine's clock tells little."""

from marimo_kernel_bridge.analysis import value_flows as flows_module
from marimo_kernel_bridge.analysis.name_uses import CellNames
from marimo_kernel_bridge.analysis.value_flows import GroupFlows, flows
from marimo_kernel_bridge.kernel.versions.value_flow import Source, ValueFlow


def test_a_cell_below_many_others_leaves_their_flows_as_they_were():
    cells = [f"import math\ny{number} = math.sqrt({number})\nprint(y{number})" for number in range(60)]
    group = GroupFlows()
    before = group.of(cells)
    after = group.of([*cells, "import math\nprint(math.pi)"])
    assert all(now is was for now, was in zip(after, before, strict=False))


def looks(monkeypatch, count):
    """Return how often occurrences are asked for when functions call each other and the last is called."""
    asked = []
    of = CellNames.of
    monkeypatch.setattr(CellNames, "of", lambda self, name: asked.append(name) or of(self, name))
    functions = [f"def f{number}(x): return f{number - 1}(x) + 1" for number in range(1, count)]
    cells = ["k = 0", "def f0(x): return x + k", *functions, "k = 1", f"f{count - 1}(1)"]
    assert ("k", count + 1) in flows(cells)[-1].reads
    return len(asked)


def test_who_calls_a_function_is_found_at_a_cost_that_grows_with_the_number_of_functions(monkeypatch):
    assert looks(monkeypatch, 80) < 2.5 * looks(monkeypatch, 40)


def test_cells_that_come_go_or_move_leave_the_others_as_they_were(monkeypatch):
    analyzed = []
    add = flows_module._Flows.add
    monkeypatch.setattr(
        flows_module._Flows, "add", lambda self, source: analyzed.append(source) or add(self, source)
    )
    cells = ["gone = 1", *(f"up{number} = {number}\nprint(up{number})" for number in range(30))]
    sources = {f"c{number}": Source(code) for number, code in enumerate([*cells, "up = 1", "print(up)"])}
    flow = ValueFlow(lambda _: False)
    places = {cell_id: number for number, cell_id in enumerate(sources)}
    flow.update(sources, places, moved=False)
    assert len(analyzed) == 33
    changes = flow.update({"c0": None}, places, moved=False)
    assert (changes.parts.keys(), changes.names, len(analyzed)) == ({"c0"}, {"gone"}, 33)
    turned = {cell_id: -place for cell_id, place in places.items()}
    changes = flow.update({}, turned, moved=True)  # all but two do not see it
    assert (changes.parts.keys(), changes.names, analyzed[33:]) == (
        {"c31", "c32"},
        set(),
        ["print(up)", "up = 0"],
    )


def test_a_cell_below_a_long_chain_is_analysed_alone_and_once_if_it_was_tried_before(monkeypatch):
    analyzed = []
    add = flows_module._Flows.add
    monkeypatch.setattr(
        flows_module._Flows, "add", lambda self, source: analyzed.append(source) or add(self, source)
    )
    chain = ["n0 = 0", *(f"n{number} = n{number - 1}" for number in range(1, 41))]
    sources = {f"c{number}": Source(code) for number, code in enumerate(chain)}
    places = {cell_id: number for number, cell_id in enumerate(sources)}
    last = {"c40": sources.pop("c40")}
    flow = ValueFlow(lambda _: False)
    flow.update(sources, places, moved=False)
    assert len(analyzed) == 40
    ValueFlow(lambda _: False, flow).update({**sources, **last}, places, moved=False)
    changes = flow.update(last, places, moved=False)
    assert (analyzed[40:], changes.parts) == (["n40 = n39"], {"c40": None})
