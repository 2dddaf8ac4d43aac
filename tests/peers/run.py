"""Points other projects' own test suites at the marimo kernel, and at stock ipykernel for comparison.

`python tests/peers/run.py [SUITE ...]`, or `make peers`. Downloads the suites' sdists from PyPI, runs each suite twice
(once with stock ipykernel as `python3`, once with the marimo kernel under that name) in a process and an environment of
its own below `.build/peers`, and writes `.build/peers/results.json` and the tables of `docs/conformance.md`.

Rule of selection: a test counts if, run against stock ipykernel, it starts a kernel from the kernelspec or sends a
message to one (`recorder.py` watches). All others are about the suite's own Python objects. Exit status 1 if a
test fails on the marimo kernel only and `reasons.toml` does not say why.

A machine under load fails tests that look at a clock: what fails is run once more, on either kernel, and what then
passes counts as passed.
"""

# ruff: noqa: T201  # a command that prints

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path

from suites import SUITES, Suite

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / ".build" / "peers"
PYTHON = BUILD / "venv" / "bin" / "python"
PAGE = ROOT / "docs" / "conformance.md"
MARK = "<!-- written by make peers: {} -->"

KERNELS = {"stock": "ipykernel_launcher", "marimo": "marimo_kernel_bridge kernel"}
TEST_LIMIT = 120  # seconds; the suites have limits of their own for most tests


@dataclass
class Result:
    """What one suite made of one kernel: outcome and reason of each test, and which tests talk to a kernel."""

    outcomes: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    talk: list[str] = field(default_factory=list)
    not_collected: dict[str, str] = field(default_factory=dict)
    seconds: int = 0
    finished: bool = False


