"""State of the process, of Python's own libraries and of others, looked at once a cell names it.

To look at it takes time, or other threads notice: so a notebook that does not name it pays nothing. Main thread only.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.kernel.versions.file_mentions import needs_hook
from marimo_kernel_bridge.kernel.versions.placed_state import when_named

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILES_ARE_PRIVATE: Final = 0o077
"""The mask while the one in force is looked at where only setting one tells it: a file that a thread makes then is nobody else's."""
_zone: tuple[tuple[Any, ...], str | None] = (), None
"""What `time` says of the time zone, and the `TZ` that has made it so."""


def _mask(module: Any) -> int:
    with suppress(OSError, StopIteration), open("/proc/self/status") as status:  # noqa: PTH123  # Linux
        return int(next(line for line in status if line.startswith("Umask:")).split()[1], 8)
    mask: int = module.umask(_FILES_ARE_PRIVATE)
    module.umask(mask)
    return mask


def _stack_size(module: Any) -> int:
    size: int = module.stack_size()  # which sets it to the default
    module.stack_size(size)
    return size


def _time_zone(module: Any) -> tuple[tuple[Any, ...], str | None]:
    """Return the time zone with the `TZ` that makes it, which may be another one now: only `tzset` reads it."""
    global _zone  # noqa: PLW0603  # the C library has one time zone for the process
    seen = module.tzname, module.timezone, module.altzone, module.daylight
    if seen != _zone[0]:
        _zone = seen, os.environ.get("TZ")
    return _zone


def _set_time_zone(module: Any, value: tuple[tuple[Any, ...], str | None]) -> None:
    global _zone
    _zone, now = value, os.environ.get("TZ")
    _set_variable("TZ", value[1])
    try:
        module.tzset()
    finally:
        _set_variable("TZ", now)


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


_DIALECT: Final = ("delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting", "skipinitialspace", "strict")  # fmt: skip


_EXCEL: Final = dict(zip(_DIALECT, (",", True, None, "\r\n", '"', 0, False, False), strict=True))
_DIALECTS: Final = {
    "excel": _EXCEL,
    "excel-tab": {**_EXCEL, "delimiter": "\t"},
    "unix": {**_EXCEL, "lineterminator": "\n", "quoting": 1},
}


def _dialects(module: Any) -> dict[str, dict[str, Any]]:
    return {
        name: {part: getattr(module.get_dialect(name), part) for part in _DIALECT}
        for name in module.list_dialects()
    }


def _set_dialects(module: Any, value: Mapping[str, Mapping[str, Any]]) -> None:
    now = _dialects(module)
    for name in now.keys() - value.keys():
        module.unregister_dialect(name)
    for name, dialect in value.items():
        if now.get(name) != dialect:
            module.register_dialect(name, **dialect)


