"""What is found for a sandbox, what is handed from outside to the kernel in it, and what a confined process goes on with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

from marimo_kernel_bridge.protocol.black_box import Process  # noqa: TC001  # msgspec needs it

if TYPE_CHECKING:
    from collections.abc import Mapping


ContainerEngine = Literal["podman", "docker"]


@dataclass(frozen=True)
class Found:
    """An engine that has an image: its program, the image's id, and which controllers hold its containers to limits."""

    engine: ContainerEngine
    program: str
    image: str
    counts: frozenset[str]
    maps_users: bool = False
    """Whether its containers have users of their own: podman without root."""
    one_user: bool = False
    """Whether there is one user alone in its containers, root, who is this one outside: podman, where no more are given to this user."""


@dataclass(frozen=True)
class Entered:
    """What a confined process goes on with. `sockets`: the descriptors that listen, by their ports."""

    sockets: Mapping[int, int] = field(default_factory=dict)
    user_namespace: bool = True
    """Whether the processes of this kernel are counted apart from the user's others."""
    holds: frozenset[str] = frozenset()
    """Names of the limits that the engine holds."""
    process: Process | None = None
    """The one that stands for the kernel outside, which has another number inside."""


class Prepared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was prepared outside, by this `version`. `sockets`: ports, as JSON has them, and descriptors; `connects`: code may connect by TCP.

    `proxy`: the descriptor of the connection to it, and its port; `places`: which folders are writable; `packages`: where some may be
    installed; `process`: the one that stands for the kernel outside. `sent`: the descriptors are sent, and this is the first process;
    `own_users`: the sandbox has users of its own.
    """

    version: str
    home: str
    variables: dict[str, str | None]
    sockets: dict[str, int]
    connects: bool
    proxy: tuple[int, int] | None
    holds: tuple[str, ...]
    places: tuple[tuple[str, int, int], ...]
    packages: str
    process: Process
    sent: bool = False
    own_users: bool = True
