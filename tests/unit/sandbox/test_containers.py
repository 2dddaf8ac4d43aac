"""The command lines of container engines, and when there is none."""

import os
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.bounds import Limits, Sandbox
from marimo_kernel_bridge.sandbox import containers, supervising
from marimo_kernel_bridge.sandbox.containers import command, limits_of, look
from marimo_kernel_bridge.sandbox.engines import engine_for
from marimo_kernel_bridge.sandbox.files import Access
from marimo_kernel_bridge.sandbox.own_places import OwnPlaces
from marimo_kernel_bridge.sandbox.prepared import Found

ALL = frozenset({"pids", "memory"})
PODMAN = Found("podman", "/usr/bin/podman", "abc123", ALL, maps_users=True)
DOCKER = Found("docker", "/usr/bin/docker", "abc123", ALL)
OWN = OwnPlaces("/tmp/home", "/home/me/data", "/home/me/data/c", "", ("/home/me/data/c",), ("/run/k.json",))
FILES = Access(("/work", "/home/me/data/c"), ("/work/.git", "/work/a/env"), (), ())


def made(found: Found, sandbox: Sandbox, limits: Limits | None = None, files: Access = FILES) -> list[str]:
    return command(
        found,
        sandbox,
        OWN,
        files,
        "/work",
        inner=["sandboxed-kernel", "{}"],
        name="n",
        handed="/tmp/handed",
        temporary=400,
        limits=limits_of(found, limits),
    )


def bind(source: str, target: str | None = None, *, read_only: bool = False) -> str:
    return f"--mount=type=bind,source={source},destination={target or source}" + (
        ",readonly" if read_only else ""
    )


def test_a_container_has_nothing_but_what_is_given() -> None:
    line = made(DOCKER, Sandbox())
    assert {
        *(
            "--network=none",
            "--read-only",
            "--cap-drop=all",
            "--security-opt=no-new-privileges",
            "--pull=never",
        ),
        *(
            "--rm",
            "--tmpfs=/tmp:rw,nosuid,nodev,exec,mode=1777,size=300",
            "--shm-size=100",
            "--env=HTTPS_PROXY=",
        ),
    } <= {*line}
    mounts = [argument for argument in line if argument.startswith("--mount")]
    assert mounts == [
        bind("/tmp/handed", "/run/marimo-kernel-bridge", read_only=True),
        bind("/home/me/data/c"),
        bind("/work"),
        bind("/work/a"),  # which cannot be renamed then
        bind("/run/k.json", read_only=True),
        bind("/work/.git", read_only=True),
        bind("/work/a/env", read_only=True),
    ]
    assert line[-6:] == ["abc123", "-P", "-m", "marimo_kernel_bridge", "sandboxed-kernel", "{}"]
    assert f"--user={os.getuid()}:{os.getgid()}" in line


def test_settings_of_the_person_give_a_container_no_namespace_of_the_machine() -> None:
    """As `pidns = "host"` in containers.conf would."""
    both = {"--ipc=private", "--cgroupns=private"}
    podmans = {"--pid=private", "--uts=private", "--env-host=false"}
    assert both | podmans <= {*made(PODMAN, Sandbox())}
    assert both <= {*made(DOCKER, Sandbox())}
    assert not podmans & {*made(DOCKER, Sandbox())}  # which knows no such values, and no settings for them


def test_podman_keeps_the_persons_proxies_and_users_out() -> None:
    line = made(PODMAN, Sandbox(network="all"))
    assert {"--http-proxy=false", "--read-only-tmpfs=false", "--userns=keep-id", "--network=host"} <= {*line}
    alone = made(Found("podman", "p", "i", ALL, maps_users=True, one_user=True), Sandbox())
    assert "--user=0:0" in alone
    assert "--userns=keep-id" not in alone


def test_limits_are_the_containers_where_its_engine_holds_them() -> None:
    limits = Limits(memory=10**9, processes=64)
    assert {"--memory=1000000000", "--memory-swap=1000000000", "--pids-limit=64"} <= {
        *made(DOCKER, Sandbox(), limits)
    }
    rootless = Found("podman", "p", "i", frozenset(), maps_users=True)
    assert not [each for each in made(rootless, Sandbox(), limits) if each.startswith(("--memory", "--pids"))]
    with pytest.raises(BridgeError) as refused:
        limits_of(Found("docker", "d", "i", frozenset()), limits)
    assert refused.value.code == "limit_unavailable"


@pytest.mark.parametrize("name", ["a,readonly=false", 'a"b', "a\nb"])
def test_a_folder_whose_name_would_be_read_as_an_option_is_refused(name: str) -> None:
    with pytest.raises(BridgeError) as refused:
        made(DOCKER, Sandbox(), files=Access((f"/work/{name}",), (), ()))
    assert refused.value.code == "sandbox_unavailable"


