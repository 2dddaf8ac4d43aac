"""Jupyter connection files: locating, reading and validating them.

Owns all that can be known of a kernel without talking to it: the file that a name denotes, whether the file can be
trusted, its addresses and key, and whether anything listens there. Opens no ZMQ socket, and never writes a key to a
message, a repr or a log.

A connection file is as sensitive as a password: whoever can write it chooses the kernel that receives our code. So the
file must belong to this user and be writable by nobody else. A file that others can read causes only a warning: they
already have the key, and a refusal would not change that.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import os
import re
import stat
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from jupyter_core.paths import jupyter_runtime_dir

from marimo_kernel_bridge.client.notebook_names import at_home
from marimo_kernel_bridge.client.port_owner import foreign_listener
from marimo_kernel_bridge.client.socket_owner import why_not_ours
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.names import kernel_id_of
from marimo_kernel_bridge.protocol.regular_files import read_bytes

Channel = Literal["shell", "iopub", "control", "hb"]
"""The channels that this client uses. The fifth, stdin, is for front ends that can ask a person."""

MAX_FILE_BYTES: Final = 64 * 1024
SHOW_KERNELS: Final = "`marimo-kernel-bridge kernels`, or the tool list_kernels, shows the running kernels."

_OF_SERVERS: Final = ("jpserver-", "nbserver-")
_CURVE_KEY: Final = re.compile(r"[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")
_ADDRESS: Final = re.compile(r"[\w.:%-]{1,255}|\*")
_BROKEN: Final = frozenset({"md5", "md4", "sha1"})

_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class _File(msgspec.Struct, frozen=True):
    """The fields of a connection file that this client uses; others are ignored.

    https://jupyter-client.readthedocs.io/en/stable/kernels.html#connection-files
    """

    shell_port: _Port
    iopub_port: _Port
    control_port: _Port
    stdin_port: _Port
    hb_port: _Port
    ip: str
    key: str
    transport: Literal["tcp", "ipc"] = "tcp"
    signature_scheme: str = "hmac-sha256"
    kernel_name: str = ""
    curve_publickey: str | None = None
    curve_secretkey: str | None = None


# Made at the import, by one thread: msgspec crashes if two look at a class for the first time.
_FILE: Final = msgspec.json.Decoder(_File)


@dataclass(frozen=True)
class Connection:
    """The address of one kernel. `warnings` are sentences about the safety of the file, for people."""

    path: Path
    transport: Literal["tcp", "ipc"]
    ip: str
    ports: dict[Channel, int]
    signature_scheme: str
    kernel_name: str
    key: bytes = field(repr=False)
    curve_publickey: bytes | None = field(default=None, repr=False)
    curve_secretkey: bytes | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def kernel_id(self) -> str:
        return kernel_id_of(self.path)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def expected(self) -> bool:
        """Whether the kernel is on this machine, or its file where this user's Jupyter puts such files.

        Any file of a checkout belongs to this user as well: an agent may have been told to connect to it.
        """
        return self.here or self.path.parent == runtime_dir().resolve()

    @property
    def here(self) -> bool:
        """Whether the kernel listens on this machine, where a container or a tunnel may be behind its ports."""
        return self.transport == "ipc" or _is_here(self.ip)

    @property
    def where(self) -> str:
        return str(self.path)

    def url(self, channel: Channel) -> str:
        separator = ":" if self.transport == "tcp" else "-"
        return f"{self.transport}://{self.ip}{separator}{self.ports[channel]}"


def _is_here(address: str) -> bool:
    try:
        return address in {"localhost", "*", "0.0.0.0"} or ipaddress.ip_address(address).is_loopback  # noqa: S104  # what we connect to then is loopback
    except ValueError:  # a name
        return False


def runtime_dir() -> Path:
    """Return the directory in which this user's Jupyter servers and front ends create connection files."""
    return Path(jupyter_runtime_dir())


def new_connection_file(mark: str = "") -> Path:
    """Return a path for a new kernel's connection file, in the directory that Jupyter servers use.

    `marked_files` finds it by its `mark`, up to twelve hexadecimal digits at the end of the kernel's id.
    """
    directory = runtime_dir()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    drawn = uuid.uuid4().hex
    return directory / f"kernel-{uuid.UUID(drawn[: len(drawn) - len(mark)] + mark)}.json"


def marked_files(mark: str) -> list[Path]:
    """Return the connection files in that directory with a mark."""
    return sorted(runtime_dir().glob(f"kernel-*{mark}.json"))


