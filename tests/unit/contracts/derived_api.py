"""What this package relies on in marimo, ipykernel, IPython, jupyter_client and mcp beyond their public interface.

Derived from the code: private names (a path or an attribute with an underscore), what classes of ours override, and
what is replaced. `python tests/unit/contracts/derived_api.py` records it with the signatures of what is installed.
"""

import ast
import importlib
import inspect
import json
import pkgutil
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType

import marimo_kernel_bridge
from marimo_kernel_bridge.startup import patching

PACKAGES = ("IPython", "ipykernel", "jupyter_client", "marimo", "mcp")
ROOT = Path(marimo_kernel_bridge.__file__).parent
PAGE = ROOT.parent / "docs/decisions/0007-patches.md"
COMMAND = "make record-api"

OWNERS = {
    # Attributes of objects whose class the code does not name, and public methods whose newest parameters are needed.
    # Each is used, or a test fails.
    "_args": "marimo._plugins.ui._core.ui_element:UIElement",
    "_chart": "marimo._plugins.ui._impl.altair_chart:altair_chart",
    "_children": "marimo._plugins.stateless.routes:routes",
    "_component_args": "marimo._plugins.ui._core.ui_element:UIElement",
    "_configure_cells": "marimo._runtime.runtime:Kernel",
    "_connection": "mcp.server.session:ServerSession",
    "_convert_value": "marimo._plugins.ui._core.ui_element:UIElement",
    "_create_path": "marimo._plugins.ui._impl.file_browser:file_browser",
    "_data": "marimo._plugins.ui._impl.data_explorer:data_explorer",
    "_element": "marimo._plugins.stateless.lazy:lazy",
    "_elements": "marimo._plugins.ui._impl.batch:_batch_base",
    "_error": "marimo._plugins.ui._impl.dataframes.dataframe:dataframe",
    "_filename_map": "IPython.core.compilerop:CachingCompiler",
    "_figure": "marimo._plugins.ui._impl.plotly:plotly",
    "_id": "marimo._plugins.ui._core.ui_element:UIElement",
    "_is_debugpy_available": "ipykernel.debugger",
    "_is_vector": "marimo._plugins.ui._impl.matrix:matrix",
    "_items": "marimo._runtime.cell_output_list:CellOutputList",
    "_kernel": "marimo._runtime.context.kernel_context:KernelRuntimeContext",
    "_last_traceback": "ipykernel.zmqshell:ZMQInteractiveShell",
    "_last_traceback_during_displayhook": "ipykernel.zmqshell:ZMQInteractiveShell",
    "_lock": "marimo._runtime.cell_output_list:CellOutputList",
    "_lowlevel_server": "mcp.server.mcpserver:MCPServer",
    "_resource_manager": "mcp.server.mcpserver:MCPServer",
    "_templates": "mcp.server.mcpserver.resources:ResourceManager",
    "_manager": "marimo._plugins.ui._impl.table:table",
    "_mapping": "marimo._plugins.ui._impl.input:slider",
    "_markdown_text": "marimo._output.md:_md",
    "_objects": "marimo._plugins.ui._core.registry:UIElementRegistry",
    "_on_update_completion": "marimo._plugins.ui._core.ui_element:UIElement",
    "lifespan": "mcp.server.lowlevel.server:Server",
    "run_cell_async": "IPython.core.interactiveshell:InteractiveShell",
    "_reply_subshell_for": "ipykernel.comm.comm:BaseComm",
    "_selection": "marimo._plugins.ui._impl.table:table",
    "_stale": "marimo._ast.cell:CellImpl",
    "_tab_keys": "marimo._plugins.ui._impl.tabs:tabs",
    "_value": "marimo._plugins.ui._core.ui_element:UIElement",
    "_update_value": "marimo._plugins.ui._core.ui_element:UIElement",
    "_value_frontend": "marimo._plugins.ui._core.ui_element:UIElement",
}
OTHERS = {
    # Private attributes of other packages, which have no contract here.
    "_attrs": "pandas",
    "_current_frames": "sys",
    "_exit": "os",
    "_filters_mutated": "warnings",
    "_getframe": "sys",
    "_global_config": "pandas",
    "_lru_cache_wrapper": "functools",
    "_mgr": "pandas",
    "_ndarray": "pandas",
    "_options_full": "ipywidgets",
    "_pa_array": "pandas",
    "_property_lock": "ipywidgets",
    "_registered_options": "pandas",
    "_slotnames": "copyreg",
}


