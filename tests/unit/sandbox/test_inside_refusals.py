"""What a kernel in a sandbox refuses before it runs any code: what was prepared by another version, or is another place by now."""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.sandbox import environment, inside
from marimo_kernel_bridge.sandbox.files import Place

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes need Linux")


@pytest.fixture(autouse=True)
def _nothing_of_this_process_is_given_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop where the sandbox would take this process's own home and streams."""

    def furnish(*_: object) -> None:
        raise OSError("it went on")

    monkeypatch.setattr(environment, "furnish", furnish)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def prepared(**facts: Any) -> str:
    return json.dumps(
        {
            "version": __version__,
            "home": "/nowhere",
            "variables": {},
            "sockets": {},
            "connects": False,
            "proxy": None,
            "holds": [],
            "places": [],
            "packages": "",
            "process": [1, 1, ""],
        }
        | facts
    )


def refused(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        inside.entered(text)
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("The kernel was not started: [sandbox_unavailable] ")
    return said


def test_one_version_outside_and_another_inside_do_not_go_together(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert f"is {__version__} in the sandbox, and 0.1 outside" in refused(prepared(version="0.1"), capsys)


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"version": 1}', "[" * 100_000, prepared(more=1)],
    ids=["nothing", "cut", "partial", "deep", "unknown"],
)
def test_what_is_not_of_this_package_is_no_preparation(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(text, capsys)


def test_a_folder_that_was_replaced_meanwhile_is_not_worked_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    place = Place.at(str(folder))
    assert place is not None
    text = prepared(places=[[place.path, place.device, place.number]])
    assert "it went on" in refused(text, capsys)
    folder.rename(tmp_path / "moved")
    folder.symlink_to("/etc")
    assert f"{folder} was replaced meanwhile" in refused(text, capsys)
