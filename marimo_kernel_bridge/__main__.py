"""The entry point of `marimo-kernel-bridge` and `python -m marimo_kernel_bridge`.

The kernel starts without the command line's imports, because a client waits for its sockets.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `python -m` puts the working directory first on the path, and its `json.py` would run in place of Python's.
    # Kernelspecs and our own command lines have `-P`; without it, a folder `marimo_kernel_bridge` there has already run.
    try:
        _here = os.getcwd()  # noqa: PTH109  # pathlib is not imported from there
    except OSError:  # removed: Python has not put it on the path
        _here = ""
    if sys.path[0] in {"", _here}:
        del sys.path[0]

TYPE_CHECKING = False  # `typing` is slow to import: for nothing, where a process executes itself again
if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.sandbox.prepared import Entered


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["kernel"] and not {"-h", "--help"} & set(arguments):
        run_kernel(arguments[1:])
    elif arguments[:1] == ["sandboxed-kernel"]:
        from marimo_kernel_bridge.sandbox.inside import entered  # noqa: PLC0415  # only this process

        run_kernel(arguments[2:], entered=entered(arguments[1]))
    elif arguments[:1] == ["pool-server"]:
        from marimo_kernel_bridge.launch.pool.server import main as serve_pool  # noqa: PLC0415  # only this process

        serve_pool(arguments[1:], run_kernel)
    elif arguments[:1] == ["viewer-process"]:
        from marimo_kernel_bridge.launch.viewer.process import main as view_files  # noqa: PLC0415  # only this process

        view_files(arguments[1:])
    else:
        from marimo_kernel_bridge.cli.main import main as run_command  # noqa: PLC0415  # only this process

        run_command(prog_name="marimo-kernel-bridge")


def run_kernel(
    arguments: list[str], *, forked: Callable[[], None] | None = None, entered: Entered | None = None
) -> None:
    """Run a kernel; `forked`: in a process that a pool has forked, called when the sockets are open.

    `entered` is the sandbox that the process is in already.
    """
    bounds = opened = process = None
    asking = [argument for argument in arguments if _asks_for_bounds(argument)]
    if asking:
        if forked is None and entered is None and "--sandbox" in {each.partition("=")[0] for each in asking}:
            from marimo_kernel_bridge.sandbox.variables import leave_secrets, name_an_image, named_in  # noqa: PLC0415  # these alone

            if not name_an_image(asking):  # whose engine needs its own settings, outside
                leave_secrets(named_in(arguments))
        from marimo_kernel_bridge.kernel.limits.starting import bounded  # noqa: PLC0415  # kernels with bounds only

        arguments, bounds, entered = bounded(arguments, asking, forked=forked is not None, entered=entered)
        if entered is not None:
            opened, process = entered.sockets, entered.process
    from marimo_kernel_bridge.startup import gc_pauses  # noqa: PLC0415  # not where a process executes itself again

    with gc_pauses.frozen_imports():
        from marimo_kernel_bridge.zmq_kernel import main as kernel_main  # noqa: PLC0415  # only what the kernel needs

    kernel_main(arguments, forked=forked, bounds=bounds, opened=opened, process=process)


def _asks_for_bounds(argument: str) -> bool:
    """Return whether an argument asks for limits or a sandbox, or might be meant to: ipykernel ignores what it does not know."""
    name = argument.lstrip("-").partition("=")[0].rpartition(".")[2].lower()
    like = (len({*name} & {*"limits"}) > 3 and len(name) < 9) or (  # noqa: PLR2004  # `--matplotlib` is not
        len({*name} & {*"sandbox"}) > 4 and len(name) < 11  # noqa: PLR2004
    )
    return argument.startswith("-") and like


if __name__ == "__main__":
    main()
