"""What people know from ipykernel: magics, shell commands, rich output, history, completion, stdin, interrupts."""

import time

import jupyter_kernel_test
import pytest


class TestConformance(jupyter_kernel_test.KernelTests):
    """Jupyter's own kernel test suite."""

    kernel_name = "marimo"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('nothing')"
    code_execute_result = [
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    ]
    code_display_data = [
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))",
            "mime": "text/html",
        },
        {
            "code": "from IPython.display import Math, display; display(Math('\\\\frac{1}{2}'))",
            "mime": "text/latex",
        },
    ]
    completion_samples = [{"text": "zi", "matches": {"zip"}}]
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n"]
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples = ["import = 7q"]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "search", "range")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


def test_kernel_info_names_this_kernel_and_offers_nothing_it_lacks(shared):
    info = shared._reply(shared.client.kernel_info(), shared.client.shell_channel)["content"]
    assert info["implementation"] == "marimo_kernel_bridge"
    assert info["language_info"]["name"] == "python"
    assert info["supported_features"] == ["kernel subshells", "debugger"]
    assert "reactive" in info["banner"]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("%time 40 + 2", "42"),
        ("!echo hi", "hi"),
        ("files = !echo a b\nprint(files)", "['a b']"),
        ("%%bash\necho from bash", "from bash"),
        ("from IPython.display import display\ndisplay('x'); 'y'", "'x'\n'y'"),
        ("import os; os.system('echo raw')", "raw"),
        ("get_ipython().run_cell('inner = 5'); inner", "5"),
        ("%pinfo2 len", ""),
    ],
)
def test_ipython_code_runs_as_under_ipykernel(shared, code, shown):
    reply = shared.run("ipython", code)
    assert reply.ok
    shared.wait_for("ipython", shown)  # what a program writes may come after the reply


def test_tracebacks_are_coloured_and_free_of_our_frames(shared):
    shared.run("divides", "def divide():\n    return 1 / 0")
    reply = shared.run("fails", "divide()")
    text = "\n".join(reply.content["traceback"])
    assert "\x1b[" in text
    assert "ZeroDivisionError" in text
    for ours in ("marimo", "shell.py", "session.py", "exec("):
        assert ours not in text


def test_interrupt_stops_dependents_and_says_which_did_not_run(lab, kernel):
    lab.run("one", "import time; slow = False")
    lab.run("two", "print('two', slow, flush=True)\nif slow: time.sleep(60)\nx = 1")
    lab.run("three", "x")
    msg_id = lab.send("one", "import time; slow = True")
    lab.wait_for("two", "two True")
    kernel.interrupt_kernel()
    assert lab.finish(msg_id).ok
    assert "KeyboardInterrupt" in lab.text("two")
    assert "not run: cell [2]" in lab.text("three")
    assert "was interrupted" in lab.text("three")
    lab.run("one", "import time; slow = False")
    assert (lab.text("two"), lab.text("three")) == ("two False", "1")


def test_interrupt_of_an_idle_kernel_does_nothing(lab, kernel):
    lab.run("one", "a = 1")
    kernel.interrupt_kernel()
    time.sleep(0.1)  # a signal has no reply to wait for
    assert lab.run("two", "print(a)").ok


def test_interrupt_stops_a_hidden_request(lab, kernel):
    msg_id = lab.send(None, "print('on', flush=True)\nimport time; time.sleep(60)", store_history=False)
    while not any(m["msg_type"] == "stream" for m in lab.seen):
        lab._take(60)
    kernel.interrupt_kernel()
    assert lab.finish(msg_id).content["ename"] == "KeyboardInterrupt"


def test_input_without_a_person_is_an_error(connect):
    batch = connect("batch")
    assert batch.run(None, "input()").content["ename"] == "StdinNotImplementedError"


def test_restart_forgets_everything(lab, restart):
    lab.run("one", "a = 1")
    restart()
    lab._await_kernel()
    assert lab.run("two", "a").content["ename"] == "NameError"
    assert lab.run("one", "a = 2").ok
    assert lab.text("two") == "2"


