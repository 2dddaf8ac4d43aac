"""The engines `podman` and `docker`: a container of an image that has this package, with nothing of the machine but what is given.

The process starts the engine's command line and supervises the container. The sockets that listen are sent into it over a
Unix socket in a folder that is mounted: the container has no network, and the engine's daemon, if it has one, passes no
descriptors on. The connection stays: when it ends, the container does. `command` is pure.
"""

from __future__ import annotations

import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.bounds import MOST_PROCESSES
from marimo_kernel_bridge.protocol.names import MODULE
from marimo_kernel_bridge.protocol.own_python import program_on_path
from marimo_kernel_bridge.sandbox.files import steps
from marimo_kernel_bridge.sandbox.prepared import Found
from marimo_kernel_bridge.sandbox.supervising import end_with, pass_on, stand_for, start, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import NoReturn

    from marimo_kernel_bridge.protocol.bounds import Limits, Sandbox
    from marimo_kernel_bridge.sandbox.files import Access
    from marimo_kernel_bridge.sandbox.own_places import OwnPlaces
    from marimo_kernel_bridge.sandbox.prepared import ContainerEngine

HOME: Final = "/tmp/home"  # noqa: S108  # in the container
HANDED: Final = "/run/marimo-kernel-bridge"
_SOCKET: Final = "sockets"
_LOOK_BOUND: Final = 60.0
_START_BOUND: Final = 600.0
"""Seconds until there is a kernel in a container, on a machine that computes something else."""
_ABOUT: Final[dict[ContainerEngine, str]] = {
    "podman": "{{.Host.Security.Rootless}} {{len .Host.IDMappings.UIDMap}} {{.Host.CgroupControllers}}",
    "docker": "{{.MemoryLimit}} {{.PidsLimit}}",
}
_LONGEST_REASON: Final = 2000
_OF_ENGINES: Final = ("CONTAINERS_", "CONTAINER_", "DOCKER_", "REGISTRY_", "STORAGE_", "DBUS_", "XDG_")
"""The beginnings of names of variables that the engines' command lines need, and containers do not get."""
_PROXIES: Final = tuple(
    spelled
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
    for spelled in (name, name.upper())
)
_NOT_IN_MOUNTS: Final = frozenset(',"\n')


def look(engine: ContainerEngine, image: str) -> Found | str:
    """Return what would run a container of an image, or why nothing can. Starts the engine's program; fetches nothing."""
    program = program_on_path(engine)
    if program is None:
        return f"{engine} is not installed"
    about = _about(engine, program)  # first: an engine that cannot work knows no image, either
    if isinstance(about, str):
        return about
    inspected = _answer(program, "image", "inspect", "--format", "{{.Id}}", image)
    if isinstance(inspected, str):
        return f"{engine} has no image {image} here ({inspected}); it is not fetched: {engine} pull {image}"
    found = inspected[0].removeprefix("sha256:")
    if engine == "docker":
        held = zip(("memory", "pids"), about, strict=True)
        return Found(engine, program, found, frozenset(name for name, yes in held if yes == "true"))
    rootless, mapped, controllers = about
    counts = frozenset(controllers.strip("[]").split())
    own_users = rootless == "true"
    return Found(engine, program, found, counts, own_users, own_users and mapped == "1")


def _about(engine: ContainerEngine, program: str) -> list[str] | str:
    """Return what an engine says of itself (`_ABOUT`), or why it cannot be used."""
    if engine == "docker":
        version = _answer(program, "--version")
        if not isinstance(version, str) and "podman" in version[0].lower():
            return "docker is another name of podman here"
    told = _answer(program, "info", "--format", _ABOUT[engine])
    if isinstance(told, str):
        return f"{engine} does not start here: {told}"
    words = _ABOUT[engine].count("}} {{") + 1
    about = told[0].split(maxsplit=words - 1)
    return (
        about
        if len(about) == words
        else f"{engine} says of itself what is not understood: {told[0][:_LONGEST_REASON]}"
    )


