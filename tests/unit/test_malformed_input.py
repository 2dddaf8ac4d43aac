"""Malformed input of every kind gets a refusal with a code: no crash, no hang, no traceback; `make fuzz-input` tries many more."""

from pathlib import Path

import pytest

from tests.unit.malformed_input import KINDS

INPUTS = {  # pages are in `make fuzz-input` only: nbconvert takes seconds to import
    "connection files": 60,
    "frames": 300,
    "servers": 100,
    "arguments": 120,
    "replies": 120,
    "resources": 150,
    "requests": 120,
    "notebooks": 30,
    "checkpoints": 100,
    "black boxes": 300,
    "marimo events": 300,
    "host settings": 60,
    "bounds": 300,
    "texts": 300,
    "manifests": 150,
    "own files": 300,
    "settings": 300,
    "own messages": 300,
    "batches": 3,
    "tables": 40,
}


@pytest.mark.parametrize("kind", INPUTS)
def test_malformed_input_is_refused_with_a_code(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HOME", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert KINDS[kind](range(INPUTS[kind]), tmp_path) == []