def connection_files() -> list[Path]:
    """Return all connection files in Jupyter's runtime directory, the newest first, valid or not.

    `ipython kernel -f NAME` calls one as it likes; servers have files of their own there.
    """
    paths: list[tuple[float, Path]] = []
    for path in runtime_dir().glob("*.json"):
        if path.name.startswith(_OF_SERVERS) or (
            not path.name.startswith("kernel-") and not _names_ports(path)
        ):
            continue
        try:
            paths.append((path.stat().st_mtime, path))
        except OSError:  # removed in the meantime, or a dangling link
            continue
    return [path for _, path in sorted(paths, reverse=True)]


def _names_ports(path: Path) -> bool:
    """Whether a file that is not called so may be a connection file."""
    try:
        return b'"shell_port"' in read_bytes(path, MAX_FILE_BYTES)
    except (OSError, ValueError):
        return False


def locate(name: str) -> Path:
    """Return the file denoted by a path, by the name of a file in the runtime directory, or by a kernel id.

    Raises `BridgeError`: connection_file_missing.
    """
    for candidate in candidates(name):
        if os.path.exists(candidate):  # noqa: PTH110  # Path.exists raises for unreadable folders and long names
            return candidate.resolve()
    raise BridgeError(
        "connection_file_missing",
        f"There is no connection file {name.strip()!r}, neither as a path nor in {runtime_dir()}.",
        "A kernel's file disappears when the kernel is shut down. " + SHOW_KERNELS,
    )


def candidates(name: str) -> tuple[Path, ...]:
    """Return the paths that a name may denote, best first. Raises `BridgeError`: connection_file_missing."""
    text = name.strip()
    if not text or "\0" in text:
        raise BridgeError(
            "connection_file_missing", f"{name!r} is not the name of a connection file.", SHOW_KERNELS
        )
    given = Path(at_home(text))
    directory = runtime_dir()
    if given.is_absolute():
        return (given,)
    if len(given.parts) > 1:
        return given, directory / text
    return given, directory / text, directory / f"kernel-{text}.json", directory / f"{text}.json"


def read_connection(name: str | Path) -> Connection:
    """Locate, read and check a connection file; `name` is as `locate` takes it.

    Raises `BridgeError`: connection_file_missing, connection_file_foreign or connection_file_malformed.
    """
    path = locate(str(name))
    content, warnings = read_own_file(path)
    try:
        file = _FILE.decode(content)
    except (ValueError, RecursionError) as error:  # the cause would show the content, which includes the key
        raise malformed(path, str(error)) from None
    scheme, _, algorithm = file.signature_scheme.partition("-")
    # jupyter_client uses the attribute.
    known = algorithm in hashlib.algorithms_available and hasattr(hashlib, algorithm)
    if scheme != "hmac" or not known:
        raise malformed(path, f"unknown signature_scheme {file.signature_scheme!r}")
    try:
        hmac.digest(b"", b"", algorithm)
    except (ValueError, TypeError):  # shake_128, for example, has no length
        raise malformed(path, f"unusable signature_scheme {file.signature_scheme!r}") from None
    if bool(file.curve_publickey) != bool(file.curve_secretkey):
        raise malformed(path, "only one of curve_publickey and curve_secretkey is present")
    if not all(_CURVE_KEY.fullmatch(key) for key in (file.curve_publickey, file.curve_secretkey) if key):
        raise malformed(path, "curve_publickey or curve_secretkey is not a key")
    if file.transport == "tcp" and not _ADDRESS.fullmatch(file.ip):
        raise malformed(path, f"{file.ip[:100]!r} is not an address")
    warnings = (*warnings, *_judge_address(path, file))
    if algorithm in _BROKEN:
        warnings = (
            *warnings,
            f"Messages are signed with {algorithm}, which does not keep others from forging them.",
        )
    if not file.key:
        warnings = (
            *warnings,
            "The file has no key: messages are not signed, and anyone here can forge them.",
        )
    return Connection(
        path=path,
        transport=file.transport,
        ip="127.0.0.1" if file.ip in {"*", "0.0.0.0"} else file.ip,  # noqa: S104  # an address to bind to; we connect
        ports={
            "shell": file.shell_port,
            "iopub": file.iopub_port,
            "control": file.control_port,
            "hb": file.hb_port,
        },
        signature_scheme=file.signature_scheme,
        kernel_name=file.kernel_name,
        key=file.key.encode(),
        curve_publickey=file.curve_publickey.encode() if file.curve_publickey else None,
        curve_secretkey=file.curve_secretkey.encode() if file.curve_secretkey else None,
        warnings=warnings,
    )


