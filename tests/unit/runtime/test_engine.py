"""What this package takes for granted about marimo's private API. A failure here means marimo moved."""

# ruff: noqa: TID251  # what is missing is taken from marimo itself

import ast
import asyncio
import types
from collections.abc import Callable, Collection, Mapping

import pytest
from marimo._runtime import dataflow

from marimo_kernel_bridge import errors
from marimo_kernel_bridge.runtime import supported_api as versions
from marimo_kernel_bridge.runtime.cell_code import mangle_locals
from marimo_kernel_bridge.runtime.engine import Engine
from marimo_kernel_bridge.runtime.interface import GraphError, Outcome

Run = Callable[[str, str], tuple[GraphError, ...]]


class Host:
    """Runs bodies with `exec` and notes what the runtime says."""

    def __init__(self) -> None:
        self.module = types.ModuleType("__main__")
        self.codes: dict[str, str] = {}
        self.ran: list[str] = []
        self.heard: list[tuple[object, ...]] = []
        self.pause = False

    async def execute(self, cell_id: str) -> Outcome:
        self.ran.append(cell_id)
        try:
            exec(
                compile(
                    ast.Module(mangle_locals(cell_id, ast.parse(self.codes[cell_id]).body), []), "c", "exec"
                ),
                self.module.__dict__,
            )
        except BaseException as error:
            return Outcome(error)
        return Outcome()

    def cancelled(self, cell_id: str, because: str) -> None:
        self.heard.append(("cancelled", cell_id, because))

    def interrupted(self, cell_id: str) -> None:
        self.heard.append(("interrupted", cell_id))

    def should_pause(self) -> bool:
        return self.pause

    def graph_errors_changed(self, refused: Mapping[str, Collection[GraphError]]) -> None:
        self.heard.append(("errors", {cell_id: [e.kind for e in why] for cell_id, why in refused.items()}))

    def wake(self) -> None:
        self.heard.append(("wake",))


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def engine(host: Host) -> Engine:
    return Engine(host.module, host)


@pytest.fixture
def run(host: Host, engine: Engine) -> Run:
    def run(cell_id: str, code: str) -> tuple[GraphError, ...]:
        host.codes[cell_id] = code
        host.ran.clear()
        refused = engine.register(cell_id, code)
        if not refused:
            asyncio.run(engine.run([cell_id]))
        return refused

    return run


def run_stale(engine: Engine) -> None:
    asyncio.run(engine.run(engine.stale()))


def test_the_installed_marimo_is_in_range_and_has_all_that_is_called() -> None:
    versions.check_version()
    assert versions.missing_api() == []


@pytest.mark.parametrize("version", ["0.25.1", "0.26.0", "1.0", None])
def test_another_marimo_is_refused_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setattr(versions, "installed", lambda: version)
    with pytest.raises(errors.BridgeError, match="pip install") as refusal:
        versions.check_version()
    assert refusal.value.code == "runtime_mismatch"