def modules() -> Iterator[ModuleType]:
    """Import and yield every module of the package."""
    for found in pkgutil.walk_packages([str(ROOT)], "marimo_kernel_bridge."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


@cache
def derived() -> dict[str, str]:
    """Return every name that is relied on (`module:attribute`), and where first."""
    names: dict[str, str] = {}
    for module in modules():
        place = Path(str(module.__file__)).relative_to(ROOT.parent).as_posix()
        for name in (*_named(module), *_overridden(module)):
            names.setdefault(name, place)
    for patch in patches():
        names.setdefault(patch.target, "patched")
    return dict(sorted(names.items()))


def patches() -> list[patching.Patch]:
    """Return all patches of the package: those in a constant `PATCHES` of a module."""
    return [patch for module in modules() for patch in vars(module).get("PATCHES", ())]


def overrides() -> list[tuple[str, str, list[str]]]:
    """Return which class of ours overrides what of which class of a package."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for module in modules():
        for node in _classes(module):
            for target in _overridden_by(vars(module)[node.name], node):
                base, _, name = target.rpartition(".")
                found[f"{module.__name__.partition('.')[2]}.{node.name}", base].append(name)
    return sorted((ours, base, names) for (ours, base), names in found.items())


def signature_of(name: str) -> str:
    """Return how an installed package defines a name: a signature, "class", "module", "attribute" or "missing"."""
    module, _, path = name.partition(":")
    owner, _, attribute = path.rpartition(".")
    parent = patching.resolve(f"{module}:{owner}")
    if parent is None:
        return "missing"
    if not attribute:
        return "module"
    if isinstance(parent, type):
        for base in parent.__mro__:
            if attribute in vars(base):
                return patching.signature(vars(base)[attribute])
        return "attribute" if attribute in _attributes_of(parent) else "missing"
    value = getattr(parent, attribute, None)
    return "missing" if value is None else patching.signature(value)


def recorded() -> dict[str, dict[str, str]]:
    """Return the derived names with the signatures of what is installed, by package."""
    record: dict[str, dict[str, str]] = defaultdict(dict)
    for name in derived():
        record[name.partition(".")[0].partition(":")[0]][name] = signature_of(name)
    return dict(record)


def private_attributes() -> dict[str, str]:
    """Return private attributes of objects whose class the code does not name, and where they are used."""
    names: dict[str, str] = {}
    for module in modules():
        imported = {
            alias.asname or alias.name
            for node in _nodes(module)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in _nodes(module):
            attribute = ""
            if isinstance(node, ast.Call):
                attribute = _named_attribute(node)
            elif isinstance(node, ast.Attribute) and _counts(node.attr) and not _is_own(node):
                named = isinstance(node.value, ast.Name) and node.value.id in imported
                attribute = "" if named else node.attr
            if attribute:
                names.setdefault(attribute, module.__name__)
    ours = _own_private_names()
    return {name: place for name, place in names.items() if name not in ours or name in OWNERS}


# -- reading the code ----------------------------------------------------------------------------------------------


def _named(module: ModuleType) -> Iterator[str]:
    """Yield the private names of the packages that a module imports, or reaches through what it imports."""
    imported = _imported(module)
    yield from (name for name in imported.values() if ":" in name and _is_private_path(name))
    for node in _nodes(module):
        if isinstance(node, ast.Attribute):
            owner = imported.get(node.value.id) if isinstance(node.value, ast.Name) else None
            if owner is not None and _is_private_path(name := _joined_name(owner, node.attr)):
                yield name
            if owner is None and node.attr in OWNERS and not _is_own(node):
                yield _joined_name(OWNERS[node.attr], node.attr)
        if isinstance(node, ast.Call) and (attribute := _named_attribute(node)) in OWNERS:
            yield _joined_name(OWNERS[attribute], attribute)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _of_arguments(node, imported)


@cache
def _imported(module: ModuleType) -> dict[str, str]:
    """Return what a module imports of the packages: `module`, or `module:name`."""
    names: dict[str, str] = {}
    for node in _nodes(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
            for alias in node.names:
                path = f"{node.module}.{alias.name}"
                names[alias.asname or alias.name] = path if _imports(path) else f"{node.module}:{alias.name}"
        if isinstance(node, ast.Import):
            names |= {
                alias.asname: alias.name
                for alias in node.names
                if alias.asname and alias.name.partition(".")[0] in PACKAGES
            }
    return names


def _joined_name(owner: str, attribute: str) -> str:
    return f"{owner}{'.' if ':' in owner else ':'}{attribute}"


def _of_arguments(
    function: ast.FunctionDef | ast.AsyncFunctionDef, imported: dict[str, str]
) -> Iterator[str]:
    """Yield the attributes that a function uses of arguments whose class is private."""
    classes = {}
    for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
        annotation = ast.unparse(argument.annotation) if argument.annotation else ""
        owner = imported.get(annotation.partition("[")[0].partition(" |")[0])
        if owner is not None and ":" in owner and _is_private_path(owner):
            classes[argument.arg] = owner
    for node in ast.walk(function) if classes else ():
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in classes:
            owner = classes[node.value.id]
            cls = patching.resolve(owner)
            if isinstance(cls, type) and node.attr in _attributes_of(cls):
                yield f"{owner}.{node.attr}"


def _overridden(module: ModuleType) -> Iterator[str]:
    """Yield what classes of a module override of the packages' classes, and the private names that they use of them."""
    for node in _classes(module):
        cls = vars(module)[node.name]  # some call themselves otherwise, so that their source is not found
        yield from _overridden_by(cls, node)
        used = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute) and _is_own(part)}
        inherited = _declared(cls, used - _written(node))
        yield from (target for target in inherited if _is_private_path(target))


