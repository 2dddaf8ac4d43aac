"""Why a value cannot be kept in a checkpoint: kinds of objects that are refused, and where in a value the obstacle is.

Some kinds pickle, but what comes back is not what it was: a file by its contents, a UI element without its page, a
temporary folder without its end. They are refused here; for all else the reason is what pickling raised.
"""

from __future__ import annotations

import functools
import itertools
import pickle
import types
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.kernel.versions.object_graph import held_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FILE: Final = "an open file cannot be kept"
_CONNECTION: Final = "a connection cannot be kept"
_TASK: Final = "a running task cannot be kept"
_LOCK: Final = "a lock cannot be kept"
_LIBRARY: Final = "what a loaded library has of its own cannot be kept"
_WEAK: Final = "a weak reference cannot be kept"
_PROCESS: Final = "a process cannot be kept"
_GENERATOR: Final = "a generator cannot be kept in the middle of its run"
_IN_PAGE: Final = "its state is in the page: running its cell makes it again"
_MAPPED: Final = "a file that is mapped into memory cannot be kept"
_SHARED: Final = "memory that processes share ends with them"
_TEMPORARY: Final = "a temporary file or folder ends with the process"

_REFUSED: Final[Mapping[tuple[str, str], str]] = {
    ("_io", "_IOBase"): _FILE,
    ("_ctypes", "Array"): "no module has the class of an array of ctypes",
    ("_ctypes", "CFuncPtr"): _LIBRARY,
    ("_asyncio", "Future"): _TASK,
    ("_asyncio", "Task"): _TASK,
    ("_duckdb", "DuckDBPyConnection"): _CONNECTION,
    ("_duckdb", "DuckDBPyRelation"): _CONNECTION,
    ("_socket", "socket"): _CONNECTION,
    ("_thread", "RLock"): _LOCK,
    ("_thread", "lock"): _LOCK,
    ("asyncio.events", "AbstractEventLoop"): _TASK,
    ("asyncio.futures", "Future"): _TASK,
    ("builtins", "async_generator"): _GENERATOR,
    ("builtins", "coroutine"): _GENERATOR,
    ("builtins", "generator"): _GENERATOR,
    ("builtins", "memoryview"): "a view of another object's memory cannot be kept",
    ("concurrent.futures._base", "Executor"): _PROCESS,
    ("concurrent.futures._base", "Future"): _TASK,
    ("ctypes", "CDLL"): _LIBRARY,
    ("duckdb.duckdb", "DuckDBPyConnection"): _CONNECTION,
    ("duckdb.duckdb", "DuckDBPyRelation"): _CONNECTION,
    ("ipywidgets.widgets.widget", "Widget"): _IN_PAGE,
    ("marimo._plugins.ui._core.ui_element", "UIElement"): _IN_PAGE,
    ("marimo._runtime.state", "SetFunctor"): _IN_PAGE,
    ("marimo._runtime.state", "State"): _IN_PAGE,
    ("mmap", "mmap"): _MAPPED,
    ("multiprocessing.connection", "Listener"): _CONNECTION,
    ("multiprocessing.connection", "_ConnectionBase"): _CONNECTION,
    ("multiprocessing.pool", "Pool"): _PROCESS,
    ("multiprocessing.process", "BaseProcess"): _PROCESS,
    ("multiprocessing.shared_memory", "ShareableList"): _SHARED,
    ("multiprocessing.shared_memory", "SharedMemory"): _SHARED,
    ("numpy", "memmap"): _MAPPED,
    ("sqlalchemy.engine.base", "Connection"): _CONNECTION,
    ("sqlalchemy.engine.base", "Engine"): _CONNECTION,
    ("sqlalchemy.orm.session", "Session"): _CONNECTION,
    ("sqlite3", "Blob"): _CONNECTION,
    ("sqlite3", "Connection"): _CONNECTION,
    ("sqlite3", "Cursor"): _CONNECTION,
    ("subprocess", "Popen"): _PROCESS,
    ("tempfile", "TemporaryDirectory"): _TEMPORARY,
    ("tempfile", "_TemporaryFileWrapper"): _TEMPORARY,
    ("threading", "Condition"): _LOCK,
    ("threading", "Event"): _LOCK,
    ("threading", "Semaphore"): _LOCK,
    ("threading", "Thread"): "a thread cannot be kept",
    ("weakref", "CallableProxyType"): _WEAK,
    ("weakref", "ProxyType"): _WEAK,
    ("weakref", "ReferenceType"): _WEAK,
    ("weakref", "finalize"): _WEAK,
}
"""The reason by the module and the name of a class or of one of its bases."""
_IN_MEMORY: Final = frozenset({("_io", "BytesIO"), ("_io", "StringIO")})
"""Files that are kept."""
_MOST_STEPS: Final = 100_000
"""Objects in which the obstacle is searched."""
_LONGEST: Final = 200
"""Characters of a reason."""