def read_own_file(path: Path) -> tuple[bytes, tuple[str, ...]]:
    """Return the content of a file that only this user can write, and warnings if others can read it.

    Checks the open file, so that it cannot be replaced between check and read. Raises `BridgeError` as
    `read_connection` does.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer forever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise BridgeError(
            "connection_file_missing", f"The connection file {path} no longer exists.", SHOW_KERNELS
        ) from None
    except PermissionError:
        raise _foreign(path, "this user may not read it") from None
    except OSError as error:
        raise malformed(path, error.strerror or "it cannot be opened") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise malformed(path, "it is not a regular file")
        warnings = _judge_owner(path, status)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:  # of files in /proc, and of disks that fail
        raise malformed(path, error.strerror or "it cannot be read") from None
    finally:
        os.close(descriptor)
    if len(content) > MAX_FILE_BYTES:
        raise malformed(path, f"it is larger than {MAX_FILE_BYTES} bytes")
    return content, warnings


async def listens(connection: Connection, bound: float = 1.0) -> bool:
    """Return whether anything accepts connections at the kernel's shell address.

    False proves that the kernel has ended, because its sockets close with its process. True does not prove that it
    is alive.
    """
    try:
        async with asyncio.timeout(bound):
            if connection.transport == "ipc":
                _, writer = await asyncio.open_unix_connection(f"{connection.ip}-{connection.ports['shell']}")
            else:
                _, writer = await asyncio.open_connection(connection.ip, connection.ports["shell"])
    except TimeoutError:
        return True  # no answer is not a refusal: the host may be slow, or the backlog full
    except (OSError, ValueError):  # ValueError: what no system takes for a name
        return False
    writer.close()
    return True


def stale(connection: Connection) -> BridgeError:
    """Return the error for a file at whose addresses nothing listens."""
    return BridgeError(
        "connection_file_stale",
        f"No kernel is listening at the ports in {connection.path.name}: it has ended without removing the file.",
        "Start the kernel again, then connect to its new file. " + SHOW_KERNELS,
    )


def _judge_owner(path: Path, status: os.stat_result) -> tuple[str, ...]:
    if sys.platform == "win32":  # uids and modes are meaningless there
        return ()
    if status.st_uid != os.getuid():
        raise _foreign(path, f"it belongs to user id {status.st_uid}, but this process runs as {os.getuid()}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _foreign(path, f"other users can write to it (mode {stat.S_IMODE(status.st_mode):o})")
    if status.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        mode = stat.S_IMODE(status.st_mode)
        return (
            f"Other users can read the kernel's key in {path.name} (mode {mode:o}): `chmod 600` closes it.",
        )
    return ()


def _judge_address(path: Path, file: _File) -> tuple[str, ...]:
    """Return warnings about an address. Raises `BridgeError` connection_file_foreign, if it is another user's here."""
    if file.transport == "ipc":
        ports = (file.shell_port, file.iopub_port, file.control_port, file.stdin_port, file.hb_port)
        if why := why_not_ours(file.ip, ports):
            raise _foreign(path, why)
        return ()
    if _is_here(file.ip):
        # The kernel may have ended, and its file stayed, or the file came with a checkout.
        if (user := foreign_listener(file.ip, file.shell_port)) is not None:
            raise _foreign(path, f"user id {user} listens on its port {file.shell_port}")
        return ()
    if not file.curve_publickey:
        return (
            f"Nothing is encrypted on the way to the kernel on {file.ip}: others may read all code and outputs.",
        )
    if path.parent != runtime_dir().resolve():
        return (f"The kernel is on {file.ip}, which this file names and not your Jupyter.",)
    return ()


def _foreign(path: Path, why: str) -> BridgeError:
    return BridgeError(
        "connection_file_foreign",
        f"Refusing the connection file {path}: {why}.",
        "Use a connection file that belongs to this user and that only this user can write.",
    )


def malformed(path: Path, why: str) -> BridgeError:
    """Return the error for what is no connection file."""
    return BridgeError(
        "connection_file_malformed",
        f"{path} is not a Jupyter connection file: {why}.",
        SHOW_KERNELS,
    )


def transport_encryption() -> Literal["auto", "disabled"]:
    """Return jupyter_client's setting for kernels that this package starts: encrypted if the kernel and ZeroMQ can."""
    import zmq  # noqa: PLC0415  # only where a kernel is started

    return "auto" if zmq.has("curve") else "disabled"
