"""`marimo-kernel-bridge` and `python -m marimo_kernel_bridge`: the command line.

The kernel starts without it: each import counts there, since a client waits for the sockets.
"""

import sys

from marimo_kernel_bridge.startup import gc_pauses as garbage


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["kernel"] and not {"-h", "--help"} & set(arguments):
        with garbage.not_looked_for():
            from marimo_kernel_bridge.zmq_kernel import main as kernel_main  # noqa: PLC0415  # only what the kernel needs

        kernel_main(arguments[1:])
        return
    if arguments[:1] == ["pool-server"]:
        from marimo_kernel_bridge.launch.pool.server import main as pool_main  # noqa: PLC0415  # as above

        pool_main(arguments[1:])
        return
    from marimo_kernel_bridge.cli.main import main as cli_main  # noqa: PLC0415  # see the module

    cli_main(prog_name="marimo-kernel-bridge")


if __name__ == "__main__":
    main()
