"""Installing the extension for VS Code, and finding where it is installed. The editor is a script."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from marimo_kernel_bridge.cli import vscode
from marimo_kernel_bridge.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a home, the extension's file, and `code`, which notes how it is called."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "cwd").mkdir()
    program = tmp_path / "bin" / "code"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n')
    program.chmod(0o755)
    (tmp_path / "marimo-kernel-bridge.vsix").touch()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setattr(vscode, "shipped", lambda _: tmp_path)
    monkeypatch.setattr(vscode, "__version__", "2026.11.0.dev3")
    return tmp_path


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["vscode", *arguments], prog_name="marimo-kernel-bridge")
    return result.exit_code, result.output


def has(machine: Path, folder: str, version: str) -> None:
    listed = machine / folder / "extensions" / "extensions.json"
    listed.parent.mkdir(parents=True)
    others = {"identifier": {"id": "ms-toolsai.jupyter"}, "version": "1.0.0"}
    ours = {"identifier": {"id": "marimo-kernel-bridge.Marimo-Kernel-Bridge"}, "version": version}
    listed.write_text(json.dumps([others, ours]))


def test_installing_calls_the_editor_and_records_this_python(machine: Path) -> None:
    code, output = call("--install")
    assert code == 0, output
    assert (
        machine / "called"
    ).read_text() == f"--install-extension {machine}/marimo-kernel-bridge.vsix --force\n"
    recorded = json.loads((machine / "jupyter/marimo-kernel-bridge/vscode.json").read_text())
    assert recorded == {"python": sys.executable}
    assert sys.executable in output


def test_removing_forgets_the_python(machine: Path) -> None:
    call("--install")
    assert call("--uninstall")[0] == 0
    assert (machine / "called").read_text().endswith(f"--uninstall-extension {vscode.EXTENSION}\n")
    assert not (machine / "jupyter/marimo-kernel-bridge/vscode.json").exists()


def test_without_an_editor_nothing_is_changed(machine: Path) -> None:
    code, output = call("--install", "--editor", "codium")
    assert code == 1
    assert "codium. Nothing was changed." in output
    assert not (machine / "jupyter").exists()


def test_an_editor_that_fails_is_named_and_no_python_recorded(machine: Path) -> None:
    (machine / "bin/code").write_text("#!/bin/sh\nexit 3\n")
    code, output = call("--install")
    assert code == 1
    assert "exit code 3" in output
    assert not (machine / "jupyter").exists()


def test_a_checkout_without_the_extension_says_how_to_build_it(machine: Path) -> None:
    (machine / "marimo-kernel-bridge.vsix").unlink()
    code, output = call("--install")
    assert code == 1
    assert "npm run package" in output


def test_install_and_uninstall_exclude_each_other() -> None:
    assert call("--install", "--uninstall")[0] == 2


@pytest.mark.parametrize(
    ("version", "fits", "shown"),
    [
        ("2026.11.0", True, "code has the extension 2026.11.0."),
        ("2026.10.0", False, "code has the extension 2026.10.0; this is 2026.11.0.dev3. To install it: "),
    ],
)
def test_the_installed_version_is_found(machine: Path, version: str, fits: bool, shown: str) -> None:
    has(machine, ".vscode-server", version)
    assert [state.fits for state in vscode.states()] == [fits]
    assert shown in call()[1]


def test_editors_that_show_no_widgets_are_found(machine: Path) -> None:
    has(machine, ".vscode", "2026.11.0")
    assert vscode.without_widgets() == ["code"]
    listed = machine / ".vscode/extensions/extensions.json"
    renderers = {"identifier": {"id": vscode.RENDERERS}, "version": "1.0.0"}
    listed.write_text(json.dumps([*json.loads(listed.read_text()), renderers]))
    assert vscode.without_widgets() == []


def test_editors_without_the_extension_are_named(machine: Path) -> None:
    (machine / ".cursor/extensions").mkdir(parents=True)
    (machine / ".cursor/extensions/extensions.json").write_text('["of another kind"]')
    assert [(state.editor, state.version) for state in vscode.states()] == [("code", None), ("cursor", None)]
    assert "marimo-kernel-bridge vscode --install --editor cursor" in call()[1]
