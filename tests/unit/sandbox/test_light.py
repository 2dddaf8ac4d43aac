"""What the engine `light` checks and says, in memory: the namespaces themselves are entered by tests of `tests/sandbox`."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.bounds import Sandbox
from marimo_kernel_bridge.sandbox import (
    engines,
    entering,
    environment,
    first_process,
    landlock,
    light,
    namespaces,
    own_places,
    seccomp,
)
from marimo_kernel_bridge.sandbox.files import Access, Place, access
from marimo_kernel_bridge.sandbox.placeholders import Placeholders

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes need Linux")


def files_of(*folders: Path) -> Access:
    places = tuple(place for folder in folders if (place := Place.at(str(folder))) is not None)
    return Access(tuple(str(folder) for folder in folders), (), (), places)


def test_a_folder_that_was_replaced_after_it_was_looked_at_is_refused(tmp_path: Path) -> None:
    folder, other = tmp_path / "work", tmp_path / "other"
    folder.mkdir()
    looked_at = files_of(folder)
    light._require_writable(looked_at)
    assert [*folder.iterdir()] == []  # what was tried is gone
    folder.rename(other)
    folder.mkdir()
    with pytest.raises(OSError, match="was replaced meanwhile"):
        light._require_writable(looked_at)
    folder.rmdir()
    folder.symlink_to(other)  # the same folder by a link, which leads elsewhere a moment later
    with pytest.raises(OSError, match="work"):
        light._require_writable(looked_at)


def test_a_process_that_is_elsewhere_than_what_was_looked_at_is_not_confined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(BridgeError, match="was replaced meanwhile") as refused:
        entering._require_here(Sandbox(), files_of(tmp_path / "work"))
    assert refused.value.code == "sandbox_unavailable"
    entering._require_here(Sandbox(files="none"), Access((), (), ()))
    entering._require_here(Sandbox(), files_of(tmp_path / "other"))


def entered(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir(exist_ok=True)
    own = own_places.make(str(tmp_path / "kernel.json"), tmp_path / "checkpoints", packages=False)
    light.enter(
        Sandbox(),
        own,
        access(Sandbox(), str(tmp_path / "work"), own),
        str(tmp_path / "work"),
        1_000_000,
        variables={},
        connects=False,
        proxy=None,
        keeps=None,
        held=Placeholders(),
        dies_with_parent=False,
    )


def fails_with(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "says", "why"),
    [
        (errno.EPERM, "1", "/said is 1"),
        (errno.EPERM, "0", "Operation not permitted"),
        (errno.EINVAL, "0", "more than one thread"),
    ],
)
def test_namespaces_that_are_refused_are_told_with_the_setting_that_refuses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str, why: str
) -> None:
    (tmp_path / "said").write_text(f"{says}\n")
    settings = ((str(tmp_path / "absent"), "1"), (str(tmp_path / "said"), "1"))
    monkeypatch.setattr(light, "_SETTINGS", settings)
    monkeypatch.setattr(namespaces, "enter", fails_with(number))
    with pytest.raises(BridgeError, match=why) as refused:
        entered(tmp_path)
    assert refused.value.code == "sandbox_unavailable"


STEPS: list[tuple[Any, str]] = [
    (namespaces, "make_read_only"),
    (namespaces, "show_own_processes"),
    (namespaces, "own_terminals"),
    (namespaces, "mount_temporary"),
    (environment, "furnish"),
    (light, "leave_streams"),
    (environment, "apply"),
    (os, "chdir"),
    (namespaces, "drop_capabilities"),
    (landlock, "restrict"),
    (light, "_require_writable"),
    (seccomp, "confine"),
]
"""What confines a process, in this order."""


@pytest.mark.parametrize("failing", range(len(STEPS)), ids=[name for _, name in STEPS])
def test_no_step_that_fails_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    done: list[str] = []
    monkeypatch.setattr(namespaces, "enter", lambda **_: None)
    monkeypatch.setattr(namespaces, "processes_can_be_shown", lambda: True)
    monkeypatch.setattr(light, "_fork", lambda *_: None)
    for number, (module, name) in enumerate(STEPS):
        does = (
            fails_with(errno.EPERM) if number == failing else lambda *_, _name=name, **__: done.append(_name)
        )
        monkeypatch.setattr(module, name, does)
    with pytest.raises(BridgeError, match="cannot be entered here") as refused:
        entered(tmp_path)
    assert refused.value.code == "sandbox_unavailable"
    assert set(done) == {name for _, name in STEPS[:failing]}


@pytest.mark.parametrize("failing", [True, False])
def test_why_a_step_failed_is_told_in_a_log_that_the_kernel_itself_cannot_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, failing: bool
) -> None:
    monkeypatch.setattr(namespaces, "enter", lambda **_: None)
    monkeypatch.setattr(namespaces, "processes_can_be_shown", lambda: True)
    monkeypatch.setattr(light, "_fork", lambda *_: None)
    for module, name in STEPS:
        if name != "leave_streams":
            monkeypatch.setattr(module, name, lambda *_, **__: None)
    if failing:
        monkeypatch.setattr(seccomp, "confine", fails_with(errno.EPERM))
    log = tmp_path / "log"
    process = os.fork()
    if not process:  # which leaves its streams
        opened = os.open(log, os.O_CREAT | os.O_WRONLY)
        os.dup2(opened, 2)
        os.close(opened)
        try:
            entered(tmp_path)
            reached = {path.resolve() for path in Path("/proc/self/fd").iterdir()}
            (tmp_path / "reached").write_text(str(log in reached))
        except BridgeError as refused:
            os.write(2, refused.message.encode())
        finally:
            os._exit(0)
    os.waitpid(process, 0)
    if failing:
        assert "cannot be entered here: [Errno 1]" in log.read_text()
    else:
        assert (tmp_path / "reached").read_text() == "False"


def test_a_kernel_of_the_system_or_a_processor_that_lacks_something_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(light, "machine", lambda: "x86_64")
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert "this system has none" in light.missing()
    monkeypatch.setattr(landlock, "version", lambda: landlock.NEEDED)
    assert light.missing() == ""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert light.missing() == "it needs Linux"


def test_the_engine_auto_takes_bubblewrap_where_light_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(light, "missing", lambda: "no Landlock")
    monkeypatch.setattr(engines, "_bubblewrap_lacks", lambda: "")
    assert engines.engine_for(Sandbox()) == "bubblewrap"
    monkeypatch.setattr(engines, "_bubblewrap_lacks", lambda: "bwrap is not installed")
    with pytest.raises(BridgeError, match=r"light cannot be used: no Landlock; .*bwrap is not installed"):
        engines.engine_for(Sandbox())


def test_the_first_process_takes_what_ends_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([(41, 0), (42, 0), (0, 0)])
    monkeypatch.setattr(os, "waitpid", lambda *_: next(answers))
    first_process._take_ended(40, None)  # type: ignore[arg-type]  # nothing is sent
    assert next(answers, None) is None


def test_the_process_outside_needs_no_proc_after_its_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may have shown a /proc of its own processes by then, in which this one is not."""
    process = os.fork()
    if not process:  # what stands for a kernel never returns, and closes what is not its own
        listed = os.listdir

        def fork() -> int:
            monkeypatch.setattr(
                os, "listdir", lambda place: listed("/proc/none" if place == "/proc/self/fd" else place)
            )
            return 1

        monkeypatch.setattr(os, "fork", fork)
        monkeypatch.setattr(light, "stand_for", lambda *_, **__: os._exit(0))
        try:
            light._fork(Placeholders(), None)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
