"""Where Chromium is and how it is started: headless, quiet on the network, as Debian packages it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Playwright

FLAGS = [
    "--no-sandbox",  # Chromium refuses to run as root with its sandbox, and CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_TIMEOUT_MS = 120_000
"""For the start, for pages to load and for clicks, on a machine that computes something else."""


class ChromiumMissingError(Exception):
    def __init__(self) -> None:
        super().__init__(
            "There is no Chromium on PATH, and the browser tests need one. "
            "Install it (Debian: apt-get install -y chromium) or set CHROMIUM to its path."
        )


def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium; never the one that Playwright downloads."""
    return playwright.chromium.launch(executable_path=_path(), args=FLAGS)


def launch_with_profile(playwright: Playwright, profile: Path) -> BrowserContext:
    """Start it with a profile on disk, where it keeps the code that it has compiled: Lab opens with less work."""
    context = playwright.chromium.launch_persistent_context(
        profile,
        executable_path=_path(),
        args=FLAGS,
        viewport={"width": 1280, "height": 900},
        timeout=_TIMEOUT_MS,
    )
    context.set_default_timeout(_TIMEOUT_MS)
    return context


def _path() -> str:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise ChromiumMissingError
    return path
