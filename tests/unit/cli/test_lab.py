"""Which notebook `lab` opens."""

import json
from pathlib import Path

import pytest

from marimo_kernel_bridge.cli.lab import _for_our_kernel, open_lab
from marimo_kernel_bridge.errors import BridgeError

SPEC = {"name": "marimo", "display_name": "marimo (reactive Python)", "language": "python"}


def write_notebook(path: Path, kernelspec: str) -> Path:
    metadata = {"kernelspec": {"name": kernelspec, "display_name": kernelspec, "language": "python"}}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": []}))
    return path


def test_a_notebook_of_this_kernel_is_opened_itself(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "ours.ipynb", "marimo")
    assert _for_our_kernel(notebook, SPEC) == notebook


def test_a_notebook_of_another_kernel_is_copied_and_left_alone(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "other.ipynb", "python3")
    before = notebook.read_text()
    copy = _for_our_kernel(notebook, SPEC)
    assert copy == tmp_path / "other-marimo.ipynb"
    assert json.loads(copy.read_text())["metadata"]["kernelspec"] == SPEC
    assert notebook.read_text() == before


def test_an_earlier_copy_is_opened_with_what_a_person_did_to_it(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "other.ipynb", "python3")
    copy = _for_our_kernel(notebook, SPEC)
    copy.write_text(copy.read_text() + "\n")
    assert _for_our_kernel(notebook, SPEC).read_text().endswith("\n\n")


def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.ipynb").write_text("not JSON")
    with pytest.raises(BridgeError, match="is not JSON"):
        _for_our_kernel(tmp_path / "bad.ipynb", SPEC)


@pytest.mark.parametrize("below", ["", "below"])
@pytest.mark.parametrize("variable", ["JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"])
def test_a_folder_of_jupyter_that_cannot_be_written_is_named_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, below: str
) -> None:
    (tmp_path / "file").touch()
    folder = str(tmp_path / "file" / below)
    monkeypatch.setenv(variable, folder)
    monkeypatch.setattr("os.execve", lambda *_: pytest.fail("JupyterLab was started"))
    with pytest.raises(BridgeError) as refused:
        open_lab(None, [], print)
    assert folder in refused.value.message
    assert refused.value.hint.endswith(f"or set {variable} to one that is.")