def environment() -> dict[str, str]:
    """Make the virtual environment once and return the versions in it."""
    wanted = "\n".join(("pytest", "pytest-timeout", *(name for suite in SUITES for name in suite.requires)))
    stamp = BUILD / "venv" / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", BUILD / "venv"], check=True)
        install = [PYTHON, "-m", "pip", "install", "--quiet", f"{ROOT}[demo]"]
        subprocess.run([*install, *sorted(set(wanted.splitlines()))], check=True)
        stamp.write_text(wanted)
    # A copy, which does not change while the suites run.
    install = [PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", ROOT]
    subprocess.run(install, check=True)
    listed = subprocess.run([PYTHON, "-m", "pip", "list", "--format=json"], check=True, capture_output=True)
    return {package["name"].lower(): package["version"] for package in json.loads(listed.stdout)}


def unpacked(suite: Suite, version: str) -> Path:
    """Download a suite's sdist, if it is not there, and unpack its tests afresh. Returns their folder."""
    sdists, name = BUILD / "sdists", f"{suite.name}-{version}"
    sdist = sdists / f"{name}.tar.gz"
    if not sdist.exists():
        # Only the sdist itself from source: with `:all:` pip would build its build tools from source too.
        download = [PYTHON, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", suite.name]
        subprocess.run([*download, "--dest", sdists, f"{suite.name}=={version}"], check=True)
    folder = BUILD / "suites" / name
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(sdist) as archive:
        kept = [
            member
            for member in archive.getmembers()
            if any(f"{member.name}/".startswith(f"{name}/{path}/") for path in suite.keep)
        ]
        archive.extractall(folder.parent, kept, filter="data")
    return folder


def kernelspec(kernel: str, log: Path) -> Path:
    """Write a Jupyter path in which `python3` is one of the `KERNELS`. Returns the path."""
    path = BUILD / "jupyter" / kernel
    folder = path / "kernels" / "python3"
    folder.mkdir(parents=True, exist_ok=True)
    installed = PYTHON.parents[1] / "share/jupyter/kernels" / {"stock": "python3", "marimo": "marimo"}[kernel]
    spec = json.loads((installed / "kernel.json").read_text())
    # The same name in both, for some tests compare it with what the suite's notebooks hold.
    spec["display_name"] = "Python 3 (ipykernel)"
    note = f'printf \'{{"event": "kernel", "test": "%s"}}\\n\' "${{PYTEST_CURRENT_TEST% (*}}" >> {shlex.quote(str(log))}'
    run = [str(PYTHON), "-m", *KERNELS[kernel].split(), "-f", "{connection_file}"]
    spec["argv"] = ["/bin/sh", "-c", f'{note}; exec "$@"', "sh", *run]
    (folder / "kernel.json").write_text(json.dumps(spec))
    return path


def judged(suite: Suite, kernel: str, folder: Path, tests: list[str]) -> Result:
    """Run tests of a suite, all if `tests` is empty, and those that fail a second time."""
    found = run(suite, kernel, folder, tests)
    if failed := [test for test in found.outcomes if found.outcomes[test] == "failed"]:
        again = run(suite, kernel, folder, failed, again=True)
        for test in failed:
            found.outcomes[test], found.why[test] = (
                again.outcomes.get(test, "failed"),
                again.why.get(test, ""),
            )
    print(f"{suite.name} on {kernel}: {found.seconds} s", flush=True)
    return found


def run(suite: Suite, kernel: str, folder: Path, tests: list[str], *, again: bool = False) -> Result:
    """Run tests of a suite once.

    A suite that hangs or crashes leaves the test it was in as failed, and those after it as never run.
    """
    logs = BUILD / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    name = f"{suite.name}-{kernel}" + ("-again" if again else "")
    log, printed = logs / f"{name}.jsonl", logs / f"{name}.txt"
    log.write_text("")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "JUPYTER"))}
    env |= {
        "JUPYTER_PATH": str(kernelspec(kernel, log)),
        "JUPYTER_PLATFORM_DIRS": "1",
        "PATH": f"{PYTHON.parent}:{env['PATH']}",
        "PEERS_LOG": str(log),
        "PYTHONPATH": str(HERE),
        "IPYTHONDIR": str(BUILD / "ipython"),
    }
    command = [str(PYTHON), "-m", "pytest", "-p", "recorder", "-o", f"timeout={TEST_LIMIT}"]
    command += ["-o", "timeout_method=signal", "--continue-on-collection-errors", "-p", "no:cacheprovider"]
    command += ["-o", "asyncio_default_fixture_loop_scope=function"]  # else a warning, which is an error here
    command += [f"--ignore={suite.tests}/{name}" for name, _ in suite.left_out]
    started = time.monotonic()
    with printed.open("w") as output:
        process = subprocess.Popen(
            [*command, *(tests or [suite.tests])],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(suite.limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return result(log, time.monotonic() - started)


def result(log: Path, seconds: float) -> Result:
    found, talk = Result(seconds=round(seconds)), set()
    for event in map(json.loads, log.read_text().splitlines()):
        match event:
            case {"event": "message" | "kernel", "test": test}:
                talk.add(test)
            case {"event": "start", "test": test}:
                found.outcomes[test], found.why[test] = "failed", "never ended"
            case {"event": "end", "test": test, "outcome": outcome, "why": why}:
                found.outcomes[test], found.why[test] = outcome, why
            case {"event": "not collected", "file": file, "why": why}:
                found.not_collected[file] = why
            case {"event": "finish"}:
                found.finished = True
    found.talk = sorted(talk & found.outcomes.keys())
    return found


def table(results: dict[str, dict[str, Result]], versions: dict[str, str], reasons: dict[str, str]) -> str:
    lines = ["| suite | tests that talk to a kernel | kernel | passed | failed | skipped | seconds |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for name, by_kernel in results.items():
        talk = by_kernel["stock"].talk
        for kernel, label in (("stock", "ipykernel"), ("marimo", "marimo")):
            outcomes = [by_kernel[kernel].outcomes.get(test, "failed") for test in talk]
            passed, failed = outcomes.count("passed"), outcomes.count("failed")
            first = f"{name} {versions[name]} | {len(talk)} of {len(by_kernel['stock'].outcomes)}"
            head = first if kernel == "stock" else " | "
            skipped = len(outcomes) - passed - failed
            lines.append(
                f"| {head} | {label} | {passed} | {failed} | {skipped} | {by_kernel[kernel].seconds} |"
            )
    lines += ["", "| suite | tests | ipykernel | marimo | why |", "|---|---|---|---|---|"]
    rows: dict[
        tuple[str, ...], list[str]
    ] = {}  # those of one file that fare alike for one reason share a row
    for name, by_kernel in results.items():
        for test in by_kernel["stock"].talk:
            stock, ours = (by_kernel[kernel].outcomes.get(test, "failed") for kernel in ("stock", "marimo"))
            if "failed" in (stock, ours) or stock != ours:
                file, _, short = test.rpartition("tests/")[2].partition("::")
                known = [why for begin, why in reasons.items() if f"{name}:{file}::{short}".startswith(begin)]
                why = "fails on both" if stock == ours else known[0] if known else "**unexplained**"
                rows.setdefault((name, file, stock, ours, why), []).append(short)
    for (name, file, stock, ours, why), tests in rows.items():
        which = f"::{tests[0]}`" if len(tests) == 1 else f"`: {len(tests)} tests"
        lines.append(f"| {name} | `{file}{which} | {stock} | {ours} | {why} |")
    return "\n".join(lines)


def write_page(text: str) -> None:
    begin, end = MARK.format("begin"), MARK.format("end")
    page = PAGE.read_text() if PAGE.exists() else f"{begin}\n{end}\n"
    before, _, rest = page.partition(begin)
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def main(names: list[str]) -> int:
    versions = environment()
    suites = [suite for suite in SUITES if not names or suite.name in names]
    reasons = tomllib.loads((HERE / "reasons.toml").read_text())
    kept = BUILD / "results.json"
    earlier = json.loads(kept.read_text()) if kept.exists() else {}
    for suite in suites:
        folder = unpacked(suite, suite.version or versions[suite.name])
        stock = judged(suite, "stock", folder, [])
        if not stock.talk:
            print(f"No test talked to a kernel; see {BUILD / 'logs'}.")
            return 1
        marimo = judged(suite, "marimo", folder, stock.talk)
        earlier[suite.name] = {"stock": asdict(stock), "marimo": asdict(marimo)}
        kept.write_text(json.dumps(earlier, indent=1))
    results = {
        suite.name: {kernel: Result(**value) for kernel, value in earlier[suite.name].items()}
        for suite in SUITES
        if suite.name in earlier
    }
    text = table(results, versions, reasons)
    write_page(text)
    print(text)
    return 1 if "**unexplained**" in text else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
