"""A VS Code with the real Jupyter extension, to drive the extension by hand: `make vscode-jupyter`.

The Jupyter extension is on no registry of packages: it is built from its sources, which takes some minutes once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from marimo_kernel_bridge.protocol.own_python import module_command
from tests.vscode.editor import NODE, CodeServer

SOURCE = os.environ.get("VSCODE_JUPYTER", "https://github.com/microsoft/vscode-jupyter")
COMMIT = "3d24702e0e3a7258a163979a9c8b2585e9f43674"  # 2026.6.1
ANYWIDGET = """
export function activate() {
  const look = () => {
    if (!window.requirejs) return setTimeout(look, 50);
    const define = (...words) => window.define('anywidget', ...words.filter(word => typeof word !== 'string'));
    define.amd = {};
    new Function('define', SOURCE)(define);
  };
  look();
}
"""
PARTS = (
    "package.json",
    "package.nls.json",
    "dist",
    "images",
    "pythonFiles",
    "resources",
    "snippets",
    "data",
)


def main(folder: Path) -> None:
    built = folder / "built"
    if not (built / "package.json").exists():
        build(folder / "source", built)
    if not (folder / "widgets/package.json").exists():
        build_widgets(folder / "widgets")
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "run").mkdir()
        server = CodeServer(Path(home), built)
        subprocess.run(module_command("install", "--user"), env=server.environment, check=True)
        path = server.notebook("try.ipynb", "a = 1", "a + 1")
        print(f"http://127.0.0.1:{server.port}/?folder={path.parent} has {path.name}. Ctrl+C ends this.")  # noqa: T201
        try:
            server.process.wait()
        finally:
            server.end()


def build(source: Path, built: Path) -> None:
    """Build the Jupyter extension of `COMMIT`, and put what VS Code loads of it into a folder."""
    environment = os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"}
    source.mkdir(parents=True, exist_ok=True)
    for command in (
        ("git", "init", "--quiet"),
        ("git", "fetch", "--quiet", "--depth=1", SOURCE, COMMIT),
        ("git", "checkout", "--quiet", "--force", COMMIT),
        ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"),
        ("npx", "tsx", "build/esbuild/build.ts", "--production"),
    ):
        subprocess.run(command, cwd=source, env=environment, check=True)
    shutil.rmtree(built, ignore_errors=True)
    built.mkdir()
    for part in (*PARTS[1:], PARTS[0]):  # the one that says that it is built is the last
        one = source / part
        (shutil.copytree if one.is_dir() else shutil.copy)(one, built / part)


def build_widgets(folder: Path) -> None:
    """Make an extension with Jupyter's widgets: what the extensions Jupyter Notebook Renderers and Python bring to VS Code.

    The first has the widget managers, from npm; by the second, the Jupyter extension finds anywidget's script beside the kernel.
    """
    environment = os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"}
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"@vscode/jupyter-ipywidgets{number}" for number in (7, 8)]
    for command in (
        ("npm", "init", "--yes"),
        ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "requirejs@2.3.6", *names),
    ):
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    shutil.rmtree(folder / "scripts", ignore_errors=True)
    (folder / "scripts").mkdir()
    requirejs = (folder / "node_modules/requirejs/require.js").read_text()
    (folder / "scripts/0.js").write_text(
        f"(0, eval)({json.dumps(requirejs)});\nexport function activate() {{}}"
    )  # with its global names
    for number, name in enumerate(names, 1):
        shutil.copy(folder / "node_modules" / name / "dist/ipywidgets.js", folder / f"scripts/{number}.js")
    text = Path(sys.prefix, "share/jupyter/nbextensions/anywidget/index.js").read_text()
    (folder / "scripts/3.js").write_text(ANYWIDGET.replace("SOURCE", json.dumps(text)))
    shutil.rmtree(folder / "node_modules")
    preloads = [{"type": "jupyter-notebook", "entrypoint": f"./scripts/{number}.js"} for number in range(4)]
    manifest = {"name": "widgets", "publisher": "tests", "version": "0.0.1", "engines": {"vscode": "^1.80.0"}}
    (folder / "package.json").write_text(
        json.dumps(manifest | {"contributes": {"notebookPreload": preloads}})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
