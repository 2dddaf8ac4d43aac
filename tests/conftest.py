"""For all tests: a home of their own, nothing left behind, none skipped in silence, and what takes long comes first.

Whatever a test starts lives in a home that no other test has (`isolation`): kernels write their history there, servers
announce themselves there. What the tests of a module share, and what all share, has a home likewise.

A skipped test proves nothing, so a run with one fails, unless its id starts with one of `MAY_SKIP`. So it is on Linux; on
other systems tests are skipped for what these do not have, and the summary of the run names each with its reason.
"""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck

from tests import probes
from tests.compiling import compile_share
from tests.isolation import FOLDER, Home, Homes, Outside, begin, remove, running

if probes.VARIABLE in os.environ:  # before the conftest.py of a folder imports the package
    if "PYTEST_XDIST_WORKER" not in os.environ:
        from tests import probe_files

        probe_files.prepare(Path(os.environ[probes.VARIABLE]))
    probes.begin()

MAY_SKIP: dict[str, str] = {
    "tests/kernel/test_deaths.py::test_memory_runs_out": "only root can make a control group: `make oom`",
    "tests/kernel/test_other_python.py": "not every machine has another Python",
    "tests/sandbox/": "not every machine has what an engine of sandboxes needs; the reason says what",
    "tests/unit/viewing/test_pyarrow.py": "pandas imports pyarrow in each process that has it: `make pyarrow`",
    "tests/unit/sandbox/test_handed_sockets.py::test_a_socket_with": "some systems allow it to root alone",
}
"""The beginning of a test's id -> why it may be skipped."""

FAULTS = pytest.StashKey[list[str]]()
NOTES = pytest.StashKey[list[str]]()
OUTSIDE = pytest.StashKey[Outside]()
HOMES = pytest.StashKey[Homes]()


# Homes


