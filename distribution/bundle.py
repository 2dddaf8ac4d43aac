"""What MCP hosts and registries take: the `.mcpb` bundle of a wheel, and `server.json` for its version.

`python distribution/bundle.py [WHEEL [FOLDER]]` writes both to `.build/bundle`, of a wheel that it builds if none is named. A host that
opens the bundle lets uv make the environment from the wheel inside and from an index; nothing is published for it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / ".build" / "bundle"
NAME: Final = "marimo-kernel-bridge"
_DESCRIPTION: Final = "Joins the Jupyter kernel of the notebook that you have open: reactive cells, variables, edits that you can undo."
_PERMISSIONS: Final = (
    "read: look. propose: changes that you accept or reject. edit: change cells, which run only when you run them. scratch: run "
    "code outside of the notebook's cells. run: run cells. all: start and stop kernels, install packages without asking."
)
_ENTRY: Final = '''"""Starts the MCP server of this bundle."""

from marimo_kernel_bridge.__main__ import main

main()
'''


def version_of(wheel: Path) -> str:
    """Return the version in a wheel's name."""
    return wheel.name.split("-")[1]


def semantic(version: str) -> str:
    """Return a version as bundles have it: three numbers, and what comes before a release behind a hyphen."""
    numbers, _, rest = re.sub(r"\.?(dev|a|b|rc)", r" \1", version, count=1).partition(" ")
    return f"{numbers}-{rest}" if rest else numbers


def manifest(version: str) -> dict[str, Any]:
    """Return the manifest of a bundle, of version 0.4 of the format, whose servers may leave the environment to uv."""
    return {
        "manifest_version": "0.4",
        "name": NAME,
        "display_name": "marimo kernel bridge",
        "version": semantic(version),
        "description": _DESCRIPTION,
        "long_description": "An agent works in the kernel of your notebook, on its variables and its graph of cells, and proposes "
        "changes on your page. Open a notebook with the kernel *marimo (reactive Python)* first.",
        "author": {"name": "The marimo-kernel-bridge contributors"},
        "icon": "icon.png",
        "server": {
            "type": "uv",
            "entry_point": "server.py",
            "mcp_config": {
                "command": "uv",
                "args": [
                    "run",
                    "--quiet",
                    "--directory",
                    "${__dirname}",
                    "python",
                    "server.py",
                    "mcp",
                    "--allow",
                    "${user_config.allow}",
                ],
            },
        },
        "tools_generated": True,
        "prompts_generated": True,
        "keywords": ["jupyter", "notebook", "marimo", "reactive", "python"],
        "license": "Apache-2.0",
        "compatibility": {"platforms": ["darwin", "linux", "win32"], "runtimes": {"python": ">=3.11"}},
        "user_config": {
            "allow": {
                "type": "string",
                "title": "What agents may do",
                "description": _PERMISSIONS,
                "default": "propose",
                "required": True,
            }
        },
    }


def project(version: str, wheel: str) -> str:
    """Return the pyproject.toml of a bundle, which depends on the wheel inside."""
    return f"""[project]
name = "{NAME}-bundle"
version = "{version}"
requires-python = ">=3.11"
dependencies = ["{NAME}"]

[tool.uv]
package = false

[tool.uv.sources]
{NAME} = {{ path = "{wheel}" }}
"""


def write_bundle(wheel: Path, folder: Path) -> Path:
    """Write the bundle of a wheel; return where it is. The same wheel makes the same bytes."""
    version = version_of(wheel)
    files = {
        "manifest.json": json.dumps(manifest(version), indent=2).encode(),
        "pyproject.toml": project(version, wheel.name).encode(),
        "server.py": _ENTRY.encode(),
        "icon.png": (ROOT / "kernelspec" / "logo-64x64.png").read_bytes(),
        wheel.name: wheel.read_bytes(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{NAME}-{version}.mcpb"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return target


def write_server_json(version: str, folder: Path) -> Path:
    """Write `server.json` for a version; return where it is."""
    server = json.loads((ROOT / "server.json").read_text())
    server["version"] = version
    for package in server["packages"]:
        package["version"] = version
    target = folder / "server.json"
    target.write_text(json.dumps(server, indent=2) + "\n")
    return target


def _built(folder: Path) -> Path:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def main() -> None:
    """Write both files, and say where they are."""
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as place:
        wheel = Path(sys.argv[1]) if sys.argv[1:] else _built(Path(place))
        folder = Path(sys.argv[2]) if sys.argv[2:] else FOLDER
        print(write_bundle(wheel, folder))
        print(write_server_json(version_of(wheel), folder))


if __name__ == "__main__":
    main()
