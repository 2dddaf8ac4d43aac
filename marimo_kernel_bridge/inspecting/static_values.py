"""What an expression stands for, found in the live namespace without evaluating it.

Names are looked up, attributes are read from the dictionaries of instances, classes and modules, and a call has the class
that it makes or the one that its function is annotated with. No property, `__getattr__`, `__repr__` or other code of a value
runs, and nothing is imported; what can be known only that way is unknown. Safe on any thread, also while a cell runs.
"""

from __future__ import annotations

import ast
import builtins
import functools
import re
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.inspecting.value_text import bases, class_name, instance_dict, is_class, is_one_of

if TYPE_CHECKING:
    from collections.abc import Iterator

Names = Mapping[str, object]

_DEEPEST: Final = 40
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = "\n\\'\"abfnrtv01234567xNuU"
_LONGEST_ANNOTATION: Final = 500
_LONGEST_ABOVE: Final = 20_000
"""Characters of the code above in which definitions are looked for."""
_BUILTIN_FUNCTIONS: Final = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.MethodWrapperType,
)
_DISPLAYS: Final[dict[type[ast.AST], type]] = {
    ast.List: list,
    ast.ListComp: list,
    ast.Tuple: tuple,
    ast.Dict: dict,
    ast.DictComp: dict,
    ast.Set: set,
    ast.SetComp: set,
    ast.JoinedStr: str,
    ast.Lambda: types.FunctionType,
}


@dataclass(frozen=True)
class Known:
    """A value of the namespace. `owner` is the class of which it is an attribute, if it was found in one."""

    value: object
    owner: type | None = None


@dataclass(frozen=True)
class InstanceOf:
    """Some instance of a class: what a call returns, or an attribute that only its code could give."""

    kind: type


Found = Known | InstanceOf | None


def item(names: Mapping[Any, object], name: str) -> Found:
    """Return the value of a key that is exactly this text; other keys are not compared, which may run their code."""
    for key, value in list(names.items()):
        if type(key) is str and key == name:
            return Known(value)
    return None


def class_names(kind: type) -> Mapping[str, object]:
    """Return the dictionary of a class itself."""
    names: Mapping[str, object] = type.__dict__["__dict__"].__get__(kind)
    return names


def module_names(module: object) -> dict[str, object]:
    """Return the dictionary of a module; nothing of it is loaded."""
    names = types.ModuleType.__getattribute__(module, "__dict__")
    return names if type(names) is dict else {}


def is_module(value: object) -> bool:
    return any(base is types.ModuleType for base in bases(type(value)))


def is_builtin_function(value: object) -> bool:
    return is_one_of(type(value), _BUILTIN_FUNCTIONS)


class Namespace:
    """The names that code sees: those that it defines itself above, global ones, Python's own."""

    def __init__(self, names: Names, code: str = "") -> None:
        self._names = names
        self._above = _definitions(code)

    @property
    def defined_above(self) -> tuple[str, ...]:
        return tuple(self._above)

    def find(self, expression: str) -> Found:
        """Return what an expression stands for."""
        try:
            node = _parsed(f"({expression})", "eval").body  # it may take several lines
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return self._infer(node, 0)

    def _infer(self, node: ast.expr, depth: int) -> Found:  # noqa: PLR0911  # one for each kind of expression
        if depth > _DEEPEST:
            return None
        match node:
            case ast.Constant(value=value):
                return Known(value)
            case ast.Name(id=name):
                return self._name(name, depth)
            case ast.Attribute(value=value, attr=name):
                return attribute(self._infer(value, depth + 1), name)
            case ast.Call(func=function):
                return result_of(self._infer(function, depth + 1))
            case ast.NamedExpr(value=value) | ast.Await(value=value):
                return self._infer(value, depth + 1) if isinstance(node, ast.NamedExpr) else None
            case ast.Compare():
                return InstanceOf(bool)
            case _:
                kind = _DISPLAYS.get(type(node))
                return None if kind is None else InstanceOf(kind)

    def _name(self, name: str, depth: int) -> Found:
        above = self._above.get(name)
        if isinstance(above, ast.expr):
            return self._infer(above, depth + 1)
        if isinstance(above, str):
            module, _, member = above.partition(":")
            found = loaded_module(module)
            return attribute(found, member) if member else found
        if above is not None:  # defined in a way that says nothing about the value
            return None
        return item(self._names, name) or item(vars(builtins), name)


