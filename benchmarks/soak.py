"""Sessions under random kills of their kernels and of the server: `python -m benchmarks.soak [RUNS [SESSIONS [SEED]]]`.

Each run sets a variable of a session and looks at the answer. Now and then the notebook is saved and a checkpoint made; from then on
the file has the code, and a kernel that comes after a killed one has the value back. Ends with 1 for a wrong answer, saved state that
is lost, a call that hangs, or a kernel that is left over.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import BUILD
from benchmarks.measuring import WrongResultError, check, run_alone, say
from marimo_kernel_bridge.launch.pool.status import stop_pools
from marimo_kernel_bridge.launch.sessions.registry import Registry
from tests.mcp.stoppable import Server

_WORKERS = 4
_BOUND = 180.0
"""Seconds after which a call counts as hanging."""
_KILL_KERNEL, _SAVE, _KILL_SERVER = 0.01, 0.1, 0.002
"""How probable each is with a run,"""
_KERNELS, _SERVERS = 6, 3
"""and how many are killed, about, where so few runs would have none."""


@dataclass
class _Model:
    """What a session must be like."""

    handle: str
    path: Path
    value: int | None = None
    saved: int | None = None
    killed: bool = False


class _Soak:
    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self.environment = {"JUPYTER_DATA_DIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "r")}
        self.registry = Registry(folder / "marimo_kernel_bridge" / "sessions")
        self.random = random.Random(seed)  # noqa: S311  # not a secret
        self.counts: Counter[str] = Counter()
        self._servers = 0
        self._server: Server | None = None
        self._changing = asyncio.Lock()

    async def serve(self, ended: Server | None = None) -> Server:
        """Return a server that runs: another one if `ended` is the present one."""
        async with self._changing:
            if self._server is None or self._server is ended:
                if self._server is not None:
                    await self._server.close()
                self._servers += 1
                self._server = await Server(self._folder, self._servers, self.environment).start()
            return self._server

    async def call(self, tool: str, **arguments: object) -> dict[str, object]:
        """Call a tool, again with another server if the present one was killed, and if the kernel has no processor to answer in time.

        Raises AssertionError for a refusal.
        """
        server, begun = await self.serve(), time.monotonic()
        tries = 5
        while tries:
            tries -= 1
            try:
                async with asyncio.timeout(_BOUND):
                    return await server.call(tool, **arguments)
            except AssertionError as refusal:
                if "[kernel_silent]" not in str(refusal) or time.monotonic() - begun > _BOUND:
                    raise
                self.counts["calls that were told to wait"] += 1
                tries += 1
            except TimeoutError:
                raise WrongResultError(f"{tool} hangs: {arguments}") from None
            except Exception:  # noqa: BLE001  # whatever a client makes of a server that was killed
                server = await self.serve(server)
        raise WrongResultError(f"{tool} reaches no server")

    async def work(self, sessions: list[_Model], all_runs: int) -> None:
        for number in range(all_runs // _WORKERS):
            model = self.random.choice(sessions)
            if self.random.random() < max(_KILL_SERVER, _SERVERS / all_runs):
                (await self.serve()).kill()
                self.counts["killed servers"] += 1
            if self.random.random() < max(_KILL_KERNEL, _KERNELS / all_runs):
                self._kill_kernel(model)
            if model.killed:
                await self._again(model)
            await self._run(model, number)
            if self.random.random() < max(_SAVE, 4 * _KERNELS / all_runs):
                await self._save(model)

    def _kill_kernel(self, model: _Model) -> None:
        session = self.registry.get(model.handle)
        if session is not None and session.kernel is not None and session.kernel.runs:
            with suppress(ProcessLookupError):
                os.kill(session.kernel.pid, signal.SIGKILL)
            model.killed, model.value = True, None
            self.counts["killed kernels"] += 1

    async def _run(self, model: _Model, number: int) -> None:
        code = f"v = {number}\nprint('twice', v * 2)"
        answer = await self.call("execute_code", code=code, kernel=model.handle, timeout=_BOUND / 2)
        check(f"twice {number * 2}" in str(answer["text"]), f"{code!r} said {str(answer['text'])[:300]}")
        model.value = number
        self.counts["runs"] += 1

    async def _save(self, model: _Model) -> None:
        await self.call("save_notebook", kernel=model.handle)
        await self.call("save_checkpoint", name="soak", kernel=model.handle)
        model.saved = model.value
        self._check_file(model)
        self.counts["saved"] += 1

    def _check_file(self, model: _Model) -> None:
        cells = json.loads(model.path.read_text())["cells"]
        there = any(f"v = {model.saved}\n" in "".join(cell["source"]) for cell in cells)
        check(there, f"{model.path} has no v = {model.saved}")

    async def _again(self, model: _Model) -> None:
        """Open a session whose kernel was killed, and look whether its saved state is there."""
        await self.call("open_notebook", notebook=model.handle)
        if model.saved is not None:
            await self.call("restore_checkpoint", name="soak", kernel=model.handle)
            answer = await self.call(
                "execute_code", code="print('was', v)", scratch=True, kernel=model.handle
            )
            check(
                f"was {model.saved}" in str(answer["text"]),
                f"lost {model.saved}: {str(answer['text'])[:300]}",
            )
            self.counts["restored"] += 1
        model.killed = False

    async def run(self, runs: int, sessions: int) -> None:
        models = []
        for number in range(sessions):
            made = await self.call("create_notebook", name=f"n{number}", ttl=600)
            models.append(_Model(str(made["kernel"]), Path(str(made["path"]))))
        say(f"[{sessions} sessions]", end="")
        shares = [models[worker::_WORKERS] for worker in range(_WORKERS)]
        await asyncio.gather(*(self.work(share, runs) for share in shares if share))
        listed = await self.call("list_notebooks")
        check(len(listed["notebooks"]) == sessions, "a session is lost")  # type: ignore[arg-type]  # JSON
        for model in models:
            await self.call("close_notebook", notebook=model.handle, save=not model.killed)
        left = [session.id for session in self.registry.all() if session.state == "active"]
        check(not left, f"kernels are left: {left}")

    async def close(self) -> None:
        for session in self.registry.all():
            if session.kernel is not None and session.kernel.runs:
                os.kill(session.kernel.pid, signal.SIGKILL)
        if self._server is not None:
            await self._server.close()


async def _soak(runs: int, sessions: int, seed: int) -> Counter[str]:
    folder = BUILD / "soak"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "r").mkdir(parents=True)
    soak = _Soak(folder, seed)
    try:
        await soak.run(runs, sessions)
    except BaseException:
        say(f" {dict(soak.counts)}", end="")
        raise
    finally:
        await soak.close()
        os.environ.update(soak.environment)  # where the pool is
        stop_pools()
    return soak.counts


def main() -> int:
    runs, sessions, seed = [*map(int, sys.argv[1:]), *(10_000, 20, 0)[len(sys.argv) - 1 :]]
    begun = time.monotonic()
    try:
        counts = run_alone(_soak(runs, sessions, seed))
    except (WrongResultError, AssertionError) as error:
        say(f" WRONG after {time.monotonic() - begun:.0f} s: {error}")
        return 1
    facts = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    say(f" {facts} in {time.monotonic() - begun:.0f} s: no wrong answer, nothing that was saved is lost.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
