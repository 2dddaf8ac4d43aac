"""Do what `pip install` does, in a third of the time: with uv, or with pip where uv cannot do it.

    ENVIRONMENT/bin/python tests/house/pip_install.py ARGUMENTS OF PIP INSTALL

`make install` and `make demo` call it on a new environment, so it needs Python and pip alone: pip fetches uv, and uv
is told where pip's settings say that packages come from. A setting that uv has no word for is left to pip.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

TOOLS = Path(".build/uv")
PIP = [sys.executable, "-m", "pip"]
PROJECT = "marimo-kernel-bridge"

REPEATED = {
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "index-url": "--default-index",
    "trusted-host": "--allow-insecure-host",
}
"""Settings of pip with one or more values -> uv's option for each value."""

VARIABLES = {"cert": "SSL_CERT_FILE", "constraint": "UV_CONSTRAINT", "proxy": "ALL_PROXY"}
"""Settings of pip -> the variable that uv reads."""

NO_MATTER = {
    *("cache-dir", "config-file", "default-timeout", "disable-pip-version-check", "no-cache-dir"),
    *("no-color", "no-input", "no-warn-script-location", "progress-bar", "quiet", "require-virtualenv"),
    *("retries", "root-user-action", "timeout", "verbose"),
}
"""Settings of pip that do not change what is installed."""


class NotWithUvError(Exception):
    """uv cannot be had, or cannot do what pip would do."""


def main(arguments: list[str]) -> int:
    """Install; return the exit code."""
    try:
        with_uv(arguments)
    except NotWithUvError as error:
        sys.stderr.write(f"{error} Installing with pip, which takes longer.\n")
        run([*PIP, "install", "--quiet", "--upgrade", "pip"])
        return run([*PIP, "install", "--quiet", *arguments])
    return 0


def with_uv(arguments: list[str]) -> None:
    """Install with uv. Raises `NotWithUvError`."""
    options, variables = as_uv_says(pip_settings())
    uv = TOOLS / "bin/uv"
    if not uv.exists() and run([*PIP, "install", "--quiet", "--target", str(TOOLS), "uv>=0.8"]) != 0:
        raise NotWithUvError("pip found no uv that runs here.")
    # Like pip, which builds a folder anew even if its version is installed
    command = [
        str(uv),
        "pip",
        "install",
        "--quiet",
        "--python",
        sys.executable,
        "--reinstall-package",
        PROJECT,
    ]
    if run([*command, *options, *arguments], variables) != 0:
        raise NotWithUvError("uv could not install it.")


def pip_settings() -> dict[str, str]:
    """Return pip's settings for `pip install`, from its files and variables."""
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True).stdout
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, setting = name.rpartition(".")
        if section in sections:
            sections[section][setting] = ast.literal_eval(value)
    return sections["global"] | sections["install"] | sections[":env:"]


def as_uv_says(settings: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the options and variables that tell uv these settings of pip. Raises `NotWithUvError`."""
    options, variables = [], {}
    for setting, value in settings.items():
        if setting in REPEATED:
            options += [f"{REPEATED[setting]}={one}" for one in value.split()]
        elif setting in VARIABLES:
            variables[VARIABLES[setting]] = " ".join(value.split())  # pip's lists may have lines
        elif setting not in NO_MATTER:
            raise NotWithUvError(f"uv has no word for pip's setting {setting}.")
    if "extra-index-url" in settings:
        options.append("--index-strategy=unsafe-best-match")  # the newest of all indexes, as pip takes it
    return options, variables


def run(command: list[str], variables: dict[str, str] | None = None) -> int:
    """Run a command with more variables; return its exit code."""
    try:
        return subprocess.run(command, env=os.environ | (variables or {}), check=False).returncode
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
