"""Checked replacement of functions of other packages.

Owns what a patch is, the record of the private names that this package uses with the signatures that it was tested
with (`supported_api.json`, derived from the code by `tests/unit/contracts`), and the check of an installed package against
that record before anything in it is replaced. What is replaced, and why: the table of each process, `runtime/patches`
for the kernel's marimo.
"""

from __future__ import annotations

import functools
import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypedDict

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RECORD: Final = Path(__file__).with_name("supported_api.json")
_VARIABLE_POSITIONAL: Final = 0x04  # bits of `co_flags`
_VARIABLE_KEYWORD: Final = 0x08


class _Record(TypedDict):
    versions: list[str]
    names: dict[str, str | list[str]]


@dataclass(frozen=True)
class Patch:
    """One attribute of another package that this package replaces for the whole process.

    `target` is `module:attribute`; `upstream` the address of the issue or pull request that would make the patch
    unnecessary or that it answers to, or "none".
    """

    target: str
    replacement: Any  # of the type of its target
    why: str
    upstream: str = "none"


def apply(patches: Iterable[Patch], overriding: Iterable[type] = ()) -> None:
    """Apply patches after checking their targets, and the attributes that classes override, against the record.

    Raises `BridgeError`: runtime_mismatch, in which case nothing is replaced.
    """
    due = [patch for patch in patches if resolve(patch.target) is not patch.replacement]
    problems = mismatches(due, overriding)
    if problems:
        raise BridgeError(
            "runtime_mismatch",
            " ".join(problems),
            "Install the versions that marimo-kernel-bridge supports: pip install --upgrade marimo-kernel-bridge",
        )
    for patch in due:
        owner, name = _owner(patch.target)
        static = isinstance(vars(owner)[name], staticmethod)
        setattr(owner, name, staticmethod(patch.replacement) if static else patch.replacement)


def mismatches(patches: Iterable[Patch], overriding: Iterable[type] = ()) -> list[str]:
    """Return how patch targets and overridden attributes differ from the record, one sentence each."""
    names = {patch.target: resolve(patch.target) for patch in patches}
    for cls in overriding:
        names |= overridden(cls)
    return [line for target, value in names.items() if (line := _mismatch(target, value))]


def _mismatch(target: str, value: object) -> str:
    expected = record().get(target, ())
    actual = "missing" if value is None else signature(value)
    if actual in expected:
        return ""
    package = target.partition(":")[0].partition(".")[0]
    return f"{target} of the installed {package} is {actual}, not {' or '.join(expected) or 'in the record'}."


def overridden(cls: type) -> dict[str, object]:
    """Return the recorded attributes of other packages' classes that a class overrides, as `module:Class.name`."""
    ours = __name__.partition(".")[0]
    names: dict[str, object] = {}
    for name in vars(cls):
        for base in cls.__mro__[1:]:
            package = base.__module__.partition(".")[0]
            if name in vars(base) and package != ours:
                target = f"{base.__module__}:{base.__qualname__}.{name}"
                if target in record():
                    names[target] = vars(base)[name]
                break
    return names


@functools.cache
def record() -> Mapping[str, tuple[str, ...]]:
    """Return the names that this package relies on (`module:attribute`), with the signatures that it supports."""
    return {
        name: (known,) if isinstance(known, str) else tuple(known)
        for package in _read().values()
        for name, known in package["names"].items()
    }


def recorded_versions(package: str) -> tuple[str, ...]:
    """Return the versions of a package for which the names were recorded."""
    return tuple(_read()[package]["versions"])


@functools.cache
def _read() -> dict[str, _Record]:
    record: dict[str, _Record] = json.loads(RECORD.read_text())
    return record


def resolve(target: str) -> Any:
    """Return the value of `module:attribute`, None if it does not exist. Imports the module."""
    module, _, path = target.partition(":")
    try:
        value: Any = importlib.import_module(module)
    except ImportError:
        return None
    for name in path.split(".") if path else ():
        value = getattr(value, name, None)
    return value


def signature(value: object) -> str:
    """Return the names and kinds of a function's parameters, without types; for other objects, what kind they are.

    Read from the code object: `inspect.signature` takes twenty times as long, and this runs at every kernel start.
    """
    if isinstance(value, ModuleType):
        return "module"
    if isinstance(value, type):
        return "class"
    function: Any = value
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if code is None:
        return "attribute"
    positional, only = code.co_argcount, code.co_kwonlyargcount
    names = list(code.co_varnames[: positional + only])
    rest = list(code.co_varnames[positional + only :])
    first_default = positional - len(function.__defaults__ or ())
    defaults = function.__kwdefaults__ or {}
    parts = [f"{name}=" if n >= first_default else name for n, name in enumerate(names[:positional])]
    if code.co_posonlyargcount:
        parts.insert(code.co_posonlyargcount, "/")
    if code.co_flags & _VARIABLE_POSITIONAL:
        parts.append(f"*{rest.pop(0)}")
    elif only:
        parts.append("*")
    parts += [f"{name}=" if name in defaults else name for name in names[positional:]]
    if code.co_flags & _VARIABLE_KEYWORD:
        parts.append(f"**{rest.pop(0)}")
    return f"({', '.join(parts)})"


def _owner(target: str) -> tuple[Any, str]:
    """Return the module or class that has an attribute, and the attribute's name."""
    module, _, path = target.partition(":")
    parent, _, name = path.rpartition(".")
    return resolve(f"{module}:{parent}"), name
