"""A process that works on what kernels send, with limits of time and memory: hostile data holds up nobody else.

Owns one process: its start, one request at a time, and its end, also when nobody has needed it for a while. `work` is what the process does. Only JSON and texts come back, so that a decoder that was taken over gains nothing here.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import CODES, BridgeError, ErrorCode
from marimo_kernel_bridge.mcp_server.media.framing import LENGTH, length_of, read, written
from marimo_kernel_bridge.protocol.own_python import python_command, python_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

BOUND: Final = 20.0
"""Seconds of processor time that one piece of work may take."""

_UNDER_LOAD: Final = 10.0
"""Times its bound that a piece of work may take by the clock: other processes may need the processors."""

_LEAST: Final = 60.0
"""Seconds by the clock that each may take, the start of the process included."""

_IDLE: Final = 300.0
_LARGEST: Final = 500_000_000


class Worker:
    """A process; it starts with the first piece of work."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()
        self._ending: asyncio.TimerHandle | None = None

    async def do(self, task: str, bound: float, **arguments: Any) -> Any:  # JSON
        """Return what a task of `work` returns. Raises `BridgeError`: too_large, and what the task raises.

        `bound`: seconds of processor time. Windows cannot limit it; there they are seconds by the clock.
        """
        by_the_clock = bound if sys.platform == "win32" else max(_LEAST, _UNDER_LOAD * bound)
        async with self._one_at_a_time:
            if self._ending is not None:
                self._ending.cancel()
            try:
                async with asyncio.timeout(by_the_clock):
                    answer = await self._exchange({"task": task, "seconds": bound, "arguments": arguments})
            except (TimeoutError, OSError, EOFError):
                await self.close()
                raise BridgeError(
                    "too_large",
                    f"Reading what the kernel sent took more than {bound:g} s of processor time or too much memory.",
                    "Have the kernel show less of it: a part of the text, a smaller figure.",
                ) from None
            except BaseException:  # cancelled: its answer would be taken for that of the next request
                await self.close()
                raise
            self._ending = asyncio.get_running_loop().call_later(_IDLE, self._kill)
        if "refused" in answer:
            raise _refusal(answer["refused"])
        return answer["result"]

    async def close(self) -> None:
        """End the process."""
        if self._ending is not None:
            self._ending.cancel()
        process = self._kill()
        if process is not None:
            await process.wait()

    def _kill(self) -> asyncio.subprocess.Process | None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
        return process

    async def _exchange(self, request: dict[str, Any]) -> Any:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *python_command("-m", "marimo_kernel_bridge.mcp_server.media.work"),
                env=python_environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        to, answers = self._process.stdin, self._process.stdout
        assert to is not None
        assert answers is not None
        to.write(written(request))
        await to.drain()
        length = length_of(await answers.readexactly(LENGTH))
        if length > _LARGEST:
            raise EOFError
        return read(await answers.readexactly(length))


def _refusal(refused: Mapping[str, str]) -> BridgeError:
    code: ErrorCode = refused["code"] if refused["code"] in CODES else "bad_request"  # type: ignore[assignment]  # narrowed by the test against CODES
    return BridgeError(code, refused["message"], refused["hint"])
