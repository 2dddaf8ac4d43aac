"""The bounds of a kernel as values: limits of what it may use, and the sandbox that it runs in.

They are compared by what they allow: the stricter of two, or what goes beyond a ceiling. `written_bounds` reads what people and
agents write. Holds no process to them: that do `kernel.limits` and the sandbox.
"""

from __future__ import annotations

import hashlib
import math
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from marimo_kernel_bridge.errors import BridgeError

_Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 60)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 30)]
_Path = Annotated[str, msgspec.Meta(pattern=r"\A/[^\x00-\x1f\x7f]{0,1000}\Z")]
_Host = Annotated[
    str, msgspec.Meta(pattern=r"\A(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?(?::[0-9]{1,5})?\Z")
]
_Image = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._/:@-]{0,255}\Z")]
_Variable = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_]{0,200}\Z")]
_MANY: Final = msgspec.Meta(max_length=100)

Engine = Literal["auto", "light", "bubblewrap", "podman", "docker"]
Network = Literal["none", "all"] | tuple[str, ...]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a kernel may use; None: as much as there is.

    Bytes: `memory` of each process, `file_size` of one file, `temporary` of all temporary files. `cpu_seconds` of the kernel's
    whole life, `cell_seconds` of one run of a cell, and `grace_seconds` from its interrupt to the kernel's end.
    `processes` counts threads, too. After `idle_seconds` without a request the kernel ends itself.
    """

    memory: _Size | None = None
    cpu_seconds: _Seconds | None = None
    cell_seconds: _Seconds | None = None
    grace_seconds: _Seconds | None = None
    processes: _Count | None = None
    open_files: _Count | None = None
    file_size: _Size | None = None
    temporary: _Size | None = None
    idle_seconds: _Seconds | None = None

    def given(self) -> dict[str, float]:
        """Return the limits that there are, by name."""
        found = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in found if value is not None}

    def stricter(self, other: Limits) -> Limits:
        """Return the lower one of each limit."""
        mine, others = self.given(), other.given()
        lower = {
            name: min(mine.get(name, math.inf), others.get(name, math.inf)) for name in {**mine, **others}
        }
        return msgspec.convert(lower, Limits)

    def beyond(self, ceiling: Limits) -> tuple[str, ...]:
        """Return which limits are higher than those of a ceiling."""
        most = ceiling.given()
        return tuple(name for name, value in self.given().items() if value > most.get(name, math.inf))

    def told(self) -> str:
        """Return all limits in words, "" if there are none."""
        return ", ".join(f"{name} {amount_text(name, value)}" for name, value in self.given().items())


class Sandbox(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a kernel runs, and what its code reaches.

    `network`: none, all, or a list of hosts. `files`: none; `folder`, the notebook's folder alone, which is writable; or `read`,
    besides that everything else to read. `writable` are more folders that can be written, `environment` variables that are let
    through. `packages`: pip may install, into an overlay. `image`: of a container, for podman and docker. `within`: a kernel whose working
    directory is not in each of these folders is not started: code in a sandbox may move folders while another kernel starts.
    """

    engine: Engine = "auto"
    network: Literal["none", "all"] | Annotated[tuple[_Host, ...], _MANY] = "none"
    files: Literal["none", "folder", "read"] = "folder"
    image: _Image | None = None
    writable: Annotated[tuple[_Path, ...], _MANY] = ()
    environment: Annotated[tuple[_Variable, ...], _MANY] = ()
    packages: bool = False
    within: Annotated[tuple[_Path, ...], _MANY] = ()

    @property
    def key(self) -> str:
        """A name of what its code reaches: what one sandbox has saved, another one with the same key may load."""
        parts = (
            self.network if isinstance(self.network, str) else sorted(self.network),
            self.files,
            self.image,
            sorted(self.writable),
            sorted(self.environment),
            self.packages,
        )
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]

    def stricter(self, other: Sandbox) -> Sandbox:
        """Return a sandbox in which code reaches only what it reaches in both. Raises `BridgeError`: bad_request."""
        return Sandbox(
            _same("engine", self.engine, other.engine, free="auto"),
            _in_both(self.network, other.network),
            min(self.files, other.files, key=_FILES.index),
            _same("image", self.image, other.image, free=None),
            # No folder below one of them: what is below, code can make a link to elsewhere.
            tuple(path for path in self.writable if path in other.writable),
            tuple(name for name in self.environment if name in other.environment),
            self.packages and other.packages,
            tuple(dict.fromkeys((*self.within, *other.within))),
        )

    def beyond(self, ceiling: Sandbox) -> tuple[str, ...]:
        """Return in which respects its code reaches more than a ceiling allows, or something else holds it."""
        more = {
            "engine": ceiling.engine not in {"auto", self.engine},
            "network": not _covers(ceiling.network, self.network),
            "files": _FILES.index(self.files) > _FILES.index(ceiling.files),
            "image": self.image != ceiling.image,
            "writable": not set(self.writable) <= set(ceiling.writable),
            "environment": not set(self.environment) <= set(ceiling.environment),
            "packages": self.packages and not ceiling.packages,
        }
        return tuple(name for name, is_more in more.items() if is_more)

    def told(self) -> str:
        """Return the sandbox in words."""
        network = self.network if isinstance(self.network, str) else ", ".join(self.network) or "none"
        parts: list[str] = [] if self.engine == "auto" else [self.engine]
        parts += [f"network {network}", f"files {self.files}"]
        parts += [f"image {self.image}"] if self.image else []
        parts += [f"writable {', '.join(self.writable)}"] if self.writable else []
        parts += ["packages"] if self.packages else []
        return "; ".join(parts)


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits and sandbox of a kernel. False if there are none."""

    limits: Limits = Limits()
    sandbox: Sandbox | None = None

    def __bool__(self) -> bool:
        return self != Bounds()

    def stricter(self, other: Bounds) -> Bounds:
        """Return bounds within both. Raises `BridgeError`: bad_request, where no sandbox is within both."""
        sandbox = self.sandbox or other.sandbox
        if self.sandbox is not None and other.sandbox is not None:
            sandbox = self.sandbox.stricter(other.sandbox)
        return Bounds(self.limits.stricter(other.limits), sandbox)

    def lacking(self, ceiling: Bounds) -> tuple[str, ...]:
        """Return which bounds of a ceiling these do not keep: missing ones, too."""
        mine = self.limits.given()
        looser = [name for name, most in ceiling.limits.given().items() if mine.get(name, math.inf) > most]
        if ceiling.sandbox is None:
            return tuple(looser)
        if self.sandbox is None:
            return (*looser, "sandbox")
        return (*looser, *(f"sandbox.{name}" for name in self.sandbox.beyond(ceiling.sandbox)))

    def texts(self) -> dict[str, str]:
        """Return limits and sandbox as JSON, "" for none."""
        return {
            "limits": _json(self.limits) if self.limits != Limits() else "",
            "sandbox": "" if self.sandbox is None else _json(self.sandbox),
        }

    def arguments(self) -> list[str]:
        """Return the kernel's arguments that ask for these bounds."""
        return [f"--{name}={text}" for name, text in self.texts().items() if text]

    def told(self) -> str:
        """Return the bounds in words, "" if there are none."""
        sandbox = "" if self.sandbox is None else f"sandbox: {self.sandbox.told()}"
        return " · ".join(filter(None, (self.limits.told(), sandbox)))


