"""The layers of docs/architecture.md are the layers of the code."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "marimo_kernel_bridge"
ROWS = re.findall(
    r"(?m)^\| (\w+) \| .*?\| ((?:`[\w/]+` ?)+) \|$", (ROOT / "docs/architecture.md").read_text()
)
LAYERS = list(dict.fromkeys(layer for layer, _ in ROWS))  # from top to bottom
HEIGHT = {unit: -LAYERS.index(layer) for layer, row in ROWS for unit in re.findall(r"`([\w/]+)`", row)}


def unit_of(dotted):
    """What the table calls a module: its name, or that of its package with a slash."""
    first, dot, _ = dotted.partition(".")
    return first + "/" if dot or (PACKAGE / first).is_dir() else first


def files():
    """All modules, by dotted name within the package."""
    paths = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in paths}


def imports(path):
    """All modules of the package that a module names, whether it imports them early, late, or for types only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "marimo_kernel_bridge":
            yield from (alias.name for alias in node.names if alias.name in files())
        elif isinstance(node, ast.ImportFrom) and node.module:
            head, _, rest = node.module.partition(".")
            if head == "marimo_kernel_bridge":
                yield rest


def test_every_module_has_its_place_in_the_architecture():
    assert set(HEIGHT) == {unit_of(module) for module in files()}


@pytest.mark.parametrize("module", sorted(files()))
def test_imports_point_down_or_stay_in_their_layer(module):
    here = HEIGHT.get(unit_of(module), 0)  # a module without a place fails above, once
    assert not [other for other in imports(files()[module]) if HEIGHT.get(unit_of(other), here) > here]


def test_only_the_runtime_imports_marimo():
    for module, path in files().items():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            used = any(name.split(".")[0] == "marimo" for name in names)
            assert not used or module.startswith("runtime."), module