def test_shutdown_ends_the_process(lab, kernel):
    lab.run("one", "a = 1")
    lab.client.shutdown()
    kernel._attempted_start = True
    deadline = time.monotonic() + 60
    while kernel.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # a process ends without a message


def test_widgets_open_their_comms(shared):
    reply = shared.run(
        "comm", "from comm import create_comm\nc = create_comm(target_name='t', data={'x': 1})"
    )
    assert [m["content"]["target_name"] for m in reply.messages if m["msg_type"] == "comm_open"] == ["t"]


def test_a_dependent_may_ask_the_person_who_caused_it(shared):
    shared.run("question", "question = 'who? '")
    first = shared.send("name", "name = input(question)\nprint('hello', name)")
    assert shared.client.get_stdin_msg(timeout=60)["content"]["prompt"] == "who? "
    shared.client.input("Ada")
    shared.finish(first)
    assert shared.text("name") == "hello Ada"
    again = shared.send("question", "question = 'and you? '")
    assert shared.client.get_stdin_msg(timeout=60)["content"]["prompt"] == "and you? "
    shared.client.input("Grace")
    shared.finish(again)
    assert shared.text("name") == "hello Grace"


def test_a_breakpoint_opens_a_debugger_in_the_cell(shared):
    msg_id = shared.send("breakpoint", "import pdb\nx = 41\npdb.set_trace()\ny = x + 1\ny")
    assert "db>" in shared.client.get_stdin_msg(timeout=60)["content"]["prompt"]
    shared.client.input("p x + 1000")
    shared.client.get_stdin_msg(timeout=60)
    shared.client.input("c")
    assert shared.finish(msg_id).ok
    assert "1041" in shared.text("breakpoint")
    assert shared.text("breakpoint").endswith("42")


def test_debug_looks_into_the_last_error(shared):
    shared.run("inverse", "def inverse(n):\n    return 1 / n")
    shared.run("infinite", "inverse(0)")
    msg_id = shared.send("debug", "%debug")
    shared.client.get_stdin_msg(timeout=60)
    shared.client.input("p n + 7000")
    shared.client.get_stdin_msg(timeout=60)
    shared.client.input("q")
    shared.finish(msg_id)
    assert "7000" in shared.text("debug")


def test_an_interrupt_while_idle_is_harmless_whatever_handler_user_code_has_set(lab, kernel):
    lab.run("one", "import signal; old = signal.signal(signal.SIGINT, signal.default_int_handler); a = 1")
    kernel.interrupt_kernel()
    assert lab.run("two", "a").text == "1"


def test_async_code_on_the_control_channel_runs(lab):
    content = {
        "code": "import asyncio\nawait asyncio.sleep(0)\n40 + 2",
        "silent": False,
        "store_history": False,
    }
    lab.run("one", "a = 1")
    reply = lab.answer(lab.client.session.msg("execute_request", content), "control")
    assert reply["status"] == "ok"


@pytest.mark.parametrize(
    "code",
    [
        "def f(): 1 / 0\nf()",
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('a') from error",
        "raise ExceptionGroup('two', [ValueError(), TypeError()])",
        "eval('1 +')",
        "%nosuchmagic",
        "class Own(Exception):\n    def _render_traceback_(self): return ['own']\nraise Own('x')",
    ],
)
def test_the_record_of_an_error_is_ipythons(shared, code):
    number = shared.run("failing", code).content["execution_count"]
    theirs = "get_ipython().__class__.__mro__[1]._format_exception_for_storage(get_ipython(), last)"
    code = f"import sys\nlast = sys.last_value\nrecord = get_ipython().history_manager.exceptions[{number}]\nrecord == {theirs}"
    assert shared.run(None, code, store_history=False).text == "True"


def test_the_traceback_of_an_error_is_formatted_once(shared):
    code = "shell = get_ipython()\nformats = []\nformat = shell.InteractiveTB.structured_traceback\nshell.InteractiveTB.structured_traceback = lambda *args, **options: formats.append(args) or format(*args, **options)"
    shared.run(None, code, store_history=False)
    assert not shared.run("failing", "1 / 0").ok
    assert (
        shared.run(
            None, "del shell.InteractiveTB.structured_traceback\nlen(formats)", store_history=False
        ).text
        == "1"
    )
