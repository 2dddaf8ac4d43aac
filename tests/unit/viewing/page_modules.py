"""The page's modules in Node, without a browser: a few elements stand for the document."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import resources
from typing import TYPE_CHECKING, Any

from playwright._impl._driver import compute_driver_executable

from marimo_kernel_bridge.viewing import page

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = """
const made = () => ({
  textContent: "", hidden: false, value: "", style: {}, dataset: {}, children: [], attributes: {},
  classList: { toggle() {}, contains: () => false, remove() {}, add() {} },
  addEventListener() {}, setAttribute(name, value) { this.attributes[name] = value; }, removeAttribute() {},
  append(...children) { for (const child of children) { this.children.push(child); if (child.children) child.parent = this; } },
  replaceChildren(...children) { this.children = children; },
  remove() { this.parent.children = this.parent.children.filter((child) => child !== this); },
  contains: () => false, focus() {},
  get text() { return this.textContent + this.children.map((child) => child.text ?? child).join(""); },
});
const elements = {};
globalThis.document = {
  getElementById: (id) => (elements[id] ??= made()), createElement: made, addEventListener() {}, documentElement: made(),
  visibilityState: "visible", title: "",
};
globalThis.addEventListener = () => {};
const turns = async (count = 50) => { for (let at = 0; at < count; at++) await null; };
const STATE = { sort: [], filters: [], search: "", hidden: [], pinned: [], widths: {}, selected: [], selected_count: 0,
  selected_column: null, first_row: 0, by: "person" };
const description = (state = {}, rest = {}) => ({ view: "v", title: "t", source: "variable", kind: "k", version: 1, rows: 1000,
  columns: [{ index: 0, name: "a", kind: "integer", dtype: "i" }], notes: [], matching: 1000, ended: "",
  state: { ...STATE, ...state }, ...rest });
const results = {};
"""


def in_node(folder: Path, names: dict[str, str], body: str) -> Any:
    """Run statements that set fields of `results`; return it. `names`: what is imported from which module."""
    for file in resources.files(page.__name__).iterdir():
        if file.name.endswith(".js"):
            (folder / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    imports = "".join(
        f'const {{ {what} }} = await import("./{module}.js");\n' for module, what in names.items()
    )
    (folder / "story.js").write_text(
        f"{BEFORE}{imports}{body}\nconsole.log(JSON.stringify(results));\nprocess.exit(0);\n",
        encoding="utf-8",
    )
    node = shutil.which("node") or compute_driver_executable()[0]
    run = subprocess.run([node, "story.js"], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
