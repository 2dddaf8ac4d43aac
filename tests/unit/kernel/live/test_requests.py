"""What pages ask of the kernel beside values: files of marimo's front end, calls of functions, late outputs."""

from __future__ import annotations

import gzip
import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.kernel.live import messages, page_requests
from marimo_kernel_bridge.kernel.live.loader_source import loader_source
from marimo_kernel_bridge.runtime.display.placeholders import Placeholder
from marimo_kernel_bridge.runtime.interface import LiveFrontEnd
from marimo_kernel_bridge.runtime.live.assets import STATIC, FrontEndFiles
from tests.unit.kernel.live.live_page import LivePage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.kernel.notebook_in_memory import FrontEnd, KernelInMemory

pytestmark = pytest.mark.usefixtures("from_now_on")


def pack(page: LivePage, req: str, names: list[str] | None = None) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Ask for files of the front end; return the answer, and the files by name."""
    answer = page.ask(type="assets", req=f"{page.name}/{req}", names=names)
    assert answer["sizes"] == [len(buffer) for buffer in answer["buffers"]]
    files = {}
    for compressed, part in zip(answer["buffers"], answer["parts"], strict=True):
        content = gzip.decompress(bytes(compressed))
        for name, size in part:
            files[name], content = content[:size], content[size:]
        assert content == b""
    return answer, files


# -- the front end ---------------------------------------------------------------------------------------------------------


def test_a_page_gets_the_front_end_of_the_installed_marimo_once(page: LivePage) -> None:
    answer, files = pack(page, "start")
    assert answer["entry"] in files
    assert set(answer["css"]) == {name for name in files if name.endswith(".css")}
    rest, later = pack(page, "later", answer["later"])
    assert later.keys() >= set(answer["later"])
    assert not files.keys() & later.keys()
    assert sum(answer["sizes"]) + sum(rest["sizes"]) < 2_200_000
    assert answer["mount"]["mode"] == "read"
    assert json.loads(answer["ready"])["op"] == "kernel-ready"
    for name, content in files.items():
        imported = set(imports_of(content)) if name.endswith(".js") else set()
        assert imported <= files.keys(), "what draws elements needs nothing of what comes later"
    assert all(set(imports_of(content)) <= {*files, *later} for content in later.values())


def imports_of(script: bytes) -> list[str]:
    return re.findall(r"""(?:\bfrom|\bimport)\s*["']\./([^"']+\.js)["']""", script.decode())


def test_secrets_of_marimos_settings_stay_in_the_kernel(
    page: LivePage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "marimo/marimo.toml"
    settings.parent.mkdir()
    settings.write_text('[ai.open_ai]\napi_key = "sk-very-secret"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    answer, _ = pack(page, "secrets")
    assert answer["mount"]["config"]["ai"]["open_ai"]["api_key"]
    assert "sk-very-secret" not in json.dumps({**answer, "buffers": None})


def test_more_of_the_front_end_comes_when_it_is_asked_for_and_nothing_else(page: LivePage) -> None:
    start, there = pack(page, "more")
    _, later = pack(page, "then", start["later"])
    (chart, *_) = (path.name for path in (STATIC / "assets").glob("vega-component-*.js"))
    _, files = pack(page, "chart", [chart, "../index.html", "../../_config/config.py", "nothing.js"])
    assert chart in files
    assert not files.keys() & {*there, *later}
    assert all("/" not in name for name in files)


def test_files_that_cannot_be_read_are_told_in_the_log(
    page: LivePage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_files: object, _names: object) -> None:
        raise OSError("a disk is gone")

    monkeypatch.setattr(FrontEndFiles, "pack", fail)
    page.say(type="assets", req=f"{page.name}/gone", names=None)
    assert page.front_end.kernel.run_until(lambda: "a disk is gone" in caplog.text)
    assert page.heard() == []


def test_a_request_that_had_to_wait_is_answered_once(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("one", "mo.ui.text()").ok
    out = page.out("one")
    for _ in range(3):
        page.say(type="get", req="same", out=out)
    assert len(page.heard("html")) == 1


def test_a_page_with_another_loader_is_not_answered(page: LivePage, caplog: pytest.LogCaptureFixture) -> None:
    page.say(type="hello", loader=messages.LOADER + 1)
    assert page.heard() == []
    assert "another version of the loader" in caplog.text


def test_the_loader_has_the_version_of_the_messages_and_placeholders_look_for_it() -> None:
    loader = loader_source()
    assert f"const LOADER = {messages.LOADER};" in loader
    assert "Symbol.for(`marimo_kernel_bridge.live.${LOADER}`)" in loader
    native = Placeholder(LiveFrontEnd("k", attached=True, sure=True), "1").beside(
        {"text/html": "<script></script>"}
    )
    assert f'Symbol.for("marimo_kernel_bridge.live.{messages.LOADER}")' in native["text/html"]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "set", "values": "x"},
        {"type": "set", "values": [["a" * 300, 1]]},
        {"type": "set", "values": [["a", 1]] * 1001},
        {"type": "call", "call": 1},
        {"type": "nothing"},
        {"type": "get", "req": None, "out": {}},
        {"type": "part", "whole": "a", "index": 0, "count": 1, "text": "{"},
        {"type": "part", "whole": "b", "index": 0, "count": 1, "text": "[" * 100_000},
        {"type": "part", "whole": "c", "index": 100, "count": 200, "text": ""},
        {"type": "part", "whole": "d", "index": 0, "count": 1, "text": '{"type": "part"}'},
        {},
    ],
)
def test_a_malformed_message_is_ignored(page: LivePage, message: dict[str, Any]) -> None:
    page.say(**message)
    assert page.heard() == []


def test_malformed_messages_are_logged_once(page: LivePage, caplog: pytest.LogCaptureFixture) -> None:
    page.front_end.kernel.kernel.live_carriers._requests._complained.clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            page.say(type="nothing")
        page.say(type="failed", reason="scripts from blob: are forbidden")
    assert caplog.text.count("malformed message") == 1
    assert "scripts from blob: are forbidden" in caplog.text


def test_every_message_of_the_loader_is_known() -> None:
    assert messages.only_reads({"type": "get"})
    assert messages.only_reads({"method": "custom", "content": {"type": "assets"}})
    assert not messages.only_reads({"type": "set"})
    assert not messages.only_reads({"method": "update", "state": {}})
    assert not messages.only_reads(None)


# -- functions -------------------------------------------------------------------------------------------------------------


def test_a_table_is_searched_and_sorted_by_its_functions(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("table", "table = mo.ui.table([{'n': n} for n in range(30)], page_size=5)\ntable").ok
    (element,) = page.ids("table")
    args = {
        "sort": [{"by": "n", "descending": True}],
        "filters": None,
        "query": None,
        "limit": None,
        "page_number": 0,
        "page_size": 5,
    }
    result = page.call(element, "search", args)
    assert (result["status"]["code"], result["found"]) == ("ok", True)
    assert "29" in json.dumps(result["return_value"])


def test_what_a_function_returns_has_ids_of_the_page(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("lazy", "lazy = mo.lazy(lambda: mo.ui.slider(1, 9))\nlazy").ok
    (element,) = page.ids("lazy")
    result = page.call(element, "load", {})
    assert f"object-id='{page.key}~" in result["return_value"]["html"]


def test_a_call_that_is_repeated_runs_once(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run(
        "calls", "calls = []\nlazy_once = mo.lazy(lambda: calls.append(1) or mo.md('loaded'))\nlazy_once"
    ).ok
    (element,) = page.ids("calls")
    before = page.call(element, "load", {}, call="the same")
    assert page.call(element, "load", {}, call="the same") == before
    assert notebook.run("count", "print(len(calls))").ok
    assert notebook.text("count") == "1"


@pytest.mark.parametrize(("name", "found"), [("search", True), ("nothing", False)])
def test_a_call_that_fails_says_so(notebook: FrontEnd, page: LivePage, name: str, *, found: bool) -> None:
    assert notebook.run("table", "table = mo.ui.table([{'n': 1}])\ntable").ok
    result = page.call(page.ids("table")[0], name, {"no": "such"})
    assert (result["status"]["code"], result["found"]) == ("error", found)
    assert result["return_value"] is None
    assert result["status"]["message"]


def test_a_call_that_is_interrupted_says_so(notebook: FrontEnd, page: LivePage) -> None:
    code = "def stop():\n    raise KeyboardInterrupt\nstops = mo.lazy(stop)\nstops"
    assert notebook.run("stops", code).ok
    result = page.call(page.ids("stops")[0], "load", {})
    assert result["status"]["code"] == "error"
    assert "interrupted by the user" in result["status"]["message"]


def test_a_function_that_changes_state_runs_its_readers(notebook: FrontEnd, page: LivePage) -> None:
    code = "get, put = mo.state(0)\nsetter = mo.lazy(lambda: put(5) or mo.md('set'))\nsetter"
    assert notebook.run("state", code).ok
    assert notebook.run("of state", "print('state', get())").ok
    page.call(page.ids("state")[0], "load", {})
    page.settle()
    assert notebook.text("of state") == "state 5"


def test_a_message_of_an_element_reaches_pages(notebook: FrontEnd, page: LivePage) -> None:
    assert notebook.run("chatty", "chatty = mo.ui.text()\nchatty").ok
    assert notebook.run("sends", "chatty._send_message({'type': 'hi'}, None)").ok
    ((op, data, but),) = [one for one in page.notifications() if one[0] == "send-ui-element-message"]
    assert (op, data["ui_element"], data["message"], but) == (
        "send-ui-element-message",
        f"{page.key}~{page.ids('chatty')[0]}",
        {"type": "hi"},
        "",
    )


# -- late outputs ----------------------------------------------------------------------------------------------------------


def test_another_window_shows_what_runs_by_itself(
    notebook: FrontEnd, page: LivePage, other: LivePage
) -> None:
    assert notebook.run("knob", "knob = mo.ui.slider(1, 9)\nknob").ok
    assert notebook.run("of knob", "print('knob', knob.value)").ok
    out = page.out("knob")
    element = page.ids("knob")[0]
    other.forget()
    assert other.ask(type="get", req="other window", out=out)["html"]
    other.set({element: 6})
    assert notebook.text("of knob") == "knob 6"
    late = other.heard("outputs")[-1]
    assert (late["cell"], late["except"]) == ("of knob", page.name)
    assert late["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "knob 6\n"}]


def test_a_page_that_runs_a_cell_does_not_see_the_outputs_of_others_below_it(
    notebook: FrontEnd,
    page: LivePage,
    other: LivePage,  # it has said hello
) -> None:
    assert notebook.run("base", "base = 1").ok
    assert notebook.run("of base", "print('base', base)").ok
    window = other.front_end
    reply = window.run("base", "base = 2")
    assert notebook.text("of base") == "base 2"
    assert "base 2" not in reply.text
    assert other.heard("outputs")[-1]["cell"] == "of base"


def test_with_the_extensions_document_late_outputs_come_its_way(
    live_kernel: KernelInMemory, page: LivePage
) -> None:
    window = live_kernel.connect("lab")
    LivePage(window, page.comm_id)
    window.open({"a": "", "b": ""})
    assert window.run("a", "import marimo as mo\ndesk = mo.ui.slider(1, 9)\ndesk").ok
    assert window.run("b", "print('desk', desk.value)").ok
    assert window.run("set", "%marimo set desk 3").ok
    page.settle()
    assert window.text("b") == "desk 3"
    assert [one for one in page.heard("outputs") if one["cell"] == "b"] == []


def test_parts_that_a_page_leaves_behind_are_dropped_later_and_logged(
    page: LivePage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.front_end.kernel.kernel.live_carriers._requests._complained.clear()
    monkeypatch.setattr(page_requests, "LOOK", 0.001)
    with caplog.at_level(logging.WARNING):
        page.say(type="part", whole="left", index=0, count=2, text="{")
        assert page.front_end.kernel.run_until(lambda: "1 of 2 parts had come" in caplog.text)
    assert not page.front_end.kernel.kernel.live_carriers._requests._parts


def test_parts_that_have_come_on_a_pages_comm_go_with_it(notebook: FrontEnd) -> None:
    window = LivePage(notebook.kernel.connect("lab"))
    parts = notebook.kernel.kernel.live_carriers._requests._parts
    window.say(type="part", whole="left", index=0, count=2, text="{")
    assert parts
    window.close()
    assert not parts
