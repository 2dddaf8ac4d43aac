"""Which cells a run would run, from the graph alone."""

import pytest

from marimo_kernel_bridge.kernel.notebook.preview import Edges, would_run
from marimo_kernel_bridge.protocol.notebook import Cell
from marimo_kernel_bridge.runtime.interface import Names

EDGES = {"a": "b", "b": "c", "x": "c"}


def cells(stale: str) -> list[Cell]:
    """Return a -> b -> c <- x, of which some are stale."""
    return [
        Cell(
            cell_id,
            None,
            "",
            version=1,
            status="ok",
            stale=cell_id in stale,
            execution_count=1,
            edited_by="notebook",
            last_run_by=None,
            last_run_at=None,
            duration=1.0,
            error=None,
            upstream=tuple(above for above, below in EDGES.items() if below == cell_id),
            downstream=tuple(below for above, below in EDGES.items() if above == cell_id),
        )
        for cell_id in "abcx"
    ]


@pytest.mark.parametrize(
    ("requested", "stale", "autorun", "expected"),
    [
        ("a", "", True, "abc"),
        ("a", "", False, "a"),
        ("c", "", True, "c"),
        ("c", "b", True, "bc"),
        ("c", "ab", True, "abc"),
        ("c", "a", True, "c"),  # b is fresh: nothing of a reaches c
        ("b", "x", True, "bc"),  # c, which runs because of b, is not asked for: x may stay stale
        ("xa", "", False, "ax"),
        ("", "abc", True, ""),
    ],
)
def test_stale_cells_above_run_too_and_all_below_in_autorun_mode(
    requested: str, stale: str, autorun: bool, expected: str
) -> None:
    graph = cells(stale)
    runs = would_run(Edges.of_cells(graph), list(requested), graph, stale=stale, autorun=autorun)
    assert "".join(run.cell_id for run in runs) == expected
    assert all(run.last_seconds == 1.0 for run in runs)


def test_new_cells_of_a_proposed_graph_come_last_and_have_no_duration() -> None:
    names = {"new1": Names(frozenset({"u"}), frozenset()), "a": Names(frozenset(), frozenset({"u"}))}
    edges = Edges.of_names(names)
    runs = would_run(edges, ["new1", "unparsed"], cells("")[:1], stale="", autorun=True)
    assert [(run.cell_id, run.last_seconds) for run in runs] == [
        ("a", 1.0),
        ("new1", None),
        ("unparsed", None),
    ]