@dataclass(frozen=True)
class _Left:
    """The person's home, if this process is the first to leave it, and those of the tests."""

    outside: Outside | None
    homes: Homes


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Leave the person's home before anything is imported that looks for it.

    This is called before the conftest.py of a folder on the command line is imported, `pytest_configure` after that.
    """
    outside = None if FOLDER in os.environ else Outside(Path.home())
    homes = Homes(begin() / os.environ.get("PYTEST_XDIST_WORKER", "main"))
    os.environ.update(homes.new("s").variables)
    pluginmanager.register(_Left(outside, homes), _Left.__name__)


def pytest_configure(config: pytest.Config) -> None:
    """Take over what was left, and be as a program that a person starts."""
    left = config.pluginmanager.get_plugin(_Left.__name__)
    assert isinstance(left, _Left)
    config.stash[HOMES] = left.homes
    if left.outside is not None:
        config.stash[OUTSIDE] = left.outside
    # On a machine that computes something else, an example of any size may take long.
    hypothesis.settings.register_profile(
        "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("any machine")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in the background of a shell; what tests start inherits it, and would not be interrupted.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1 and worker == f"gw{workers - 1}" and hasattr(os, "nice"):
        os.nice(5)  # it computes (`scheduling`), and what the others wait for goes first
    # jsonschema, which nbformat imports, does without: its grammar of IRIs takes seconds to build in each worker.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # so Python refuses to import it


@pytest.fixture(scope="session")
def homes(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    """Homes for what lives longer than a test: `homes.new("k")`. With the session all ends that lives there."""
    tmp_path_factory.getbasetemp()  # where it is without us
    homes = pytestconfig.stash[HOMES]
    yield homes
    assert not (processes := running(homes.folder)), f"still running after all tests: {processes}"


@pytest.fixture(scope="session")
def pool_home(homes: Homes) -> Iterator[Home]:
    """The home of the pool that tests fork reactive kernels from: that takes a tenth of a start. The first one starts it."""
    from marimo_kernel_bridge.launch.pool.status import stop_pools  # noqa: PLC0415  # most workers' tests need none

    home = homes.new("p")
    yield home
    with home.lived_in():
        stop_pools()


@pytest.fixture(scope="module", autouse=True)
def module_home(homes: Homes) -> Iterator[Home]:
    """The home of what the tests of a module share. With the module all ends that it or its tests have started."""
    home = homes.new("m")
    with home.lived_in():
        yield home
    assert not (processes := running(home.folder)), f"still running after the module: {processes}"


def _standard_streams() -> list[tuple[int, int] | None]:
    """Return which files they are, None for one that is closed."""
    found: list[tuple[int, int] | None] = []
    for descriptor in range(3):
        try:
            status = os.fstat(descriptor)
        except OSError:
            found.append(None)
        else:
            found.append((status.st_dev, status.st_ino))
    return found


@pytest.fixture(scope="module")
def _homes_of_tests(module_home: Home) -> Homes:
    return Homes(module_home.folder)


@pytest.fixture(autouse=True)
def home(_homes_of_tests: Homes) -> Iterator[Home]:
    """The home of one test."""
    home, streams = _homes_of_tests.new("t"), _standard_streams()
    with home.lived_in():
        yield home
    assert _standard_streams() == streams, (
        "standard streams were closed or replaced: another file may get their numbers"
    )
    assert not (files := home.temporary_files()), f"temporary files are left: {files}"


# The session


LONG_FIRST = "browser house mcp kernel mcp_http examples importing pool exporting sandbox".split()  # noqa: SIM905  # a list of words
"""Folders in the order in which workers get their files, so that no worker is left with a long one at the end."""
SLOW_LATE = "test_random_histories.py"
"""Takes several times as long in a process that has run thousands of tests: the kernel looks at what refers to objects."""


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Look for no garbage during imports, which create none, and never in what they leave; and less often than Python.

    That takes a tenth of the time, in each worker.
    """
    gc.disable()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folders = [Path(named.partition("::")[0]).absolute() for named in session.config.args]
        compile_share(
            [file for folder in folders for file in sorted(folder.rglob("test_*.py"))], session.config
        )
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000, *gc.get_threshold()[1:])
        gc.enable()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: those of an archive hold the time, and workers would collect different tests."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the browser first, in one piece, and the other folders that take long before the rest."""
    first = LONG_FIRST[:1] if config.pluginmanager.hasplugin("randomly") else LONG_FIRST
    tests = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        folder = item.path.relative_to(tests).parts[0]
        if item.path.name == SLOW_LATE:
            return 0
        return first.index(folder) if folder in first else len(first)

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    from tests.scheduling import Scheduler  # noqa: PLC0415  # `make contracts` has no xdist

    return Scheduler(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    faults = session.config.stash.setdefault(FAULTS, [])
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = [report.nodeid for report in reporter.stats.get("skipped", ())] if reporter else []
    faults += [
        f"SKIPPED BUT NOT LISTED in tests/conftest.py: {test}"
        for test in skipped
        if sys.platform == "linux" and not test.startswith(tuple(MAY_SKIP))
    ]
    if outside := session.config.stash.get(OUTSIDE, None):
        others = outside.other_programs()
        changed = [f"CHANGED OUTSIDE of the tests' homes: {file}" for file in outside.changed()]
        if others and changed:  # these may have done it
            session.config.stash[NOTES] = [*changed, *(f"  perhaps by {program}" for program in others)]
        else:
            faults += changed
    if faults and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    if OUTSIDE in config.stash:
        remove(Path(os.environ[FOLDER]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for fault in config.stash.get(FAULTS, []):
        terminalreporter.write_line(fault, red=True)
    for note in config.stash.get(NOTES, []):
        terminalreporter.write_line(note)


@pytest.fixture(autouse=True)
def _one_marimo_context_at_a_time() -> Iterator[None]:
    """Take away the marimo context that a test made: a thread has one at a time, and kernels keep theirs."""
    before = _marimo_context()
    yield
    if _marimo_context() is not before:
        sys.modules["marimo._runtime.context.types"].teardown_context()


def _marimo_context() -> object:
    contexts = sys.modules.get("marimo._runtime.context.types")
    return None if contexts is None else contexts.safe_get_context()
