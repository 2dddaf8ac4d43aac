"""Run all tests again and again where they are most likely to fail: in random order, while a processor computes.

    python tests/hard.py TIMES [arguments of pytest]

Prints the seed of each run; `pytest -p randomly --randomly-seed=SEED` is that order again. Ends with the first
failure.
"""

import random
import subprocess
import sys
import time

from click import echo

COMPUTES = "while True: pass"


def main(times: int, arguments: list[str]) -> int:
    """Return the exit code of the first run that failed, or 0."""
    with subprocess.Popen([sys.executable, "-c", COMPUTES]) as burner:
        try:
            for turn in range(1, times + 1):
                seed = random.randrange(2**32)
                echo(f"Run {turn} of {times}, seed {seed}")
                begun = time.monotonic()
                command = [
                    sys.executable,
                    "-m",
                    "pytest",
                    "-p",
                    "randomly",
                    f"--randomly-seed={seed}",
                    *arguments,
                ]
                code = subprocess.run(command, check=False).returncode
                echo(
                    f"Run {turn} of {times}, seed {seed}: exit code {code} after {time.monotonic() - begun:.0f} s"
                )
                if code:
                    return code
        finally:
            burner.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