def _numbers() -> tuple[int, ...]:
    """Return the signals whose handlers are looked at: not those by which the kernel is interrupted, or ended from outside."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGKILL", "SIGSTOP")
    kept = {getattr(signal, name) for name in names if hasattr(signal, name)}
    return tuple(int(number) for number in signal.valid_signals() - kept)


_SIGNALS: Final = _numbers()
_HARMLESS: Final = frozenset(
    int(getattr(signal, name))
    for name in ("SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH")
    if hasattr(signal, name)
)
"""Signals that do nothing by default. To ignore SIGCHLD would lose how children have ended."""


def _signals(module: Any) -> dict[int, Any]:
    """Return the functions that are called for signals. `module` is the one in C: the other makes names of numbers."""
    found = ((number, module.getsignal(number)) for number in _SIGNALS)
    return {number: handler for number, handler in found if callable(handler)}


def _set_signals(module: Any, value: Mapping[int, Any]) -> None:
    """Set the functions for signals. Others are ignored where the default is to end the process: a timer may go on."""
    now = _signals(module)
    for number in now.keys() | value.keys():
        if now.get(number) is not value.get(number):
            module.signal(
                number, value.get(number, module.SIG_DFL if number in _HARMLESS else module.SIG_IGN)
            )


_PLAIN_LOGGER: Final = (), (), True, False
_FOR_ALL: Final = "*"


def _handlers(module: Any) -> dict[str, tuple[Any, ...]]:
    """Return what loggers have besides their levels, of those that have anything, and what holds for all."""
    found = {"": module.root, **module.root.manager.loggerDict}
    kept = {
        name: (tuple(logger.handlers), tuple(logger.filters), logger.propagate, logger.disabled)
        for name, logger in found.items()
        if isinstance(logger, module.Logger)
        and (logger.handlers or logger.filters or logger.disabled or logger.propagate is not True)
    }
    return {
        **kept,
        _FOR_ALL: (module.root.manager.disable, module.getLoggerClass(), module.getLogRecordFactory()),
    }


def _set_handlers(module: Any, value: Mapping[str, tuple[Any, ...]]) -> None:
    now = _handlers(module)
    for name in (now.keys() | value.keys()) - {_FOR_ALL}:
        parts = value.get(name, _PLAIN_LOGGER)
        if now.get(name, _PLAIN_LOGGER) != parts:
            logger = module.getLogger(name or None)
            logger.handlers[:], logger.filters[:] = map(list, parts[:2])
            logger.propagate, logger.disabled = parts[2:]
    disabled, kind, factory = value[_FOR_ALL]
    module.disable(disabled)  # which forgets what each logger knows of its level
    module.setLoggerClass(kind)
    module.setLogRecordFactory(factory)


def _set_collector(module: Any, value: tuple[bool, int]) -> None:
    is_enabled, flags = value
    (module.enable if is_enabled else module.disable)()
    module.set_debug(flags)


def _set_array_calls(module: Any, value: tuple[Any, int]) -> None:
    module.seterrcall(value[0])
    module.setbufsize(value[1])


PROCESS_STATES: Final = (
    when_named(
        ("umask",),
        "os",
        _mask,
        lambda m, value: m.umask(value),
        read_by=lambda code: needs_hook(code) or "umask" in code,
    ),
    when_named(("tzset", "TZ"), "time", _time_zone, _set_time_zone, "time", "datetime", "pandas", "email"),
    when_named(("dialect",), "csv", _dialects, _set_dialects, "csv", "_csv", "pandas", loaded=_DIALECTS),
    when_named(
        ("field_size_limit",),
        "csv",
        lambda m: m.field_size_limit(),
        lambda m, value: m.field_size_limit(value),
        "csv",
        "_csv",
        loaded=131_072,
    ),
    when_named(
        ("Handler", ".handlers", "Config(", "Filter(", ".filters", "propagate", "disable", "setLog"),
        "logging",
        _handlers,
        _set_handlers,
        "logging",
        "warnings",
    ),
    when_named(
        ("signal.signal(", "from signal import"), "signal", _signals, _set_signals, "signal", "_signal", "os"
    ),
    when_named(
        ("gc.enable", "gc.disable", "gc.set_debug", "from gc import"),
        "gc",
        lambda m: (m.isenabled(), m.get_debug()),
        _set_collector,
        "gc",
    ),
    when_named(
        ("stack_size",),
        "threading",
        _stack_size,
        lambda m, value: m.stack_size(value),
        "threading",
    ),
    when_named(
        ("set_start_method",),
        "multiprocessing",
        lambda m: (m.get_start_method(allow_none=True),),
        lambda m, value: m.set_start_method(*value, force=True),
        "multiprocessing",
        loaded=(None,),
    ),
    when_named(
        ("seterrcall", "setbufsize"),
        "numpy",
        lambda m: (m.geterrcall(), m.getbufsize()),
        _set_array_calls,
        "numpy",
        "pandas",
        "scipy",
    ),
    when_named(
        ("mpmath", ".dps"),
        "mpmath",
        lambda m: m.mp.prec,
        lambda m, value: setattr(m.mp, "prec", value),
        "mpmath",
        loaded=53,
        is_shown=True,
    ),
    when_named(
        ("seterr", "errstate"),
        "scipy.special",
        lambda m: m.geterr(),
        lambda m, value: m.seterr(**value),
        "scipy",
    ),
)
"""Each is looked at from the first cell on whose text has one of the words."""