NO_BOUNDS: Final = Bounds()
MOST_PROCESSES: Final = 4096
"""Processes and threads of a kernel in a sandbox, where nothing else is asked for: more than honest work starts, and less than stops a machine."""


class Exceeded(NamedTuple):
    """A limit that was hit: its name, and a sentence for the cell's output."""

    limit: str
    told: str


_FILES: Final = ("none", "folder", "read")

IN_BYTES: Final = {"memory": 256_000_000, "file_size": 10_000_000, "temporary": 1_000_000}
"""Limits in bytes, and the least of each with which a kernel works; the same for those in seconds, and for numbers."""
IN_SECONDS: Final = {"cpu_seconds": 10.0, "cell_seconds": 0.1, "grace_seconds": 0.1, "idle_seconds": 1.0}
COUNTED: Final = {"processes": 32, "open_files": 128}


def amount_text(name: str, value: float) -> str:
    """Return the amount of a limit in words."""
    if name in IN_BYTES:
        return f"{value / 1e9:.4g} GB" if value >= 1e9 else f"{value / 1e6:.4g} MB"  # noqa: PLR2004
    if name in IN_SECONDS:
        return f"{value:g} s" if value < 3600 else f"{value / 3600:.4g} h"  # noqa: PLR2004
    return f"{value:g}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _same(
    what: str, one: Any, other: Any, *, free: Any
) -> Any:  # two values of one field, of the field's type
    if one in {free, other}:
        return other
    if other == free:
        return one
    raise BridgeError("bad_request", f"No sandbox has both the {what} {one} and {other}.")


def _in_both(one: Network, other: Network) -> Network:
    if "none" in {one, other}:
        return "none"
    if "all" in {one, other}:
        return other if one == "all" else one
    hosts = (*(host for host in one if _names(other, host)), *(host for host in other if _names(one, host)))
    return tuple(dict.fromkeys(hosts)) or "none"


def _covers(allowed: Network, asked: Network) -> bool:
    if allowed == "all" or asked in {"none", ()}:
        return True
    return asked != "all" and allowed != "none" and all(_names(allowed, host) for host in asked)


def _names(hosts: Network, host: str) -> bool:
    """Return whether a list names a host or pattern (`*.pypi.org`), or a pattern of it covers that."""
    name, _, port = host.lower().partition(":")
    for allowed in hosts:
        known, _, at = allowed.lower().partition(":")
        below = known.startswith("*.") and name.removeprefix("*").endswith(known[1:]) and name != known[1:]
        if (known == name or below) and at in {"", port}:
            return True
    return False
