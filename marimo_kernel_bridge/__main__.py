"""`python -m marimo_kernel_bridge`: the command line. The kernel starts without it: each import counts there."""

import sys


def main() -> None:
    if sys.argv[1:2] == ["kernel"]:
        from marimo_kernel_bridge.zmq_kernel import main as kernel_main  # noqa: PLC0415  # only what the kernel needs

        kernel_main(sys.argv[2:])
        return
    from marimo_kernel_bridge.cli import main as cli_main  # noqa: PLC0415  # see the module

    cli_main()


if __name__ == "__main__":
    main()
