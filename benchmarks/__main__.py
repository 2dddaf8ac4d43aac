"""The command line of the benchmarks: which run, what is printed, what is written."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from benchmarks import reporting
from benchmarks.contenders import BUILD, prepare_kernelspecs
from benchmarks.measuring import SUBJECTS, Row, Settings, WrongResultError, say


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the kernel and its MCP server beside ipykernel, xeus-python, ipyflow, bare marimo and "
        "jupyter-mcp-server. Peers are installed into .build/peers. Ends with 1 if any result was wrong.",
        epilog="example: python -m benchmarks --only reactive,startup --profile",
    )
    parser.add_argument("--quick", action="store_true", help="less of everything: a look, not a measurement")
    parser.add_argument("--only", default=",".join(SUBJECTS), help=f"of {','.join(SUBJECTS)}")
    parser.add_argument("--rounds", type=int, help="rounds of interleaved measuring (default 5, quick 3)")
    parser.add_argument(
        "--profile", action="store_true", help="also profile the kernel and print where time goes"
    )
    parser.add_argument("--output", type=Path, default=BUILD / "benchmarks", help="where JSON and tables go")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="PYTHON",
        help="compare with the kernel of another checkout, by the interpreter of its environment, and with nothing else",
    )
    parser.add_argument(
        "--docs",
        action="store_true",
        help="put what was measured last into docs/performance.md, and measure nothing",
    )
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    if arguments.docs:
        reporting.write_docs(arguments.output)
        return 0
    chosen = arguments.only.split(",")
    if unknown := set(chosen) - set(SUBJECTS):
        say(f"There is no benchmark {', '.join(sorted(unknown))}: choose of {', '.join(SUBJECTS)}.")
        return 2
    settings = Settings(arguments.quick, arguments.rounds or (3 if arguments.quick else 5), arguments.profile)
    (BUILD / "benchmarks").mkdir(parents=True, exist_ok=True)
    prepare_kernelspecs(arguments.against)
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.against:
        return _compare(arguments.against, arguments.output, settings)
    failed = False
    for name in chosen:
        start = time.monotonic()
        say(f"{name} ", end="")
        try:
            rows: list[Row] = []
            for row in importlib.import_module(f"benchmarks.{name}").run(settings):
                rows.append(row)
                reporting.write(arguments.output, name, rows, settings)
        except WrongResultError as error:
            say(f" WRONG: {error}")
            failed = True
            continue
        say(f" {time.monotonic() - start:.0f} s")
        sys.stdout.write(reporting.table(rows) + "\n")
        sys.stdout.flush()
    if settings.profile:
        from benchmarks.profiling import profile  # noqa: PLC0415  # rarely

        sys.stdout.write(profile(arguments.output))
    return 1 if failed else 0


def _compare(python: Path, output: Path, settings: Settings) -> int:
    from benchmarks.versions import run_against  # noqa: PLC0415  # rarely

    rows: list[Row] = []
    for row in run_against(python, settings):
        rows.append(row)
        reporting.write(output, "versions", rows, settings)
    sys.stdout.write(reporting.table(rows) + "\n")
    return int(any(row.verdict == "missed" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
