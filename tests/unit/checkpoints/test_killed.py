"""A process that is killed while it saves leaves the former checkpoint, whole."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "times",
    [
        50,
        pytest.param(1_000, marks=[pytest.mark.long, pytest.mark.timeout(0)]),
    ],  # each round has a bound of its own
)
def test_the_former_checkpoint_is_whole_after_a_kill_at_any_moment(tmp_path: Path, times: int) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.unit.checkpoints.killed_saves",
        str(tmp_path / "store"),
        str(times),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    in_the_middle, versions = map(int, done.stdout.split())
    assert in_the_middle > times // 10
    assert versions > times // 10
