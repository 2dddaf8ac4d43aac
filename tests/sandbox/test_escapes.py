"""The escape table: what code in a sandbox tries is refused, by each engine, as root and as a user; outside it works."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import escape_probes
import pytest
from sandboxed import BOUND, User, kernel, user, world

from marimo_kernel_bridge.protocol.own_python import python_command

SOURCE = Path(escape_probes.__file__).read_text()
ALL = sorted(escape_probes.PROBES)
ENGINES = ["light", "bubblewrap", "podman"]


@pytest.fixture(scope="module")
def outside(someone: User) -> Iterator[dict[str, Any]]:
    with world(someone) as found:
        yield found


@pytest.fixture(scope="module", params=ENGINES)
def inside(request: pytest.FixtureRequest, someone: User, outside: dict[str, Any]) -> dict[str, str]:
    """What became of each probe in one kernel of the engine."""
    with kernel(someone, {"engine": request.param}) as sandboxed:
        told = {**outside, "ports": sandboxed.ports}
        code = f"exec({SOURCE!r}, probes := {{'__name__': 'probes'}})\nprint(probes['outcomes']({told!r}), end='')"
        found: dict[str, str] = ast.literal_eval(sandboxed.run(code, cell=False))
    return found


@pytest.mark.parametrize("probe", ALL)
def test_it_is_refused_in_a_sandbox(inside: dict[str, str], probe: str) -> None:
    assert inside[probe].startswith("refused: ")


def test_it_works_outside(someone: User) -> None:
    """Else a probe would prove nothing."""
    with user(someone.name) as another, world(another) as found:
        code = f"{SOURCE}\nprint(outcomes({ {**found, 'ports': [1]}!r}))"
        done = subprocess.run(
            [*another.prefix, *python_command("-c", code)],
            env=another.environment,
            cwd=another.folder,
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=True,
        )
    outcomes = ast.literal_eval(done.stdout)
    excused = {*escape_probes.WITHOUT_PROOF}
    if someone.name != "root":
        excused |= escape_probes.OF_ROOT | {"a package of Python is changed"}
    if someone.name != "nobody":
        excused |= escape_probes.OF_A_USER
    assert {
        name: outcome
        for name, outcome in outcomes.items()
        if outcome != "got through" and name not in excused
    } == {}
