"""Functions and classes as text: parameters, documentation, where they are. Runs no code of them (`value_text`)."""

from __future__ import annotations

import functools
import inspect
import types
from typing import Any, Final

from marimo_kernel_bridge.inspecting.static_values import (
    InstanceOf,
    Known,
    annotations_of,
    attribute,
    class_names,
    is_builtin_function,
    is_module,
    item,
    module_names,
)
from marimo_kernel_bridge.inspecting.value_text import (
    bases,
    class_name,
    instance_dict,
    is_class,
    is_of_library,
    shorten,
    value_text,
)

_MOST_WRAPPERS: Final = 10
_LONGEST_DEFAULT: Final = 40
_LONGEST_DOC: Final = 100_000
_VARARGS, _VARKEYWORDS = 0x04, 0x08


def function_of(value: object) -> object:
    """Return the function behind a method, a decorated function, a property or a partial one; a class's is what makes instances."""
    for _ in range(_MOST_WRAPPERS):
        inner: object = None
        if type(value) is types.MethodType or type(value) is staticmethod or type(value) is classmethod:
            inner = value.__func__
        elif type(value) is property:
            inner = value.fget
        elif type(value) is functools.cached_property:
            inner = value.func
        elif not is_class(value) and (found := item(instance_dict(value), "__wrapped__")):
            inner = (
                found.value if isinstance(found, Known) else None
            )  # also of a cache, and of NumPy's dispatchers
        if inner is None:
            return value
        value = inner
    return value


def signature(value: object) -> str:
    """Return the parameters in parentheses; empty for what is not called, or does not tell."""
    if is_class(value):
        made = attribute(Known(value), "__init__")
        inner = function_of(made.value) if isinstance(made, Known) else None
        if type(inner) is not types.FunctionType:
            made = attribute(Known(value), "__new__")
            inner = function_of(made.value) if isinstance(made, Known) else None
        if type(inner) is types.FunctionType:
            return _of_function(inner)
        told = type.__dict__["__text_signature__"].__get__(value)
        return told if type(told) is str else ""
    inner = function_of(value)
    if type(inner) is types.FunctionType:
        return _of_function(inner)
    if is_builtin_function(inner):
        told = inner.__text_signature__  # type: ignore[attr-defined]  # each of these types has it
        return told if type(told) is str else ""
    return ""


def parameters(value: object) -> list[str]:
    """Return the names that a call takes as keywords."""
    if is_class(value):
        made = attribute(Known(value), "__init__")
        value = made.value if isinstance(made, Known) else None
    inner = function_of(value)
    if type(inner) is not types.FunctionType:
        return []
    code = inner.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames[code.co_posonlyargcount : count]
    return [name for name in names if name not in {"self", "cls"}]


def _of_function(function: types.FunctionType) -> str:
    code = function.__code__
    positional, count = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    defaults: Any = function.__defaults__ or ()
    keyword_defaults: Any = function.__kwdefaults__ or {}
    annotations = annotations_of(function)
    shown: list[str] = []

    def parameter(name: str, default: object = ...) -> str:
        annotated = _annotation(annotations.get(name))
        if default is ...:
            return f"{name}{annotated}"
        return f"{name}{annotated}{' = ' if annotated else '='}{value_text(default, _LONGEST_DEFAULT)}"

    first_default = positional - len(defaults)
    for number, name in enumerate(code.co_varnames[:positional]):
        shown.append(
            parameter(name, *([defaults[number - first_default]] if number >= first_default else []))
        )
        if number + 1 == code.co_posonlyargcount:
            shown.append("/")
    stars = list(code.co_varnames[count : count + 2])
    if code.co_flags & _VARARGS:
        shown.append(f"*{parameter(stars.pop(0))}")
    elif code.co_kwonlyargcount:
        shown.append("*")
    for name in code.co_varnames[positional:count]:
        found = item(keyword_defaults, name) if type(keyword_defaults) is dict else None
        shown.append(parameter(name, *([found.value] if isinstance(found, Known) else [])))
    if code.co_flags & _VARKEYWORDS:
        shown.append(f"**{parameter(stars.pop(0))}")
    if shown and shown[0] in {"self", "cls"}:
        del shown[0]
    result = _annotation(annotations.get("return")).replace(": ", " -> ", 1)
    return f"({', '.join(shown)}){result}"


def _annotation(annotation: object) -> str:
    if type(annotation) is str:
        return f": {shorten(annotation, _LONGEST_DEFAULT * 2)}"
    return f": {class_name(annotation)}" if is_class(annotation) else ""


def documentation(found: Known | InstanceOf) -> str:
    """Return the documentation of a function, class or module, or of a value's class."""
    if isinstance(found, InstanceOf):
        return _of_class(found.kind)
    value = found.value
    if is_module(value):
        return _plain(item(module_names(value), "__doc__"))
    if is_class(value):
        return _of_class(value)
    if type(value) is property or is_builtin_function(value) or _is_ufunc(value):
        return _cleaned(value.__doc__)
    inner = function_of(value)
    if type(inner) is types.FunctionType or is_builtin_function(inner):
        own = value.__doc__ if type(value) is types.FunctionType else None  # a decorator may have changed it
        return _cleaned(own) or _plain(item(instance_dict(value), "__doc__")) or _cleaned(inner.__doc__)
    return ""  # of a value, the type says it: its class can be looked up


def _of_class(kind: type) -> str:
    for base in bases(kind)[:-1] or (kind,):
        if text := _plain(item(class_names(base), "__doc__")):
            return text
    return _cleaned(type.__dict__["__doc__"].__get__(kind)) if bases(kind)[-1] is kind else ""


def _plain(found: object) -> str:
    return _cleaned(found.value) if isinstance(found, Known) else ""


def _cleaned(text: object) -> str:
    return inspect.cleandoc(text[:_LONGEST_DOC]) if type(text) is str else ""


def _is_ufunc(value: object) -> bool:
    return class_name(type(value)) == "numpy.ufunc" and is_of_library(type(value), "numpy")


def place(value: object) -> str:
    """Return the file and line of a function, as its code names them; nothing is opened."""
    inner = function_of(value)
    if type(inner) is not types.FunctionType:
        return ""
    return f"{shorten(inner.__code__.co_filename)}:{inner.__code__.co_firstlineno}"


def kind_of(value: object) -> str:
    """Return what a value is, in a word."""
    if is_module(value):
        return "module"
    if is_class(value):
        return "class"
    if type(value) is property or type(value) is functools.cached_property:
        return "property"
    inner = function_of(value)
    return (
        "function"
        if _is_ufunc(value) or type(inner) is types.FunctionType or is_builtin_function(inner)
        else "value"
    )
