"""What the person lets the kernels of agents have at most: their limits, their sandbox, their number, and where they work.

An agent that asks for nothing gets the ceiling; one that asks for more is refused, with the ceiling named. Starts nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from marimo_kernel_bridge.client.notebook_names import at_home
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.bounds import NO_BOUNDS, Bounds, amount_text
from marimo_kernel_bridge.protocol.written_bounds import bounds_of

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.client import KernelClient

_ONLY_THE_PERSON: Final = (
    "Only the person can change that: marimo-kernel-bridge mcp {}. Ask for less; do not work around it."
)


@dataclass(frozen=True)
class Ceilings:
    """The ceilings of one server. `folder` is where notebooks go, None: the working directory. `sessions` is how many kernels there may be."""

    bounds: Bounds = NO_BOUNDS
    folder: Path | None = None
    sessions: int | None = None

    @property
    def boxed(self) -> bool:
        """Whether all code of agents runs in a sandbox."""
        return self.bounds.sandbox is not None

    @property
    def root(self) -> Path:
        """The folder in which agents work."""
        return self.folder or Path.cwd()

    @property
    def confined_to(self) -> Path | None:
        """The folder beyond which nothing is written or read for agents, because their code can turn paths in it elsewhere."""
        return self.root if self.boxed else None

    def asked(self, limits: object, sandbox: object) -> Bounds:
        """Return the bounds of a kernel that an agent asks for. Raises `BridgeError`: bad_request, limit_exceeded."""
        wanted = bounds_of(limits, sandbox)
        if beyond := wanted.limits.beyond(self.bounds.limits):
            asked, most = wanted.limits.given(), self.bounds.limits.given()
            told = ", ".join(
                f"{name} {amount_text(name, asked[name])} (at most {amount_text(name, most[name])})"
                for name in beyond
            )
            raise BridgeError(
                "limit_exceeded",
                f"That is more than kernels of this server may have: {told}. Nothing was started.",
                _ONLY_THE_PERSON.format("--limits or --max-memory" if "memory" in beyond else "--limits"),
            )
        box, widest = wanted.sandbox, self.bounds.sandbox
        if box is not None and widest is not None:
            box = replace(box, engine=widest.engine) if box.engine == "auto" else box
            box = replace(box, image=box.image or widest.image)
            if wider := box.beyond(widest):
                raise BridgeError(
                    "limit_exceeded",
                    f"That sandbox is wider than that of this server's kernels in {', '.join(wider)}: they have "
                    f"{widest.told()}. Nothing was started.",
                    _ONLY_THE_PERSON.format("--sandbox"),
                )
        bounds = wanted.stricter(self.bounds)
        if bounds.sandbox is None or not self.boxed:
            return bounds
        root = str(self.root.resolve())
        return Bounds(bounds.limits, replace(bounds.sandbox, within=(*bounds.sandbox.within, root)))

    def place(self, path: str | None) -> str | None:
        """Return a path where the person let agents work, if their code is in a sandbox: such code may write there. None is its root.

        Raises `BridgeError`: not_allowed.
        """
        if not self.boxed:
            return path
        root = self.root.resolve()
        try:
            wanted = root if path is None else (root / at_home(path)).resolve()
        except (OSError, ValueError, RuntimeError):
            wanted = Path("/")
        if not wanted.is_relative_to(root):
            raise BridgeError(
                "not_allowed",
                f"Agents in this server's sandbox work in {root} and the folders in it; nothing was done.",
                _ONLY_THE_PERSON.format("--notebooks"),
            )
        return str(wanted)

    async def require_known(self, interpreter: str | None) -> None:
        """Raise `BridgeError` not_allowed for an interpreter that code in a sandbox could have written: it is started to be looked at."""
        if not self.boxed or interpreter is None:
            return
        from marimo_kernel_bridge.launch.kernelspecs import installed  # noqa: PLC0415  # a server starts without jupyter_client

        if interpreter not in {
            spec.interpreter for spec in await asyncio.to_thread(installed) if spec.reactive
        }:
            raise BridgeError(
                "not_allowed",
                "With a sandbox, an interpreter must be that of an installed kernelspec; nothing was started.",
                "list_kernelspecs has them. Only the person can install more: marimo-kernel-bridge install.",
            )

    def lacking(self, bounds: Bounds) -> tuple[str, ...]:
        """Return which of the sandbox's bounds a kernel does not keep; empty without a sandbox."""
        return bounds.lacking(Bounds(sandbox=self.bounds.sandbox))


async def bounds_kept_by(client: KernelClient) -> Bounds:
    """Return the bounds that a kernel says it is held to. Raises `BridgeError` if it does not answer."""
    if not client.info.reactive:
        return Bounds()
    description = await client.reads.describe()
    try:
        return bounds_of(description.limits, description.sandbox)
    except BridgeError:  # of a newer version
        return Bounds()


async def require_kept(client: KernelClient, bounds: Bounds) -> None:
    """Raise `BridgeError` limit_unavailable unless a kernel says that it is held to bounds: an older one knows nothing of them."""
    lacking = (await bounds_kept_by(client)).lacking(bounds) if bounds else ()
    if lacking:
        raise BridgeError(
            "limit_unavailable",
            f"The kernel is not held to {', '.join(lacking)}.",
            "Its environment may have an older marimo-kernel-bridge, or it was started without.",
        )
