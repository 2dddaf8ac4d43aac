"""What ipykernel's own test suite asks of a kernel beyond `test_ipython.py`; see docs/conformance.md."""


def test_context_variables_outlive_their_cell(lab):
    lab.run("one", "from contextvars import ContextVar\nvar = ContextVar('var', default='default')")
    assert lab.run("two", "var.set('set'); print(var.get())").ok
    assert lab.run("three", "print(var.get())").text == "set"


def test_execute_requests_on_the_control_channel_run_beside_the_cells_and_outside_of_the_graph(lab):
    lab.run("one", "a = 1")
    lab.run("two", "print('two', a)")
    busy = lab.send("three", "import time\nprint('on', flush=True)\ntime.sleep(1)\nb = a + 1")
    lab.wait_for("three", "on")
    request = lab.client.session.msg("execute_request", {"code": "a = 5", "silent": False})
    assert lab.answer(request)["status"] == "ok"
    assert lab.finish(busy).ok
    assert lab.run("four", "print(a, b)").text == "5 6"
    assert lab.text("two") == "two 1"


def test_another_library_than_asyncio_may_await(lab):
    """`%autoawait trio` sets such a runner."""
    runner = """
class Pause:
    def __await__(self):
        yield "which asyncio refuses"

def runner(coroutine):
    while True:
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value

get_ipython().loop_runner = runner"""
    assert lab.run("zero", runner).ok
    assert lab.run("one", "await Pause()\nx = 1").ok
    lab.run("two", "await Pause()\nprint('x', x)")
    lab.run("one", "await Pause()\nx = 2")
    assert lab.text("two") == "x 2"
    # trio takes interrupts over where Python's own handler is in place.
    handler = "import signal; signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    assert lab.run("three", f"await Pause()\n{handler}").text == "True"