def _definitions(code: str) -> dict[str, ast.expr | str | ast.AST]:  # noqa: C901  # one for each kind of statement
    """Return the names that complete statements of code define, with the expression, or the `module:name` that is imported."""
    found: dict[str, ast.expr | str | ast.AST] = {}
    for node in _statements(code):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name] = value
            case ast.Import(names=aliases):
                for alias in aliases:
                    top = alias.name.partition(".")[0]
                    found[alias.asname or top] = alias.name if alias.asname else top
            case ast.ImportFrom(module=str() as module, names=aliases, level=0):
                for alias in aliases:
                    found[alias.asname or alias.name] = f"{module}:{alias.name}"
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = node
            case _:
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                        found[inner.id] = node
    return found


def _statements(code: str) -> list[ast.stmt]:
    """Return the last statements of code, of which the very last ones may not be complete yet."""
    start = len(code) - _LONGEST_ABOVE
    lines = (code if start <= 0 else code[code.find("\n", start) + 1 :]).split("\n")
    for left_out in range(min(len(lines), 4)):
        try:
            body: list[ast.stmt] = _parsed("\n".join(lines[: len(lines) - left_out]), "exec").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return body
    return []


def _parsed(code: str, mode: str) -> Any:
    """Parse code. An escape that Python warns of is none here: a warning would be shown under the cell that runs now."""
    return ast.parse(
        _ESCAPE.sub(lambda match: match[0] if match[1] in _ESCAPES else f"/{match[1]}", code), mode=mode
    )


def loaded_module(name: str) -> Found:
    """Return a module that is imported already."""
    module = sys.modules.get(name)
    return Known(module) if module is not None and is_module(module) else None


def attribute(found: Found, name: str) -> Found:
    """Return an attribute, if it can be known without running code."""
    match found:
        case Known(value=value) if is_module(value):
            return item(module_names(value), name) or loaded_module(f"{_module_name(value)}.{name}")
        case Known(value=value) if is_class(value):
            inside = _of_class(value, name)
            return None if inside is None else _unbound(inside)
        case Known(value=value):
            return _of_instance(value, name)
        case InstanceOf(kind=kind):
            inside = _of_class(kind, name)
            return None if inside is None else _bound(inside)
        case _:
            return None


def _module_name(module: object) -> str:
    name = item(module_names(module), "__name__")
    return name.value if isinstance(name, Known) and type(name.value) is str else ""


def _of_class(kind: type, name: str) -> Known | None:
    for base in bases(kind):
        found = item(class_names(base), name)
        if isinstance(found, Known):
            return Known(found.value, base)
    return None


def _of_instance(value: object, name: str) -> Found:
    inside = _of_class(type(value), name)
    own = item(instance_dict(value), name)
    if inside is None:
        return own
    if type(inside.value) is types.MemberDescriptorType:  # a slot, which C code reads
        try:
            return Known(inside.value.__get__(value))
        except (AttributeError, TypeError):
            return None
    if type(inside.value) is property:
        return _bound(inside)
    return own or _bound(inside)


def _unbound(found: Known) -> Found:
    value = found.value
    if type(value) is staticmethod or type(value) is classmethod:
        return Known(value.__func__, found.owner)
    return found