def _answer(program: str, *arguments: str) -> tuple[str] | str:
    """Return what an engine's program prints, in a tuple; else why it prints nothing."""
    try:
        done = subprocess.run(  # noqa: S603  # the engine
            [program, *arguments], capture_output=True, text=True, timeout=_LOOK_BOUND, check=False, cwd="/"
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode or not done.stdout.strip():
        return (done.stderr.strip() or "it says nothing").split("\n")[-1][:_LONGEST_REASON]
    return (done.stdout.strip(),)


def command(
    found: Found,
    sandbox: Sandbox,
    own: OwnPlaces,
    files: Access,
    folder: str,
    *,
    inner: Iterable[str],
    name: str,
    handed: str,
    temporary: int,
    limits: Mapping[str, int],
) -> list[str]:
    """Return the command line that runs this package's command line `inner` in a container. Raises `BridgeError`.

    `handed` is the folder with the Unix socket, `limits` are those that the engine holds: memory and processes.
    """
    made = [found.program, "run", "--rm", f"--name={name}", "--pull=never", "--sig-proxy=false"]
    user = "0:0" if found.one_user else f"{os.getuid()}:{os.getgid()}"
    made += ["--log-driver=none", "--entrypoint=python", f"--user={user}"]
    made += ["--hostname=sandbox", f"--network={'host' if sandbox.network == 'all' else 'none'}"]
    made += ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]
    made.append("--security-opt=label=disable")  # else SELinux hides the folder, or has it relabeled for good
    # Said, because a person's settings for containers may have that of the machine for all.
    made += ["--ipc=private", "--cgroupns=private"]
    if found.engine == "podman":
        made += ["--pid=private", "--uts=private", "--env-host=false"]  # as Docker's always are
        made += ["--read-only-tmpfs=false", "--http-proxy=false"]
        made += ["--userns=keep-id"] if found.maps_users and not found.one_user else []
    made.append(f"--tmpfs=/tmp:rw,nosuid,nodev,exec,mode=1777,size={temporary * 3 // 4}")
    made.append(f"--shm-size={temporary // 4}")
    if "pids" in found.counts:
        made.append(f"--pids-limit={limits.get('processes', MOST_PROCESSES)}")
    if "memory" in limits and "memory" in found.counts:
        made += [f"--memory={limits['memory']}", f"--memory-swap={limits['memory']}"]
    made += [f"--env={variable}" for variable in sandbox.environment if variable in os.environ]
    # Of the person's settings for containers: their addresses may hold passwords.
    made += [f"--env={variable}=" for variable in _PROXIES if variable not in sandbox.environment]
    made.append(_mount(handed, HANDED, read_only=True))
    made += [_mount(path, path) for path in sorted((*files.writable, *steps(files.kept, files.writable)))]
    made += [_mount(path, path, read_only=True) for path in sorted((*files.kept, *own.readable))]
    made.append(f"--workdir={'/tmp' if sandbox.files == 'none' else folder}")  # noqa: S108  # the container's own
    return [*made, found.image, "-P", "-m", MODULE, *inner]


def _mount(source: str, target: str, *, read_only: bool = False) -> str:
    if _NOT_IN_MOUNTS & {*source, *target}:
        raise BridgeError(
            "sandbox_unavailable",
            f"{source!r} has a comma, a quote or the end of a line in its name, which container engines cannot mount; nothing was started.",
        )
    return f"--mount=type=bind,source={source},destination={target}" + (",readonly" if read_only else "")


def limits_of(found: Found, limits: Limits | None) -> dict[str, int]:
    """Return the limits that the engine holds its containers to. Raises `BridgeError`: limit_unavailable."""
    asked = {} if limits is None else {"memory": limits.memory, "processes": limits.processes}
    given = {name: value for name, value in asked.items() if value is not None}
    if "processes" in given and "pids" not in found.counts and not found.maps_users:
        raise BridgeError(
            "limit_unavailable",
            f"The limit processes cannot be held here: {found.engine} has no control group that counts them; nothing was started.",
        )
    return given