def _overridden_by(cls: type, node: ast.ClassDef) -> list[str]:
    return _declared(cls, _written(node))


def _declared(cls: type, names: Iterable[str]) -> list[str]:
    """Return where the packages' classes above `cls` declare these names, if they do."""
    bases = [base for base in cls.__mro__[1:] if base.__module__.partition(".")[0] in PACKAGES]
    targets = []
    for name in sorted(names):
        declaring = (base for base in bases if name in _attributes_of(base, inherited=False))
        base = next(declaring, None)
        if base is not None:
            targets.append(f"{base.__module__}:{base.__qualname__}.{name}")
    return targets


def _classes(module: ModuleType) -> Iterator[ast.ClassDef]:
    """Yield the classes that a module defines."""
    return (node for node in _tree(module).body if isinstance(node, ast.ClassDef))


@cache
def _written(node: ast.ClassDef) -> frozenset[str]:
    """Return the attributes that the code of a class defines."""
    names: set[str] = set()
    for part in node.body:
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(part.name)
        if isinstance(part, ast.Assign):
            names |= {target.id for target in part.targets if isinstance(target, ast.Name)}
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            names.add(part.target.id)
    return frozenset(names | _assigned(node)) - {"__slots__"}


@cache
def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


@cache
def _nodes(module: ModuleType) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_tree(module)))


@cache
def _attributes_of(cls: type, *, inherited: bool = True) -> frozenset[str]:
    """Return what a class declares: in its body, by annotations, and on `self`."""
    names: set[str] = set()
    for base in cls.__mro__ if inherited else (cls,):
        names |= vars(base).keys() | getattr(base, "__annotations__", {}).keys() | _assigned(_source(base))
        fields = vars(base).get("__struct_fields__", ())
        names |= set(fields) if isinstance(fields, tuple) else set()
    return frozenset(names)


def _assigned(code: ast.AST) -> frozenset[str]:
    """Return the attributes that methods of a class assign to `self`."""
    return frozenset(
        node.attr
        for node in ast.walk(code)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    )


@cache
def _source(cls: type) -> ast.AST:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, IndentationError):
        return ast.Module([], [])


@cache
def _own_private_names() -> frozenset[str]:
    """Return the private attributes that classes and modules of this package have themselves."""
    return frozenset(
        name
        for module in modules()
        for name in (*vars(module), *(name for node in _classes(module) for name in _written(node)))
        if _is_private(name)
    )


@cache
def _imports(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")


def _counts(name: str) -> bool:
    return _is_private(name) or name in OWNERS


def _is_private_path(name: str) -> bool:
    return any(_is_private(part) for part in name.replace(":", ".").split("."))


def _is_own(node: ast.Attribute) -> bool:
    value = node.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id == "super"
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


def _named_attribute(node: ast.Call) -> str:
    """Return the private attribute that a call of `getattr`, `setattr` or the like names; else nothing."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name.strip("_") not in ("getattr", "setattr", "delattr") or len(node.args) < 2:
        return ""
    attribute = node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
    return attribute if isinstance(attribute, str) and _is_private(attribute) else ""


def page(text: str) -> str:
    """Return the page about the patches with its tables as the code has them."""
    rows = [(f"`{patch.target}`", patch.why, patch.upstream) for patch in patches()]
    classes = [
        (f"`{ours}`", f"`{base}`", ", ".join(f"`{n}`" for n in names)) for ours, base, names in overrides()
    ]
    text = _with_table(text, "patches", ("target", "why", "upstream"), rows)
    return _with_table(text, "overrides", ("class", "of", "what it overrides"), classes)


def _with_table(text: str, name: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    start, end = f"<!-- {name}: made by `{COMMAND}` -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    after = rest.partition(end)[2]
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]
    return "\n".join((f"{before}{start}", "", *lines, "", f"{end}{after}"))


def main() -> None:
    """Record the names, with the signatures of what is installed; `--merge`: beside those of the record."""
    before = json.loads(patching.RECORD.read_text()) if "--merge" in sys.argv else {}
    record = {}
    for package, names in recorded().items():
        old = before.get(package, {"versions": [], "names": {}})
        record[package] = {
            "versions": sorted({*old["versions"], metadata.version(package)}),
            "names": {name: _joined(old["names"].get(name, []), known) for name, known in names.items()},
        }
    patching.RECORD.write_text(json.dumps(record, indent=1) + "\n")
    PAGE.write_text(page(PAGE.read_text()))


def _joined(before: str | list[str], known: str) -> str | list[str]:
    signatures = sorted({known, *([before] if isinstance(before, str) else before)})
    return signatures[0] if len(signatures) == 1 else signatures


if __name__ == "__main__":
    main()
