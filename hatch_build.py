"""Put the built extensions of front ends into the wheel and the sdist. Owns which file goes where, not how they are built.

They are built if they are missing, but an installation does not fail where npm cannot fetch what it needs: the kernel works
without them, and `doctor` says that they are missing. The variable `MARIMO_KERNEL_BRIDGE_EXTENSIONS` may say `required`, for
a release, or `built`, to take those that are there already. An editable installation does so, too.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("extensions_build", ROOT / "extensions/build.py")
assert SPEC is not None
assert SPEC.loader is not None
extensions = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = extensions  # for dataclasses
SPEC.loader.exec_module(extensions)

WANTED = os.environ.get("MARIMO_KERNEL_BRIDGE_EXTENSIONS")
LABEXTENSIONS = "extensions/jupyterlab/build/labextensions"
VSIX = "extensions/vscode/build/marimo-kernel-bridge.vsix"


class ExtensionsHook(BuildHookInterface[Any]):
    """Hatchling calls it for each wheel and sdist."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        to_build = not all(map(extensions.is_built, extensions.EXTENSIONS))
        return (
            [extensions.NODE_WHEEL] if to_build and WANTED != "built" and shutil.which("npm") is None else []
        )

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable" and WANTED != "built":
            try:
                for name in extensions.EXTENSIONS:
                    extensions.build(name)
            except (SystemExit, OSError, subprocess.CalledProcessError) as error:
                if WANTED == "required":
                    raise
                self.app.display_warning(f"Without the extensions for front ends: {error}")
        if self.target_name == "sdist":
            build_data["artifacts"] += [f"/extensions/{name}/build" for name in extensions.EXTENSIONS]
            return
        if (ROOT / LABEXTENSIONS).exists():
            build_data["shared_data"][LABEXTENSIONS] = "share/jupyter/labextensions"
        # In a checkout, shipped.py finds it where it is built.
        if version != "editable" and (ROOT / VSIX).exists():
            build_data["force_include"][VSIX] = f"marimo_kernel_bridge/vscode/{Path(VSIX).name}"
