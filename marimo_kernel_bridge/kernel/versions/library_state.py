"""State of libraries that cells change in passing: global random generators, and settings such as `plt.rcParams`.

Each can be taken and restored. Does not import the libraries: what is not loaded has no state.
"""

from __future__ import annotations

import ast
import sys
from functools import lru_cache
from typing import Any, Final

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED
from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.kernel.versions.figure_state import FIGURE_STATES
from marimo_kernel_bridge.kernel.versions.file_mentions import looks, needs_hook, reads
from marimo_kernel_bridge.kernel.versions.placed_state import LibraryState
from marimo_kernel_bridge.kernel.versions.process_state import PROCESS_STATES


def _numpy_draws(module: Any) -> tuple[Any, ...]:
    kind, key, *rest = module.get_state()
    return kind, key.tobytes(), *rest


def _set_numpy_draws(module: Any, value: tuple[Any, ...]) -> None:
    kind, key, *rest = value
    module.set_state((kind, sys.modules["numpy"].frombuffer(key, "uint32"), *rest))


def _torch_draws(module: Any) -> bytes:
    return bytes(module.get_rng_state().numpy().tobytes())


def _set_torch_draws(module: Any, value: bytes) -> None:
    module.set_rng_state(module.frombuffer(bytearray(value), dtype=module.uint8))


_OF_BACKENDS: Final = ("backend", "backend_fallback", "interactive", "toolbar")  # to read the first loads one


def _rc_parameters(module: Any) -> dict[str, Any]:
    """Return matplotlib's parameters, without those that backends set."""
    return _without_backend(module.rcParams)


def _without_backend(parameters: dict[str, Any]) -> dict[str, Any]:
    own = dict(dict.items(parameters))  # all at once, past matplotlib's own reads: there are 300
    for name in _OF_BACKENDS:
        own.pop(name, None)
    return own


def _pandas_options(module: Any) -> dict[str, Any]:
    options: dict[str, Any] = {}
    waiting = [("", module._global_config)]  # noqa: SLF001  # to describe all options takes milliseconds
    for path, group in waiting:
        for name, value in group.items():
            if isinstance(value, dict):
                waiting.append((f"{path}{name}.", value))
            else:
                options[path + name] = value
    return options


def _set_pandas_options(module: Any, value: dict[str, Any]) -> None:
    for name, now in _pandas_options(module).items():
        if name in value and now is not value[name] and now != value[name]:
            module.set_option(name, value[name])


def _decimals(module: Any) -> tuple[Any, ...]:
    context = module.getcontext()
    traps = tuple(sorted(signal.__name__ for signal, trapped in context.traps.items() if trapped))
    return context.prec, context.rounding, context.Emin, context.Emax, context.capitals, context.clamp, traps


def _set_decimals(module: Any, value: tuple[Any, ...]) -> None:
    context, traps = module.getcontext(), value[-1]  # the same object, which cells may hold
    context.prec, context.rounding, context.Emin, context.Emax, context.capitals, context.clamp = value[:-1]
    for signal in context.traps:
        context.traps[signal] = signal.__name__ in traps


def _set_filters(module: Any, value: list[Any]) -> None:
    module.filters[:] = value
    module._filters_mutated()  # noqa: SLF001  # as the module's own functions do


def _levels(module: Any) -> dict[str, int]:
    """Return the levels of the loggers that have one. Handlers may be of whoever listens, and stay."""
    found = {"": module.root, **module.root.manager.loggerDict}
    return {name: level for name, logger in found.items() if (level := vars(logger).get("level"))}


def _set_levels(module: Any, value: dict[str, int]) -> None:
    now = _levels(module)
    for name in now.keys() | value.keys():
        if now.get(name) != value.get(name):
            module.getLogger(name or None).setLevel(value.get(name, module.NOTSET))


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _shows_a_value(code: str) -> bool:
    """Return whether a cell shows a value as its result, or by `display`."""
    try:
        body = parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    last = body[-1] if body else None
    return "display(" in code or (isinstance(last, ast.Expr) and not code.rstrip().endswith(";"))


def _plain_text(module: Any) -> Any:
    """Return IPython's formatter of plain text."""
    return module.get_ipython().display_formatter.formatters["text/plain"]


def _set_precision(module: Any, value: str) -> None:
    numpy: Any = sys.modules.get("numpy")
    options = {} if numpy is None else numpy.get_printoptions()
    _plain_text(module).float_precision = value  # which sets that of arrays, too
    if numpy is not None:
        numpy.set_printoptions(**options)


