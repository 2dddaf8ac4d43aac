"""Where Chromium is and how it is started: headless, quiet on the network, as Debian packages it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

FLAGS = [
    "--no-sandbox",  # Chromium refuses to run as root with its sandbox, and CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class ChromiumMissingError(Exception):
    def __init__(self) -> None:
        super().__init__(
            "There is no Chromium on PATH, and the browser tests need one. "
            "Install it (Debian: apt-get install -y chromium) or set CHROMIUM to its path."
        )


def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium; never the one that Playwright downloads."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise ChromiumMissingError
    return playwright.chromium.launch(executable_path=path, args=FLAGS)
