"""The debugger, as JupyterLab and VS Code drive it. ipykernel's own tests of it are in `make peers`."""

import pytest
from front_end import BOUND


class Debugger:
    """Debug Adapter Protocol over the control channel."""

    def __init__(self, lab) -> None:
        self.lab = lab
        self.number = 0
        assert self.ask("initialize", clientID="test", adapterID="", linesStartAt1=True)["success"]
        assert self.ask("attach")["success"]

    def ask(self, command: str, **arguments) -> dict:
        self.number += 1
        return self.lab.control(
            "debug_request", type="request", seq=self.number, command=command, arguments=arguments
        )

    def break_at(self, code: str, line: int) -> None:
        path = self.ask("dumpCell", code=code)["body"]["sourcePath"]
        where = {"source": {"path": path}, "breakpoints": [{"line": line}], "sourceModified": False}
        assert self.ask("setBreakpoints", **where)["success"]
        assert self.ask("configurationDone")["success"]

    def wait_stopped(self) -> int:
        """Wait until a thread has stopped; return its id."""
        while True:
            message = self.lab._take(BOUND)
            if message["msg_type"] == "debug_event" and message["content"]["event"] == "stopped":
                return message["content"]["body"]["threadId"]

    def stack(self, thread: int) -> list[dict]:
        return self.ask("stackTrace", threadId=thread)["body"]["stackFrames"]

    def top(self, thread: int) -> dict:
        return self.stack(thread)[0]

    def variables(self, frame: dict) -> dict:
        scope = self.ask("scopes", frameId=frame["id"])["body"]["scopes"][0]
        found = self.ask("variables", variablesReference=scope["variablesReference"])["body"]["variables"]
        return {variable["name"]: variable["value"] for variable in found}


@pytest.fixture(scope="module")
def debugger(shared) -> Debugger:
    """A debugger that is attached: to load it takes as long as all tests. Each has names of its own."""
    return Debugger(shared)


def reader(name: str) -> str:
    return f"def double(n):\n    twice = n * 2\n    return twice\nprint(double({name}))"


def test_a_breakpoint_stops_a_cell_and_steps(shared, debugger):
    shared.run("data", "a = 21")
    debugger.break_at(reader("a"), line=2)
    sent = shared.send("reader", reader("a"))
    thread = debugger.wait_stopped()
    frame = debugger.top(thread)
    assert (frame["name"], frame["line"]) == ("double", 2)
    assert debugger.variables(frame)["n"] == "21"
    debugger.ask("next", threadId=thread)
    thread = debugger.wait_stopped()
    assert debugger.top(thread)["line"] == 3
    assert debugger.variables(debugger.top(thread))["twice"] == "42"
    debugger.ask("continue", threadId=thread)
    assert shared.finish(sent).ok
    assert shared.text("reader") == "42"


def test_a_breakpoint_stops_a_dependent_that_runs_by_itself(shared, debugger):
    shared.run("source", "b = 1")
    shared.run("dependent", reader("b"))
    debugger.break_at(reader("b"), line=4)
    sent = shared.send("source", "b = 5")
    thread = debugger.wait_stopped()
    assert [(frame["name"], frame["line"]) for frame in debugger.stack(thread)][:1] == [("<module>", 4)]
    # Cells are files in the folder of temporary files, whose path is ours in a sandbox.
    paths = [frame["source"]["path"] for frame in debugger.stack(thread)]
    assert not [path for path in paths if "marimo" in path and "/ipykernel_" not in path]
    assert shared.text("dependent") == "2"
    debugger.ask("continue", threadId=thread)
    assert shared.finish(sent).ok
    shared.wait_for("dependent", "10")


def test_the_variables_panel_shows_the_notebooks_names_and_none_of_ours(shared, debugger):
    shared.run("shown", "c = 21\n_private = 1")
    shown = {variable["name"] for variable in debugger.ask("inspectVariables")["body"]["variables"]}
    assert "c" in shown
    assert not {name for name in shown if "marimo" in name.lower() or name.startswith("_cell_")}