def run(
    found: Found,
    command_with: Callable[..., list[str]],
    variables: Mapping[str, str],
    descriptors: Sequence[int],
    *,
    dies_with_parent: bool,
    at_end: Callable[[], None],
) -> NoReturn:
    """Start a container, send it descriptors, and stand for the kernel in it. Raises `BridgeError`: sandbox_unavailable.

    `command_with` returns the command line for the name of the container and the folder with the Unix socket; `variables` are those of its
    program.
    """
    parent = os.getppid()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # of the process group, before there is a kernel to interrupt
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    with tempfile.TemporaryDirectory(prefix="mkb-") as handed, socket.socket(socket.AF_UNIX) as listening:
        where = os.open(handed, os.O_PATH | os.O_DIRECTORY)
        listening.bind(f"/proc/self/fd/{where}/{_SOCKET}")  # a path of any length
        os.close(where)
        listening.listen(1)
        log, errors = os.pipe()
        made = command_with(name=f"marimo-kernel-{secrets.token_hex(6)}", handed=handed)
        process = start(made, dict(variables), errors=errors, apart=True)
        os.close(errors)
        kernel = _accepted(found, listening, log, process)
        socket.send_fds(kernel, [b"x"], list(descriptors))
    for descriptor in descriptors:
        os.close(descriptor)
    if dies_with_parent:
        end_with(parent, None)
    stand_for(kernel, process, log=log, at_end=at_end)


def _leave(number: int, _: object) -> NoReturn:
    """End while the container starts, and leave nothing behind; the engine's program ends with this process."""
    sys.exit(128 + number)


def _accepted(found: Found, listening: socket.socket, log: int, process: int) -> socket.socket:
    """Return the connection from within the container. Raises `BridgeError` if its program ends before, or is not done for too long."""
    told = b""
    deadline = time.monotonic() + _START_BOUND
    watched = select.poll()
    for each in (listening.fileno(), log):
        watched.register(each, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in watched.poll(1000 * max(0.0, deadline - time.monotonic()))}
        if not ready:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            raise BridgeError(
                "sandbox_unavailable",
                f"{found.engine} has started no kernel in {_START_BOUND:.0f} s, and was ended: {told.decode(errors='replace').strip()}",
                "Nothing was started. Its storage may be locked, or its daemon may hang.",
            )
        if log in ready:
            piece = pass_on(log)
            told = (told + piece)[-_LONGEST_REASON:]
            if not piece:
                status_of(process, deadline)
                raise BridgeError(
                    "sandbox_unavailable",
                    f"The container of {found.engine} has ended before there was a kernel: {told.decode(errors='replace').strip()}",
                    "Nothing was started. The image needs Python and marimo-kernel-bridge of the same version as here.",
                )
        if listening.fileno() in ready:
            connection, _ = listening.accept()
            return connection


def taken(names: Sequence[Any]) -> tuple[socket.socket, list[int]]:
    """Return, in a container, the connection to the process outside, and the descriptors that it sends: as many as `names`. Raises `OSError`."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"{HANDED}/{_SOCKET}")
    _, descriptors, _, _ = socket.recv_fds(connection, 1, len(names))
    if len(descriptors) != len(names):
        raise OSError(0, "the sockets of the kernel did not arrive")
    return connection, list(descriptors)


def variables_of(environment: Mapping[str, str], let_through: Iterable[str]) -> dict[str, str]:
    """Return what of an environment an engine's program gets: with more, its settings could pass all on to containers."""
    from marimo_kernel_bridge.sandbox.variables import cleaned  # noqa: PLC0415  # beside the others of this package

    return cleaned(environment, let_through) | {
        name: value for name, value in environment.items() if name.startswith(_OF_ENGINES)
    }