class RefusedError(Exception):
    """An object of a kind that is not kept. The text is the reason."""


@dataclass(frozen=True)
class Refusal:
    """A value that cannot be kept: its type, the reason (a clause), and the path to the obstacle inside of it ("" if it is the value).

    `ended`: its own code, which did not come back, was ended.
    """

    kind: str
    reason: str
    path: str = ""
    ended: bool = False


@functools.lru_cache(maxsize=1_000)
def reason_against(kind: type) -> str | None:
    """Return why instances of a class are never kept, None if they may be."""
    names = [(base.__module__, base.__name__) for base in kind.__mro__]
    if not _IN_MEMORY.isdisjoint(names):
        return None
    return next((_REFUSED[name] for name in names if name in _REFUSED), None)


def name_of(kind: type) -> str:
    """Return the name of a class as a person would write it."""
    module = kind.__module__
    return kind.__qualname__ if module in {"builtins", "__main__"} else f"{module}.{kind.__qualname__}"


def refusal(value: object, obstacle: object, error: BaseException) -> Refusal:
    """Return why a value cannot be kept. `obstacle` is the object that was being pickled when `error` was raised."""
    reason = reason_of(error)
    path = "" if _is_about_the_whole(error) else path_to(value, obstacle)
    if obstacle is not value and isinstance(error, RefusedError):
        reason = f"{name_of(type(obstacle))}: {reason}"
    return Refusal(name_of(type(value)), reason, path)


def _is_about_the_whole(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or _is_too_deep(error)


def _is_too_deep(error: BaseException) -> bool:
    # cloudpickle raises another error from this one.
    return isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError)


def reason_of(error: BaseException) -> str:
    """Return what an error says, as a clause for the person."""
    if isinstance(error, MemoryError):
        return "there is not enough memory to pickle it"
    if _is_too_deep(error):
        return "it is nested too deeply"
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  # a class of the user's
        text = ""
    if not isinstance(error, (RefusedError, pickle.PicklingError)):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def path_to(value: object, obstacle: object) -> str:
    """Return how an object is reached from a value (`['db'].connection`); "" if it is the value, or is not found."""
    ways: dict[int, tuple[int, str]] = {
        id(value): (0, "")
    }  # by object: the one that holds it, and the step from there
    waiting = deque([value])
    while waiting and len(ways) < _MOST_STEPS:
        holder = waiting.popleft()
        for step, part in itertools.islice(_parts(holder), _MOST_STEPS):
            if id(part) in ways:
                continue
            ways[id(part)] = (id(holder), step)
            if part is obstacle:
                return _joined(ways, id(part))
            waiting.append(part)
    return ""


def _joined(ways: Mapping[int, tuple[int, str]], at: int) -> str:
    steps = []
    while at:
        at, step = ways[at]
        steps.append(step)
    return "".join(reversed(steps))


def _parts(holder: Any) -> Iterator[tuple[str, object]]:  # of whatever class
    """Yield what an object holds, and how a person would write the way to it. Runs no code of its class."""
    kind = type(holder)
    if issubclass(kind, (str, bytes, int, float, type, types.ModuleType, types.CodeType)):
        return
    if issubclass(kind, dict):
        for key, part in itertools.islice(dict.items(holder), _MOST_STEPS):
            yield f"[{_key(key)}]", part
    elif issubclass(kind, (list, tuple)):
        base = list if issubclass(kind, list) else tuple
        for index, part in enumerate(itertools.islice(base.__iter__(holder), _MOST_STEPS)):
            yield f"[{index}]", part
    elif issubclass(kind, types.FunctionType):
        for name, cell in zip(holder.__code__.co_freevars, holder.__closure__ or (), strict=False):
            yield f".<closure>.{name}", cell
        yield from _named(holder.__dict__)
        yield from ((".__defaults__", part) for part in holder.__defaults__ or ())
        return  # its globals are the live namespace
    own = _attributes(holder)
    yield from _named(own)
    known = {id(part) for part in own.values()}
    for part in held_by(holder):
        if id(part) not in known and part is not own and part is not kind:
            yield ("" if isinstance(holder, types.CellType) else "…"), part


def _attributes(holder: object) -> dict[str, object]:
    try:
        own = object.__getattribute__(holder, "__dict__")
    except AttributeError:
        return {}
    return own if type(own) is dict else {}


def _named(own: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, part in list(own.items()):
        yield f".{name}", part


def _key(key: object) -> str:
    text = repr(key) if type(key) in {str, int, float, bool, type(None)} else f"<{name_of(type(key))}>"
    return text if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004  # a key that is read as one
