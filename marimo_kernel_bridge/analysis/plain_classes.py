"""Which classes of a notebook have objects that consist of what they are given, of values, and of plain containers.

Such an object can be copied where nothing else holds it. Judges by the habits of the methods; what is not known is not plain.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.analysis.habits import Habits
    from marimo_kernel_bridge.analysis.name_facts import NameFacts

_CONTAINERS: Final = frozenset({"list", "dict", "set"})
_METHODS: Final = frozenset(
    """__init__ __post_init__ __repr__ __str__ __format__ __len__ __iter__ __contains__ __getitem__ __setitem__ __delitem__
    __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __bool__ __call__ __add__ __radd__ __iadd__ __sub__ __isub__ __mul__ __rmul__
    __imul__ __neg__ __abs__ __float__ __int__""".split()  # noqa: SIM905  # a list of words
)
"""Special methods that say nothing about how objects are copied."""


def is_plain(node: ast.ClassDef, facts: NameFacts, habits: Mapping[str, Habits]) -> bool:
    """Return whether the objects of a class are plain. `habits` has its methods, and the classes above."""
    if node.keywords or not all(is_dataclass(each, facts) for each in node.decorator_list):
        return False
    if any(isinstance(each, ast.ClassDef) for each in node.body):
        return False
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return all(_is_plain_base(base, habits) for base in node.bases) and all(
        not method.decorator_list
        and (not method.name.startswith("__") or method.name in _METHODS)
        and habits[f"{node.name}.{method.name}"].keeps_to_itself()
        for method in methods
    )


def _is_plain_base(base: ast.expr, habits: Mapping[str, Habits]) -> bool:
    if not isinstance(base, ast.Name):
        return False
    known = habits.get(base.id)
    return base.id == "object" or (known is not None and known.plain)


def is_dataclass(decorator: ast.expr, facts: NameFacts) -> bool:
    """Return whether a decorator is that of dataclasses, which keeps nothing of the class."""
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return facts.origin_of(function) == "dataclasses.dataclass"


def is_plain_field(value: ast.expr, facts: NameFacts) -> bool:
    """Return whether it is `field(default_factory=list)`, which gives each object a list of its own."""
    if not isinstance(value, ast.Call) or facts.origin_of(value.func) != "dataclasses.field":
        return False
    return all(
        isinstance(keyword.value, ast.Constant)
        or (isinstance(keyword.value, ast.Name) and keyword.value.id in _CONTAINERS)
        for keyword in value.keywords
    )
