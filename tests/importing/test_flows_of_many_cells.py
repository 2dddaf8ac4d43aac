"""What the analysis costs as cells are added: counted, as a busy machine's clock tells little."""

from marimo_kernel_bridge.reactive_names import flows, groups
from marimo_kernel_bridge.reactive_names.flows import Flows
from marimo_kernel_bridge.reactive_names.occurrences import CellNames


def test_a_cell_below_many_others_leaves_their_flows_as_they_were():
    cells = [f"import math\ny{number} = math.sqrt({number})\nprint(y{number})" for number in range(60)]
    flows = Flows()
    before = flows.of(["z = 1", *cells])
    after = flows.of(["z = 1", *cells, "import math\nprint(math.pi)"])
    assert all(now is was for now, was in zip(after, before, strict=False))


def test_a_cell_between_two_groups_moves_the_numbers_of_the_cells_below():
    cells = [f"x = {number}\nprint(x)" if number else "x = 0" for number in range(20)]
    flows = Flows()
    flows.of([*cells, "x"])
    assert flows.of(["z = 1", *cells, "x"])[-1].reads == {("x", 20)}
    assert flows.of([*cells, "x"])[-1].reads == {("x", 19)}


def looks(monkeypatch, count):
    """Return how often occurrences are asked for when functions call each other and the last is called."""
    asked = []
    of = CellNames.of
    monkeypatch.setattr(CellNames, "of", lambda self, name: asked.append(name) or of(self, name))
    functions = [f"def f{number}(x): return f{number - 1}(x) + 1" for number in range(1, count)]
    cells = ["k = 0", "def f0(x): return x + k", *functions, "k = 1", f"f{count - 1}(1)"]
    assert ("k", count + 1) in Flows().of(cells)[-1].reads
    return len(asked)


def test_who_calls_a_function_is_found_at_a_cost_that_grows_with_the_number_of_functions(monkeypatch):
    assert looks(monkeypatch, 80) < 2.5 * looks(monkeypatch, 40)


def test_names_that_one_cell_has_to_itself_join_nothing(monkeypatch):
    joined = []
    monkeypatch.setattr(groups._Joined, "join", lambda _, one, other: joined.append((one, other)))
    groups.groups([f"x{number} = {number}\nprint(x{number})" for number in range(50)])
    assert joined == []
    groups.groups(["x = 1", "y = 1", "x"])
    assert joined == [(0, 2)]


def test_cells_that_move_up_are_not_analysed_again(monkeypatch):
    analysed = []
    add = flows._Flows.add
    monkeypatch.setattr(
        flows._Flows, "add", lambda self, source: analysed.append(source) or add(self, source)
    )
    cells = [f"up{number} = {number}\nprint(up{number})" for number in range(30)]
    pair = ["up = 1", "print(up)"]
    before = Flows().of(["gone = 1", *cells, *pair])
    assert len(analysed) == 33
    after = Flows().of([*cells, *pair])  # as when a terminal's newest cell takes the name of an old one
    assert len(analysed) == 33
    assert all(now is was for now, was in zip(after[:30], before[1:31], strict=True))
    assert (before[-1].reads, after[-1].reads) == ({("up", 31)}, {("up", 30)})
