"""Names that several cells define, where threads, processes or completion matter."""

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.notebook import Cell


def run_all(lab, cells: dict[str, str]) -> dict[str, str]:
    """Send all cells at once, as Run All does, and return what they show."""
    for msg_id in [lab.send(cell, code) for cell, code in cells.items()]:
        assert lab.finish(msg_id).ok
    lab.sync()
    return texts(lab, cells)


def texts(lab, cells) -> dict[str, str]:
    return {
        cell: "\n".join(line for line in lab.text(cell).splitlines() if "defined here" not in line).strip()
        for cell in cells
    }


def people_see(lab, expression: str) -> str:
    return lab.run(None, expression, store_history=False).text


def test_a_copy_can_be_interrupted(lab, kernel):
    slow = """
import time
class Slow(dict):
    def __deepcopy__(self, memo):
        print("copying", flush=True)
        for _ in range(3000): time.sleep(0.01)
        return Slow(self)
def change(what): what.append(len(what))
x = [Slow()]"""
    assert lab.run("a", slow).ok
    msg_id = lab.send("b", "change(x); print('changed', x)")
    lab.wait_for("b", "copying")
    kernel.interrupt_kernel()
    assert lab.finish(msg_id).content["ename"] == "KeyboardInterrupt"
    assert "changed" not in lab.text("b")
    found = {
        cell.notebook_cell_id: cell.status
        for cell in wire.decode_reply(lab.ask(wire.ListCells()), list[Cell])
    }
    assert found == {"a": "ok", "b": "interrupted"}
    lab.run("a", slow.replace("range(3000)", "range(1)"))
    lab.wait_for("b", "changed [{}, 1]")


def test_threads_find_names_while_a_cell_runs_above_their_definitions(lab):
    ask = "ask.set(); print(answered.wait(60), *seen[-1:]); answered.clear()"
    thread = """
def watch():
    while ask.wait(60):
        ask.clear()
        seen.append(globals().get("x", "no x"))
        answered.set()
threading.Thread(target=watch, daemon=True).start()"""
    events = "import threading\nask, answered, seen = threading.Event(), threading.Event(), []"
    run_all(lab, {"events": events, "above": "pass", "one": "x = 1", "two": "x = 2", "thread": thread})
    lab.run("above", ask)
    assert lab.text("above") == "True 2"


# -- what people are told and see -----------------------------------------------------------------------------------------


def test_errors_completion_and_lists_have_the_persons_names(lab):
    run_all(lab, {"a": "value = 1", "b": "value", "c": "def value(): return missing_name"})
    reply = lab.run("d", "value()")
    assert reply.content["evalue"] == "name 'missing_name' is not defined"
    assert "\N{MIDDLE DOT}" not in "".join(reply.content["traceback"])
    assert people_see(lab, "value.__name__") == "'value'"
    assert people_see(lab, "%who_ls").count("value") == 1
    msg_id = lab.client.complete("val", 3)
    matches = lab._reply(msg_id, lab.client.shell_channel)["content"]["matches"]
    assert [match for match in matches if "value" in match] == ["value"]
    listed = {
        cell.notebook_cell_id: cell for cell in wire.decode_reply(lab.ask(wire.ListCells()), list[Cell])
    }
    assert (listed["c"].defines, listed["b"].uses, listed["d"].uses) == (("value",), ("value",), ("value",))
    assert (listed["b"].upstream, listed["d"].upstream) == ((listed["a"].cell_id,), (listed["c"].cell_id,))


def test_names_in_text_are_followed(lab):
    cells = {
        "a": "x = 1",
        "b": "%time x = x + 1",
        "c": "eval('x')",
        "d": "!echo {x}",
        "e": "x = 9",
    }
    first = run_all(lab, cells)
    assert (first["c"], first["d"]) == ("2", "2")
    lab.run("b", cells["b"])
    assert (lab.text("c"), lab.text("d")) == ("2", "2")


def test_once_copies_take_too_much_makers_run_again(lab):
    lab.run(
        "m",
        "from marimo_kernel_bridge.kernel.versions import value_copies\nvalue_copies.MOST = 1500\nimport numpy as np",
    )
    cells = {
        "a": "a = np.zeros(100)",
        "b": "a[0] += 1",
        "c": "a[0] += 1",
        "d": "a[0] += 1",
        "e": "print(a[0])",
    }
    run_all(lab, cells)
    versions = "len({id(value) for name, value in list(globals().items()) if name.startswith('__a·')})"
    assert lab.run(None, versions, store_history=False).text == "2"
    lab.run("c", "a[0] += 1")
    lab.wait_quiet()
    assert lab.text("e") == "3.0"
