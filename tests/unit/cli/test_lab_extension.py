"""doctor says whether JupyterLab loads the extension, and what to do if it does not."""

import json
from pathlib import Path

import pytest

from marimo_kernel_bridge.cli import lab_extension
from marimo_kernel_bridge.protocol.document import DOCUMENT_PROTOCOL

ROOT = Path(__file__).parents[3]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the only Jupyter of this machine looks."""
    for name in ("jupyter_path", "jupyter_config_path"):
        monkeypatch.setattr(lab_extension, name, lambda *_: [str(tmp_path)])
    return tmp_path


def install(place: Path, protocol: int = DOCUMENT_PROTOCOL) -> None:
    folder = place / lab_extension.NAME
    folder.mkdir()
    (folder / "package.json").write_text(json.dumps({"marimoKernelBridge": {"protocol": protocol}}))


def disable(place: Path, setting: object) -> None:
    (place / "labconfig").mkdir()
    (place / "labconfig/page_config.json").write_text(json.dumps({"disabledExtensions": setting}))


def test_a_missing_extension_is_named_with_what_to_run(place: Path) -> None:
    detail, hint = lab_extension.problem()
    assert "finds no such extension" in detail
    assert "make extensions" in hint


def test_an_extension_of_this_kernels_protocol_is_fine(place: Path) -> None:
    install(place)
    disable(place, {"another": True, lab_extension.NAME: False})
    assert lab_extension.problem() == ("", "")


def test_an_extension_of_another_protocol_is_named(place: Path) -> None:
    install(place, protocol=7)
    assert "has version 7" in lab_extension.problem()[0]


@pytest.mark.parametrize("setting", [{lab_extension.NAME: True}, [f"{lab_extension.NAME}:document"]])
def test_a_disabled_extension_is_named_with_its_configuration(place: Path, setting: object) -> None:
    install(place)
    disable(place, setting)
    detail, hint = lab_extension.problem()
    assert "page_config.json disables it" in detail
    assert hint.endswith(f"enable {lab_extension.NAME}")


def test_the_extension_says_the_protocol_that_its_code_speaks() -> None:
    folder = ROOT / "extensions/jupyterlab"
    package = json.loads((folder / "package.json").read_text())
    assert package["name"] == lab_extension.NAME
    assert package["marimoKernelBridge"]["protocol"] == DOCUMENT_PROTOCOL
    assert f"PROTOCOL = {DOCUMENT_PROTOCOL};" in (folder / "src/link.ts").read_text()