def test_variables_are_let_through_by_name_so_that_no_list_of_processes_shows_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINE", "my-password")
    line = made(DOCKER, Sandbox(environment=("MINE", "NOT_SET")))
    assert "--env=MINE" in line
    assert not [argument for argument in line if "my-password" in argument or "NOT_SET" in argument]
    given = containers.variables_of({"MINE": "a", "TOKEN": "b", "DOCKER_HOST": "c", "PATH": "d"}, ["MINE"])
    assert given == {"MINE": "a", "DOCKER_HOST": "c", "PATH": "d"}


def engine(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_an_image_that_is_not_there_is_not_fetched(path: Path) -> None:
    engine(
        path,
        "podman",
        'case "$1" in info) echo "true 1 []";; *) echo Error: no such image >&2; exit 125;; esac',
    )
    told = look("podman", "mine:1")
    assert isinstance(told, str)
    assert "no image mine:1 here (Error: no such image)" in told
    assert look("docker", "mine:1") == "docker is not installed"


def test_what_an_engine_holds_is_asked_of_it(path: Path) -> None:
    engine(path, "podman", 'case "$1" in image) echo sha256:f00;; *) echo "true 1 [memory pids]";; esac')
    engine(path, "docker", 'case "$1" in image) echo sha256:f00;; *) echo "true false";; esac')
    assert look("podman", "i") == Found(
        "podman", f"{path}/podman", "f00", ALL, maps_users=True, one_user=True
    )
    assert look("docker", "i") == Found("docker", f"{path}/docker", "f00", frozenset({"memory"}))
    assert engine_for(Sandbox(image="i")) == look("podman", "i")
    (path / "podman").unlink()
    assert engine_for(Sandbox(image="i")) == look("docker", "i")


def test_an_engine_that_does_not_work_says_so_itself(path: Path) -> None:
    engine(path, "docker", "echo Cannot connect to the Docker daemon >&2; exit 1")
    assert look("docker", "i") == "docker does not start here: Cannot connect to the Docker daemon"
    engine(path, "podman", "echo odd")
    assert look("podman", "i") == "podman says of itself what is not understood: odd"
    engine(path, "docker", "echo podman version 5.1")
    assert look("docker", "i") == "docker is another name of podman here"


@pytest.fixture
def hanging() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        yield process
        process.kill()


def test_an_engine_that_hangs_does_not_hold_the_start_for_ever(
    tmp_path: Path, hanging: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "_START_BOUND", 0.01)
    log, errors = os.pipe()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        with pytest.raises(BridgeError, match="podman has started no kernel") as refused:
            containers._accepted(PODMAN, listening, log, hanging.pid)
    os.close(log)
    os.close(errors)
    assert refused.value.code == "sandbox_unavailable"
    hanging.returncode = 0  # it was waited for
    with pytest.raises(ProcessLookupError):
        os.kill(hanging.pid, 0)


def test_an_engine_that_hangs_does_not_hold_the_end_for_ever(hanging: subprocess.Popen[bytes]) -> None:
    log, errors = os.pipe()
    supervising.pass_on_the_rest(log, time.monotonic())  # whose other end is open
    assert supervising.status_of(hanging.pid, time.monotonic()) == signal.SIGKILL
    hanging.returncode = 0
    os.close(log)
    os.close(errors)


class _EndedError(Exception):
    """Stands for the end of a process."""


def test_a_program_ends_with_who_started_it_also_if_that_has_ended_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def end(parent: int, _: object) -> None:
        asked.append(parent)
        raise _EndedError

    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(os, "setsid", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(os, "_exit", lambda _: None)
    monkeypatch.setattr(supervising, "end_with", end)
    with pytest.raises(_EndedError):
        supervising.start(["/bin/true"], {}, apart=True)
    assert asked == [os.getpid()]


@pytest.mark.parametrize(("number", "ends"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_a_start_that_is_ended_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, ends: bool
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def accepted(*_: object) -> NoReturn:
        os.kill(os.getpid(), number)
        raise _EndedError

    monkeypatch.setattr(containers, "start", lambda *_, **__: os.getpid())
    monkeypatch.setattr(containers, "_accepted", accepted)
    try:
        with pytest.raises(SystemExit if ends else _EndedError):
            containers.run(PODMAN, lambda **_: [], {}, [], dies_with_parent=False, at_end=lambda: None)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("sandbox", "why"),
    [
        (Sandbox(engine="podman"), "needs an image"),
        (Sandbox(engine="light", image="i"), "runs no image"),
        (Sandbox(image="i", files="read"), "files of its image"),
        (Sandbox(image="i"), "podman is not installed; docker is not installed"),
    ],
)
def test_what_cannot_be_is_refused(path: Path, sandbox: Sandbox, why: str) -> None:
    assert path.exists()
    with pytest.raises(BridgeError, match=why) as refused:
        engine_for(sandbox)
    assert refused.value.code == "sandbox_unavailable"
