"""The tables behind engines of SQLAlchemy: what statements have defined them, added to them and read them.

An engine tells of each statement that it sends, whatever database it is for and whoever makes the statement: SQL in a cell,
pandas, a session of objects. Nothing here sends a statement.
"""

from __future__ import annotations

import sys
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.kernel.versions.databases import Statements

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_WITH_ENGINE: Final = frozenset(
    {
        "Engine",
        "Connection",
        "Session",
        "sessionmaker",
        "AsyncEngine",
        "AsyncConnection",
        "AsyncSession",
        "async_sessionmaker",
    }
    | {"scoped_session", "async_scoped_session"}
)
"""Classes whose objects have an engine. To look into others may send statements: a row of a table loads its columns."""
_LONGEST: Final = 2000
"""Characters of a statement that are read: what follows are rows."""


@dataclass
class StatementLog:
    """The tables of an engine: how often each was defined and added to, and those that were read since `begin`."""

    tables: dict[str, tuple[int, int]] = field(default_factory=dict)
    reads: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """Forget what was read: a body begins."""
        self.reads.clear()

    def note(self, statement: str) -> None:
        """Note a statement that was sent."""
        said = Statements.in_texts([statement[:_LONGEST]])
        self.reads |= said.reads - said.defines - said.adds
        for name in said.defines | said.adds:
            defined, added = self.tables.get(name, (0, 0))
            self.tables[name] = (defined + 1, 0) if name in said.defines else (defined, added + 1)


_LOGS: Final[MutableMapping[Any, StatementLog]] = weakref.WeakKeyDictionary()


def engine_of(value: Any) -> Any:
    """Return the engine behind an engine, a connection, a session or a maker of sessions of SQLAlchemy; None for any other value."""
    package = sys.modules.get("sqlalchemy.engine")
    if package is None or not _has_engine(type(value)):
        return None
    with suppress(Exception):  # a session that is bound to nothing
        for _ in range(3):  # a registry of sessions, its maker, the connection of a session
            if isinstance(value, package.Engine):
                return value
            value = _engine_below(value)
    return None


def _has_engine(kind: type) -> bool:
    return any(
        base.__name__ in _WITH_ENGINE and str(base.__module__).partition(".")[0] == "sqlalchemy"
        for base in kind.__mro__
    )


def _engine_below(value: Any) -> Any:
    """Return what a connection, a session or a maker of them has in place of an engine, which may be a connection."""
    factory = getattr(
        value, "session_factory", None
    )  # of a registry, which would begin a session to show its `bind`
    options = getattr(value if factory is None else factory, "kw", None)
    if factory is not None or isinstance(options, dict):
        return options.get("bind") if isinstance(options, dict) else None
    belows = (getattr(value, name, None) for name in ("sync_engine", "engine", "bind"))
    return next((below for below in belows if below is not None), None)


def log_of(engine: Any) -> StatementLog:
    """Return what is known of the statements that an engine has sent since it was asked for the first time."""
    known = _LOGS.get(engine)
    if known is not None:
        return known
    log = _LOGS[engine] = StatementLog()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        log.note(statement)

    sys.modules["sqlalchemy.event"].listen(engine, "after_cursor_execute", note)
    return log
