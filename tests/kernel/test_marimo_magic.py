"""`%marimo` where completion, interrupts, shell commands or the documentation matter."""

from pathlib import Path

from marimo_kernel_bridge.kernel.ipython.marimo_magic import COMMANDS
from marimo_kernel_bridge.protocol import messages as wire


def codes(front_end):
    return [cell["code"] for cell in front_end.ask(wire.ListCells())["result"]]


def test_every_command_is_documented():
    text = (Path(__file__).parents[2] / "docs/kernel.md").read_text()
    assert [name for name in COMMANDS if f"`%marimo {name}`" not in text] == []


def test_run_stale_takes_up_what_an_interrupt_left(lab, kernel):
    lab.run("one", "import time; slow = False")
    lab.run("two", "print('two', slow, flush=True)\nif slow: time.sleep(60)")
    lab.run("three", "print('three', slow)")
    msg_id = lab.send("one", "import time; slow = True")
    lab.wait_for("two", "two True")
    kernel.interrupt_kernel()
    lab.finish(msg_id)
    assert "interrupted before its turn" in lab.text("three")
    assert lab.run("go", "%marimo run stale").text == "runs 1 stale cell"
    assert lab.text("three") == "three True"


def test_reset_forgets_all_cells_and_names_and_keeps_the_kernel(lab):
    lab.run("one", "a = 1; _local = 2")
    lab.run("two", "print('two', a)")
    lab.run(None, "hidden = 3", store_history=False)
    assert lab.run("go", "%marimo reset").text == "forgets 2 cells and all names"
    assert codes(lab) == []
    for name in ("a", "hidden"):
        assert lab.run("ask", name).content["ename"] == "NameError"
    assert lab.text("two") == "two 1"
    lab.run("one", "a = 5")
    assert lab.run("two", "print('two', a, In[1], Out)").text == "two 5 a = 1; _local = 2 {}"
    lab.run("one", "a = 6")
    assert lab.text("two").startswith("two 6")
    assert lab.run("magics", "%time 1 + 1\n!echo works").ok


COMPLETED = {
    "%marimo ": [
        *(
            "accept",
            "agents",
            "autorun",
            "checkpoints",
            "forget",
            "graph",
            "help",
            "lazy",
            "open",
            "pause",
            "relaxed",
            "reset",
            "restore",
            "resume",
            "run",
            "save",
        ),
        *("set", "status", "strict", "view"),
    ],
    "%marimo st": ["status", "strict"],
    "%marimo run ": ["stale"],
    "%marimo checkpoints ": ["delete", "verify"],
    "%marimo forget ": ["1"],
    "%marimo view ": ["--close", "--list", "a"],
    "%marim": ["%marimo"],
}


def test_commands_are_completed(lab):
    lab.run("one", "a = 1")
    for code, matches in COMPLETED.items():
        msg_id = lab.client.complete(code, len(code))
        assert lab._reply(msg_id, lab.client.shell_channel)["content"]["matches"] == matches
