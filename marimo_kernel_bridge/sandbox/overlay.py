"""The packages that code in a sandbox installs: an environment of its own over the kernel's, in a folder that an equal sandbox alone uses.

It is one as `python -m venv` makes them, which sees the kernel's packages, too: pip and uv install there what is missing or older,
and leave the rest alone. Made from within the sandbox, where it can do no harm: what code has left in the folder is its own.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import site
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import Final

from marimo_kernel_bridge.protocol.environment import OVERLAY_VARIABLE

_SEES: Final = "_packages_of_the_kernel.pth"


def use(folder: str) -> dict[str, str | None]:
    """Make the environment, and have this process find what is in it before its own packages; return variables. Raises `OSError`."""
    base = os.path.realpath(sys.executable)
    # The same for all updates of this Python, which see the same packages.
    kind = sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag
    digest = hashlib.sha256(f"{sys.prefix}\n{base}\n{kind}".encode()).hexdigest()[:12]
    top = Path(folder, f"python{sys.version_info.major}.{sys.version_info.minor}-{digest}")
    packages = Path(sysconfig.get_path("purelib", "posix_prefix", {"base": str(top)}))
    programs = top / "bin"
    python = programs / "python"
    for made in (packages, programs):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(
        top / "pyvenv.cfg",
        f"home = {os.path.dirname(base)}\ninclude-system-site-packages = false\n",  # noqa: PTH120
    )
    with suppress(FileExistsError):
        python.symlink_to(base)
    # Only where this environment's interpreter runs: the kernel has read these already.
    theirs = [path for path in _site_packages() if path != str(packages)]
    _write(
        packages / _SEES,
        f"import site, sys; sys.prefix == {str(top)!r} and list(map(site.addsitedir, {theirs!r}))\n",
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


def _write(path: Path, text: str) -> None:
    """Write a small file in one go: a Python that another kernel starts meanwhile reads the one before, or this one."""
    with suppress(OSError, ValueError):
        if path.read_text() == text:
            return
    beside = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    beside.write_text(text)
    beside.replace(path)


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
