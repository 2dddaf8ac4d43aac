"""A pytest plugin for other projects' suites: notes each test's outcome, and whether it talks to a kernel process.

Loaded with `-p recorder` into the suite's own pytest; writes one JSON line per event to the file that `PEERS_LOG`
names, so that a suite that hangs or crashes still tells how far it came. A test talks to a kernel if during it

* a message is sent to a kernel that a `KernelManager` started (`KernelClient`'s channels, also in forked children), or
* a kernel is started from the kernelspec at all (the kernelspec's own command notes that, also in grandchildren).
"""

import json
import os
from pathlib import Path

import pytest
from jupyter_client import channels
from jupyter_client.provisioning import LocalProvisioner

_LOG = Path(os.environ["PEERS_LOG"])
_keys: set[str] = set()  # of kernels that were started from a kernelspec


def _note(**event) -> None:
    with _LOG.open("a") as log:
        log.write(json.dumps(event) + "\n")


def _running_test() -> str | None:
    test = os.environ.get("PYTEST_CURRENT_TEST")
    return test.rpartition(" ")[0] if test else None


def _watch_starts() -> None:
    launch = LocalProvisioner.launch_kernel

    async def launch_kernel(self, cmd, **options):
        _keys.add(_text(self.parent.session.key))
        return await launch(self, cmd, **options)

    LocalProvisioner.launch_kernel = launch_kernel


def _watch_messages() -> None:
    send = channels.ZMQSocketChannel.send

    def noted(self, msg):
        if _text(self.session.key) in _keys and (test := _running_test()):
            _note(event="message", test=test)
        return send(self, msg)

    channels.ZMQSocketChannel.send = noted


def _text(key: str | bytes) -> str:
    return key.decode() if isinstance(key, bytes) else key


_watch_starts()
_watch_messages()


@pytest.hookimpl
def pytest_collectreport(report) -> None:
    if report.failed:
        _note(event="not collected", file=report.nodeid, why=_last_line(report.longreprtext))


@pytest.hookimpl
def pytest_runtest_logstart(nodeid) -> None:
    _note(event="start", test=nodeid)


@pytest.hookimpl
def pytest_runtest_logreport(report) -> None:
    if report.passed and report.when != "call":
        return
    why = "" if report.passed else report.longreprtext
    if report.skipped and isinstance(report.longrepr, tuple):
        why = report.longrepr[2].removeprefix("Skipped: ")
    outcome = "xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome
    _note(event="end", test=report.nodeid, outcome=outcome, seconds=round(report.duration, 2), why=why)


@pytest.hookimpl
def pytest_sessionfinish(session) -> None:
    _note(event="finish")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("E").strip() if lines else ""
