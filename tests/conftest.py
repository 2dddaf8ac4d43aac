"""For all tests: none is skipped in silence, and the browser comes last.

A skipped test proves nothing, so a run with one fails, unless its id starts with one of `MAY_SKIP`.
"""

import pytest

MAY_SKIP: dict[str, str] = {}
"""The beginning of a test's id -> why it may be skipped."""

UNLISTED = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the browser last: Playwright keeps an event loop running in this thread, where others start their own."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = [report.nodeid for report in reporter.stats.get("skipped", ())] if reporter else []
    unlisted = [test for test in skipped if not test.startswith(tuple(MAY_SKIP))]
    session.config.stash[UNLISTED] = unlisted
    if unlisted and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for test in config.stash.get(UNLISTED, []):
        terminalreporter.write_line(f"SKIPPED BUT NOT LISTED in tests/conftest.py: {test}", red=True)
