"""Virtual environments that take little time to make, and packages to install into them without a network."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path


def make_environment(directory: Path, *, with_bridge: bool = True) -> Path:
    """Make a virtual environment that sees what this one has, or nothing; returns its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    python = directory / "bin/python"
    if with_bridge:
        site = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        here = Path(__file__).parents[2]
        (directory / site / "this.pth").write_text(f"{here}\n{sysconfig.get_path('purelib')}\n")
    return python


def make_wheel(directory: Path, name: str, version: str, code: str = "") -> None:
    """Write a wheel of one module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code or f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in (files | {f"{info}/RECORD": record}).items():
            wheel.writestr(path, text)
