"""The packages that code in a sandbox installs: an environment of its own over the kernel's, in a folder that an equal sandbox alone uses.

It is one as `python -m venv` makes them, which sees the kernel's packages, too: pip and uv install there what is missing or older,
and leave the rest alone. Made from within the sandbox, where it can do no harm: what code has left in the folder is its own.
"""

from __future__ import annotations

import hashlib
import os
import site
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from marimo_kernel_bridge.protocol.environment import OVERLAY_VARIABLE

_SEES: Final = "_packages_of_the_kernel.pth"


def use(folder: str) -> dict[str, str | None]:
    """Make the environment, and have this process find what is in it before its own packages; return variables. Raises `OSError`."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = os.path.realpath(sys.executable)
    digest = hashlib.sha256(f"{sys.prefix}\n{base}\n{sys.version}".encode()).hexdigest()[:12]
    top = Path(folder, f"{version}-{digest}")
    packages, programs = top / "lib" / version / "site-packages", top / "bin"
    python = programs / "python"
    for made in (packages, programs):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    (top / "pyvenv.cfg").write_text(f"home = {os.path.dirname(base)}\ninclude-system-site-packages = false\n")  # noqa: PTH120
    with suppress(FileExistsError):
        python.symlink_to(base)
    # Only where this environment's interpreter runs: the kernel has read these already.
    theirs = [path for path in _site_packages() if path != str(packages)]
    (packages / _SEES).write_text(
        f"import site, sys; sys.prefix == {str(top)!r} and list(map(site.addsitedir, {theirs!r}))\n"
    )
    _put_first(str(packages), theirs)
    return {
        OVERLAY_VARIABLE: str(python),
        "PIP_PYTHON": str(python),
        "UV_PYTHON": str(python),
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PATH": os.pathsep.join((str(programs), os.environ.get("PATH", os.defpath))),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(packages), os.environ.get("PYTHONPATH")))),
    }


def _site_packages() -> list[str]:
    """Return the folders of packages of this interpreter."""
    named = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return [path for path in named if path in sys.path]


def _put_first(packages: str, others: list[str]) -> None:
    before = list(sys.path)
    site.addsitedir(packages)  # which reads its .pth files
    new = [path for path in sys.path if path not in before]
    at = min((before.index(path) for path in others), default=len(before))
    sys.path[:] = [*before[:at], *new, *before[at:]]