def test_a_version_that_was_not_recorded_is_taken_if_it_is_in_the_range(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(versions, "installed", lambda: "0.25.99")
    versions.check_version()


def test_something_gone_from_marimo_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(dataflow, "topological_sort")
    (line,) = versions.missing_api()
    assert line.startswith("marimo._runtime.dataflow:topological_sort of the installed marimo is missing")


def test_a_run_leaves_descendants_stale_and_runs_stale_ancestors(
    host: Host, engine: Engine, run: Run
) -> None:
    run("Aaaa", "a = 1")
    run("Bbbb", "b = a + 1")
    run("Cccc", "c = b + 1")
    run("Aaaa", "a = 2")
    assert (host.ran, engine.stale()) == (["Aaaa"], {"Bbbb", "Cccc"})
    run("Cccc", "c = b + 2")
    assert (host.ran, host.module.c, engine.stale()) == (["Bbbb", "Cccc"], 5, frozenset())


def test_a_failure_cancels_what_is_below(host: Host, engine: Engine, run: Run) -> None:
    run("Aaaa", "a = 1")
    run("Bbbb", "b = 1 / a")
    run("Cccc", "c = b")
    run("Aaaa", "a = 0")
    run_stale(engine)
    assert ("cancelled", "Cccc", "Bbbb") in host.heard


def test_a_pause_leaves_the_rest_stale_and_says_nothing(host: Host, engine: Engine, run: Run) -> None:
    run("Aaaa", "a = 1")
    run("Bbbb", "b = a + 1")
    run("Cccc", "c = b + 1")
    run("Aaaa", "a = 2")
    host.pause = True
    host.ran.clear()
    run_stale(engine)
    assert (host.ran, engine.stale(), host.heard) == (["Bbbb"], {"Cccc"}, [])


def test_the_graph_refuses_a_second_definition_and_takes_it_when_the_first_goes(
    host: Host, engine: Engine, run: Run
) -> None:
    run("Aaaa", "a = 1")
    (refused,) = run("Bbbb", "a = 2")
    assert (refused.kind, refused.name, refused.cells) == ("multiple_definition", "a", ("Aaaa",))
    run("Aaaa", "z = 1")
    assert host.heard[-1] == ("errors", {})
    assert "Bbbb" in engine.stale()


@pytest.mark.parametrize(("code", "kind"), [("a = ", "syntax"), ("from math import *", "import_star")])
def test_what_is_no_cell_is_refused_with_its_kind(run: Run, code: str, kind: str) -> None:
    assert run("Aaaa", code)[0].kind == kind


def test_a_cycle_names_its_cells_and_names(host: Host, engine: Engine, run: Run) -> None:
    run("Aaaa", "a = b")
    (refused,) = run("Bbbb", "b = a")
    assert (refused.kind, refused.name, refused.cells) == ("cycle", "a, b", ("Aaaa", "Bbbb"))


def test_deleting_a_cell_drops_its_names_unless_told_to_keep_them(
    host: Host, engine: Engine, run: Run
) -> None:
    run("Aaaa", "a = 1")
    run("Bbbb", "b = 1")
    engine.delete(["Aaaa"])
    engine.delete(["Bbbb"], keep_values=True)
    assert (hasattr(host.module, "a"), hasattr(host.module, "b"), engine.nodes()) == (False, True, {})


def test_a_cell_that_takes_over_a_name_still_finds_the_old_value(
    host: Host, engine: Engine, run: Run
) -> None:
    run("Aaaa", "x = 1")
    engine.delete(["Aaaa"], keep_values=True)
    assert not run("Bbbb", "x = x + 1")
    assert host.module.x == 2


def test_names_and_edges_are_marimos(engine: Engine, run: Run) -> None:
    run("Aaaa", "a = 1; _t = 2")
    run("Bbbb", "print(a)")
    nodes = engine.nodes()
    assert (nodes["Aaaa"].names.defines, nodes["Aaaa"].downstream) == ({"a"}, {"Bbbb"})
    assert "a" in nodes["Bbbb"].names.uses
    assert engine.descendants("Aaaa") == {"Bbbb"}


def test_state_updates_make_their_readers_stale(host: Host, engine: Engine, run: Run) -> None:
    run("Aaaa", "import marimo as mo; get, set_ = mo.state(0)")
    run("Bbbb", "seen = get()")
    run("Cccc", "set_(5)")
    assert engine.stale() == {"Bbbb"}
    run_stale(engine)
    assert host.module.seen == 5
    host.module.set_(6)
    assert ("wake",) in host.heard
    asyncio.run(engine.run(()))
    assert engine.stale() == {"Bbbb"}


@pytest.mark.parametrize(
    ("code", "mangled"),
    [
        ("_x = 1\n_x", "_cell_Aaaa_x = 1\n_cell_Aaaa_x"),
        ("_ + _3 + _x", "_ + _3 + _x"),
        ("for _ in y:\n    pass", "for _cell_Aaaa_ in y:\n    pass"),
        ("def f(_p):\n    return _p", "def f(_p):\n    return _p"),
        ("__d = 1", "__d = 1"),
        ("import os as _os\n_os.x", "import os as _cell_Aaaa_os\n_cell_Aaaa_os.x"),
    ],
)
def test_only_private_names_that_the_cell_defines_are_renamed(code: str, mangled: str) -> None:
    assert ast.unparse(ast.Module(mangle_locals("Aaaa", ast.parse(code).body), [])) == mangled


def test_registering_a_cell_does_not_look_at_every_cell_for_every_variable(
    engine: Engine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        run(f"C{number:03}", f"v{number} = {number}")
    asked = []
    original = type(engine._kernel.graph).get_referring_cells
    monkeypatch.setattr(
        type(engine._kernel.graph),
        "get_referring_cells",
        lambda self, *args, **options: asked.append(args) or original(self, *args, **options),
    )
    run("Last", "z = v1")
    assert asked == []
    assert engine.nodes()["Last"].upstream == {"C001"}