def _bound(found: Known) -> Found:
    """Return what an attribute of a class is for an instance: a property has what its function is annotated with."""
    value = found.value
    if type(value) is property:
        return result_of(Known(value.fget, found.owner)) if value.fget is not None else None
    if type(value) is functools.cached_property:
        return result_of(Known(value.func, found.owner))
    plain = type(value) is types.FunctionType or is_builtin_function(value)
    if not plain and any(item(class_names(base), "__get__") for base in bases(type(value))):
        return _unbound(found) if is_one_of(type(value), (staticmethod, classmethod)) else None
    return found


def result_of(found: Found) -> Found:  # noqa: PLR0911  # one for each kind of callable
    """Return what a call gives: an instance of a class, or of what a function is annotated with."""
    if not isinstance(found, Known):
        return None
    value = found.value
    if is_class(value):
        return InstanceOf(value)
    if type(value) is types.MethodType and type(value.__func__) is types.FunctionType:
        found, value = Known(value.__func__, type(value.__self__)), value.__func__
    if type(value) is not types.FunctionType:
        return None
    annotated = annotations_of(value).get("return")
    if is_class(annotated):
        return InstanceOf(annotated)
    if type(annotated) is not str or len(annotated) > _LONGEST_ANNOTATION:
        return None
    try:
        node = _parsed(annotated, "eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _annotated(node, value, found.owner)


def annotations_of(function: types.FunctionType) -> dict[str, object]:
    """Return a function's annotations, unless they are computed only now, by code of the function's module."""
    if sys.version_info >= (3, 14) and function.__annotate__ is not None:
        return {}
    annotations: object = function.__annotations__
    return annotations if type(annotations) is dict else {}


def _annotated(node: ast.expr, function: types.FunctionType, owner: type | None) -> Found:  # noqa: PLR0911  # one for each form
    match node:
        case ast.Constant(value=str() as inner):  # quotes within quotes
            return _annotated(ast.Name(inner), function, owner) if inner.isidentifier() else None
        case ast.Name(id="Self") if owner is not None:
            return InstanceOf(owner)
        case ast.Name(id=name):
            found = item(function.__globals__, name) or item(vars(builtins), name)
            found = found or _of_package(function, name)
            return InstanceOf(found.value) if isinstance(found, Known) and is_class(found.value) else None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _annotated(left, function, owner) or _annotated(right, function, owner)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return _annotated(inner, function, owner)
        case ast.Subscript(value=value):
            return _annotated(value, function, owner)
        case ast.Attribute(attr=name):
            found = _of_package(function, name)
            return InstanceOf(found.value) if isinstance(found, Known) and is_class(found.value) else None
        case _:
            return None


def _of_package(function: types.FunctionType, name: str) -> Found:
    """Return a class that a loaded module of the function's package has under a name: imports for types only are not run."""
    module = item(function.__globals__, "__name__")
    top = module.value.partition(".")[0] if isinstance(module, Known) and type(module.value) is str else ""
    if not top:
        return None
    for other, candidate in list(sys.modules.items()):
        if (other == top or other.startswith(f"{top}.")) and is_module(candidate):
            found = module_names(candidate).get(name)
            if is_class(found) and class_name(found).rpartition(".")[2] == name:
                return Known(found)
    return None


def attributes(found: Found) -> Iterator[tuple[str, object]]:
    """Yield the names of attributes that are known, with what is stored under each; the nearest first, some twice."""
    match found:
        case Known(value=value) if is_module(value):
            yield from _texts(module_names(value))
        case Known(value=value) if is_class(value):
            for base in bases(value):
                yield from _texts(class_names(base))
        case Known(value=value):
            yield from _texts(instance_dict(value))
            for base in bases(type(value)):
                yield from _texts(class_names(base))
        case InstanceOf(kind=kind):
            for base in bases(kind):
                yield from _texts(class_names(base))
        case _:
            return


def _texts(names: Mapping[Any, object]) -> list[tuple[str, object]]:
    return [(key, value) for key, value in list(names.items()) if type(key) is str]