def _printers(module: Any) -> dict[str, tuple[dict[Any, Any], ...]]:
    """Return what shows objects of which classes, by the kind of output."""
    formatters = module.get_ipython().display_formatter.formatters
    return {
        kind: (dict(each.type_printers), dict(each.deferred_printers), dict(each.singleton_printers))
        for kind, each in formatters.items()
    }


def _set_printers(module: Any, value: dict[str, tuple[dict[Any, Any], ...]]) -> None:
    formatters = module.get_ipython().display_formatter.formatters
    for kind, parts in value.items():
        each = formatters[kind]
        each.type_printers, each.deferred_printers, each.singleton_printers = map(dict, parts)


def _set_limits(module: Any, value: tuple[int, int]) -> None:
    recursions, digits = value
    module.setrecursionlimit(recursions)
    module.set_int_max_str_digits(digits)


STATES: Final = (
    LibraryState("random", lambda m: m.getstate(), lambda m, value: m.setstate(value), is_generator=True),
    LibraryState("numpy.random", _numpy_draws, _set_numpy_draws, is_generator=True),
    LibraryState("torch", _torch_draws, _set_torch_draws, is_generator=True),
    LibraryState(
        "matplotlib",
        _rc_parameters,
        lambda m, value: dict.update(m.rcParams, value),
        readers=frozenset({"matplotlib", "seaborn", "pandas", "statsmodels", "sklearn"}),
        original=lambda m: _without_backend(m.rcParamsOrig),
    ),
    LibraryState(
        "pandas._config.config",
        _pandas_options,
        _set_pandas_options,
        readers=frozenset({"pandas"}),
        original=lambda m: {name: option.defval for name, option in m._registered_options.items()},  # noqa: SLF001  # pandas tells no defaults otherwise
    ),
    LibraryState(
        "numpy",
        lambda m: m.get_printoptions(),
        lambda m, value: m.set_printoptions(**value),
        readers=frozenset({"numpy"}),
    ),
    LibraryState(
        "numpy",
        lambda m: m.geterr(),
        lambda m, value: m.seterr(**value),
        readers=frozenset({"numpy", "pandas", "scipy"}),
    ),
    LibraryState(
        "polars",
        lambda m: m.Config.save(),
        lambda m, value: m.Config.load(value),
        readers=frozenset({"polars"}),
    ),
    LibraryState(
        "warnings",
        lambda m: list(m.filters),
        _set_filters,
        readers=frozenset({"warnings"}),
    ),
    LibraryState(
        "sys",
        lambda m: (m.getrecursionlimit(), m.get_int_max_str_digits()),
        _set_limits,
        readers=frozenset({"sys"}),
    ),
    LibraryState("decimal", _decimals, _set_decimals, readers=frozenset({"decimal"})),
    LibraryState(
        "locale",
        lambda m: m.setlocale(m.LC_ALL),
        lambda m, value: m.setlocale(m.LC_ALL, value),
        readers=frozenset({"locale"}),
    ),
    LibraryState(
        "IPython",
        lambda m: _plain_text(m).float_precision,
        _set_precision,
        read_by=_shows_a_value,
    ),
    LibraryState("logging", _levels, _set_levels, readers=frozenset({"logging"})),
    LibraryState(  # the working directory, in which relative paths are
        "os",
        lambda m: m.getcwd(),
        lambda m, value: m.chdir(value),
        read_by=lambda code: needs_hook(code) or looks(code) or reads(code) or "getcwd" in code,
        is_read_in_functions=True,
        is_local=True,
    ),
    LibraryState(
        "socket",
        lambda m: (m.getdefaulttimeout(),),
        lambda m, value: m.setdefaulttimeout(*value),
        readers=frozenset({"socket"}),
    ),
    LibraryState(
        "gc",
        lambda m: m.get_threshold(),
        lambda m, value: m.set_threshold(*value),
        readers=frozenset({"gc"}),
        is_local=True,
    ),
    LibraryState(
        "sklearn",
        lambda m: m.get_config(),
        lambda m, value: m.set_config(**value),
        readers=frozenset({"sklearn"}),
    ),
    LibraryState(
        "xarray",
        lambda m: dict(m.get_options()),
        lambda m, value: m.set_options(**value),
        readers=frozenset({"xarray"}),
    ),
    LibraryState(
        "IPython",
        _printers,
        _set_printers,
        read_by=_shows_a_value,
        is_local=True,
        is_kept=False,
        words=("for_type", "_printers"),
    ),
    *PROCESS_STATES,
    *FIGURE_STATES,
)
