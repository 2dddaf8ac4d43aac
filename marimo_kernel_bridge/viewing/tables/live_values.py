"""Which table a live value is. Nothing of the value is changed, and as little as possible of it copied."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.value_text import class_name, library_class
from marimo_kernel_bridge.inspecting.variables import without_attrs
from marimo_kernel_bridge.startup.import_path import own_imports
from marimo_kernel_bridge.viewing.tables.cells import label_text
from marimo_kernel_bridge.viewing.tables.failures import reason
from marimo_kernel_bridge.viewing.tables.plain import Array, Lists, PlainTable, Records
from marimo_kernel_bridge.viewing.tables.plain_values import is_plain_kind, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.viewing.table import Cancellation, Table

_HEAD: Final = 500
_MEMORY_SHARE: Final = 0.25
_RELATION_MAX: Final = 5_000_000
_POINTERS_MAX: Final = 500
"""Columns whose place in memory is compared."""


def table_of(value: Any) -> Table | None:
    """Return the table that a value is; None if it is none. Raises `BridgeError`: not_a_table, not_installed."""
    kind = type(value)
    for library, kinds in KINDS.items():
        for name, make in kinds:
            type_ = library_class(library, name)
            if type_ is not None and issubclass(kind, type_):
                return make(value)
    if issubclass(kind, list | tuple) and value and all(issubclass(type(row), dict) for row in value):
        return PlainTable(Records(value))
    if (
        issubclass(kind, dict)
        and value
        and all(issubclass(type(one), list | tuple) for one in value.values())
    ):
        if len({len(one) for one in value.values()}) > 1:
            raise BridgeError("not_a_table", "The lists of this dict have different lengths.")
        return PlainTable(Lists(value))
    return _exchanged(value)


def no_table(kind: type) -> BridgeError:
    """Return the refusal of a value that is no table."""
    return BridgeError(
        "not_a_table",
        f"The value is a {class_name(kind)}, which is not a table.",
        "Shown are data frames, Arrow tables, relations of DuckDB, arrays with one or two dimensions, lists of dicts and dicts of lists.",
    )


def is_read_through_a_connection(value: object) -> bool:
    """Return whether reading the value runs statements on a connection that the notebook's own may need meanwhile.

    A relation of DuckDB does, and so may any foreign class that hands out its rows when they are asked for.
    """
    library = class_name(type(value)).partition(".")[0]
    if library in {"duckdb", "_duckdb"}:
        return True
    foreign = library not in {"pandas", "polars", "pyarrow"}
    return foreign and any(hasattr(type(value), name) for name in ("__arrow_c_stream__", "__dataframe__"))


def _pandas_frame(frame: Any, kind: str = "pandas DataFrame") -> Table:
    import pandas as pd  # noqa: PLC0415  # imported: the value is pandas'

    bare = without_attrs(frame)  # which pandas copies with every part, by code of what they are
    levels, notes = _index_levels(bare)
    columns = [(label_text(label), bare.iloc[:, number]) for number, label in enumerate(bare.columns)]
    if not (levels or columns):
        raise BridgeError("not_a_table", "The DataFrame has no columns.")
    positions = pd.RangeIndex(len(bare))
    parts = {}
    for number, (_, part) in enumerate([*levels, *columns]):
        part.index = positions  # of the part alone; else pandas compares the labels
        parts[str(number)] = (
            part
            if _is_plain(part)
            else pd.Series(list(map(plain, part.array.tolist())), positions, dtype=object)
        )
    # Series share their memory with the frame. (Those that change in place are copied by pandas 3 for whoever changes them.)
    taken = pd.DataFrame(parts, index=positions, copy=False)
    dtypes = [str(part.dtype) for _, part in (*levels, *columns)]
    objects = frozenset(number for number, dtype in enumerate(taken.dtypes) if _holds_objects(dtype))
    return frame_table(
        kind,
        taken,
        [name for name, _ in (*levels, *columns)],
        dtypes,
        objects,
        notes,
        fingerprint=lambda: _pandas_fingerprint(frame),
    )


def _is_plain(column: Any) -> bool:
    """Return whether all objects in a column are Python's own: of each other one pandas asks by its code what it is."""
    if not _holds_objects(column.dtype):
        return True
    kinds = list(map(type, column.array.__array__(dtype=object).tolist()))
    by_identity = dict(zip(map(id, kinds), kinds, strict=True))  # a class may say how it is compared
    return all(is_plain_kind(kind) for kind in by_identity.values())


def _holds_objects(dtype: Any) -> bool:
    """Return whether the values decide the kind of a column: objects, and categories that are no texts."""
    categories = getattr(dtype, "categories", None)
    if categories is not None and str(dtype) == "category":
        return any(type(one) is not str for one in categories)
    return str(dtype) == "object"


def _index_levels(frame: Any) -> tuple[list[tuple[str, Any]], list[str]]:
    """Return the index as columns, as people see it; nothing for the numbers from 0 on that every frame has."""
    import pandas as pd  # noqa: PLC0415  # imported: the value is pandas'

    index = frame.index
    is_range = issubclass(type(index), pd.RangeIndex)
    if is_range and index.start == 0 and index.step == 1 and index.name is None:
        return [], []
    levels = []
    for number in range(index.nlevels):
        label = index.names[number]
        name = (
            label_text(label) if label is not None else "index" if index.nlevels == 1 else f"level_{number}"
        )
        levels.append((name, _level(index, number)))
    shown = ", ".join(name for name, _ in levels)
    return levels, [f"The index is shown as the first column{'s' if len(levels) > 1 else ''}: {shown}."]


def _level(index: Any, number: int) -> Any:
    """Return the labels of a level as a column, as they are: neither their type is guessed nor the level's name hashed."""
    import pandas as pd  # noqa: PLC0415  # imported: the value is pandas'

    array = (index.get_level_values(number) if index.nlevels > 1 else index).array
    return pd.Series(array, dtype=array.dtype, copy=False)


def _pandas_fingerprint(frame: Any) -> object:
    with own_imports():
        from marimo_kernel_bridge.viewing.tables.frames import sampled  # noqa: PLC0415  # narwhals is slow to import

    frame = without_attrs(frame)
    pointers = []
    for number in range(0, frame.shape[1], max(1, frame.shape[1] // _POINTERS_MAX)):
        column = frame.iloc[:, number]
        if type(column.dtype).__module__.startswith("numpy"):
            pointers.append(column.to_numpy().__array_interface__["data"][0])
    return (
        frame.shape,
        tuple(map(label_text, frame.columns[:_POINTERS_MAX])),
        tuple(pointers),
        id(frame.index),
        sampled(lambda column, step: frame.iloc[::step, column].to_list(), len(frame), frame.shape[1]),
    )


def _pandas_series(series: Any) -> Table:
    return _pandas_frame(without_attrs(series).to_frame())


def _polars_frame(frame: Any, kind: str = "polars DataFrame", notes: Sequence[str] = ()) -> Table:
    with own_imports():
        from marimo_kernel_bridge.viewing.tables.frames import sampled  # noqa: PLC0415  # narwhals is slow to import

    if not frame.width:
        raise BridgeError("not_a_table", "The DataFrame has no columns.")
    taken = frame.clone()
    taken.columns = [str(number) for number in range(frame.width)]
    return frame_table(
        kind,
        taken,
        list(frame.columns),
        [str(dtype) for dtype in frame.dtypes],
        notes=notes,
        fingerprint=lambda: (
            frame.shape,
            tuple(frame.columns),
            sampled(
                lambda column, step: _listed(frame.to_series(column).gather_every(step)),
                frame.height,
                frame.width,
            ),
        ),
    )


def _listed(series: Any) -> list[Any]:
    """Return the values of a series of polars; as its texts where Python has no such year."""
    try:
        values: list[Any] = series.to_list()
    except (ValueError, OverflowError):
        values = series.cast(str).to_list()
    return values


def _polars_series(series: Any) -> Table:
    return _polars_frame(series.to_frame(), "polars Series")


def _arrow_table(table: Any, kind: str = "pyarrow Table") -> Table:
    if not table.num_columns:
        raise BridgeError("not_a_table", "The table has no columns.")
    import pyarrow as pa  # noqa: PLC0415  # imported: the value is pyarrow's

    if not isinstance(table, pa.Table):
        table = pa.Table.from_batches([table])
    names = [str(number) for number in range(table.num_columns)]
    dtypes = [str(field.type) for field in table.schema]
    taken = _computable(table.rename_columns(names))
    return frame_table(kind, taken, list(table.column_names), dtypes)


def _computable(table: Any) -> Any:
    """Return a table of pyarrow with copies of the columns whose types pyarrow neither sorts nor takes rows of."""
    import pyarrow as pa  # noqa: PLC0415  # imported: the value is pyarrow's

    for number, field in enumerate(table.schema):
        column, dtype = table.column(number), field.type
        if getattr(pa.types, "is_run_end_encoded", bool)(dtype) is True:
            values = [pa.array(part.to_pylist(), dtype.value_type) for part in column.chunks]
            column = pa.chunked_array(values, dtype.value_type)
            dtype = dtype.value_type
        for type_, other in (
            ("is_float16", pa.float32()),
            ("is_string_view", pa.large_string()),
            ("is_binary_view", pa.large_binary()),
        ):
            if getattr(pa.types, type_, bool)(dtype) is True:
                column = column.cast(other)
        if column is not table.column(number):
            table = table.set_column(number, field.name, column)
    return table


def _polars_lazy(frame: Any) -> Table:
    """Show the first rows at once, and all of them when the plan has run once more: not again for each page."""
    import polars as pl  # noqa: PLC0415  # imported: the value is polars'

    from marimo_kernel_bridge.viewing.tables.loading import LoadingTable  # noqa: PLC0415  # rarely needed

    try:
        first = frame.head(_HEAD).collect()
    except pl.exceptions.PolarsError as error:
        raise BridgeError("bad_data", f"The plan of the LazyFrame fails: {reason(error)}.") from None

    def load(cancellation: Cancellation) -> Table:
        most = _rows_in_memory(first.estimated_size() / max(1, first.height))

        def passed(part: Any) -> Any:
            cancellation.check()
            return part

        # Polars ends no query; but what a function in it raises does, with the next rows that come out of the plan
        watched = frame.head(most + 1).map_batches(passed, streamable=True)
        try:
            read = watched.collect(engine="streaming")
        finally:
            cancellation.check()
        cut = read.height > most
        notes = (f"Shown are the first {most:,} rows: more would fill the memory.",) if cut else ()
        read = read.head(most)
        return _polars_frame(read, "polars LazyFrame", notes)

    return LoadingTable(_polars_frame(first, "polars LazyFrame"), "Running the plan", load, lambda: None)


def _rows_in_memory(size: float) -> int:
    """Return how many rows of this size fit into a part of the memory that is free."""
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415  # it has no types; rarely needed

    return max(_HEAD, int(psutil.virtual_memory().available * _MEMORY_SHARE / max(1.0, size)))


def _relation(relation: Any) -> Table:
    """Read a relation of DuckDB into a database of ours, at once.

    It belongs to the person's connection, which does one thing at a time: a page that read it later would make the
    person's own statements fail. So would this, beside them: see `is_read_through_a_connection`.
    """
    import duckdb  # noqa: PLC0415  # imported: the value is DuckDB's

    from marimo_kernel_bridge.viewing.tables.duck import Database  # noqa: PLC0415  # needs DuckDB
    from marimo_kernel_bridge.viewing.tables.duck_table import loaded_table  # noqa: PLC0415  # needs DuckDB

    database = Database()
    try:
        database.load(_Stream(relation.limit(_RELATION_MAX)), _RELATION_MAX)
        cut = database.run("SELECT count(*) FROM loaded")[0][0] == _RELATION_MAX
        notes = (f"Shown are the first {_RELATION_MAX:,} rows.",) if cut else ()
        return loaded_table(database, "DuckDB relation", None, notes)
    except duckdb.Error as error:
        database.close()
        if isinstance(error, getattr(duckdb, "ResourceInUseException", ())):
            raise BridgeError(
                "kernel_busy", "The relation's connection is in use.", "Try it again later."
            ) from None
        raise BridgeError("bad_data", f"The relation cannot be read: {reason(error)}.") from None
    except BaseException:
        database.close()
        raise


class _Stream:
    """A relation by its Arrow interface alone: DuckDB refuses relations of other connections."""

    def __init__(self, relation: Any) -> None:
        self._relation = relation

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._relation.__arrow_c_stream__(requested_schema)


def _array(array: Any) -> Table:
    if array.dtype.names is None and array.ndim not in {1, 2}:
        raise BridgeError(
            "not_a_table", f"The array has {array.ndim} dimensions: an array with one or two can be shown."
        )
    return PlainTable(Array(array))


def _exchanged(value: Any) -> Table | None:
    """Return the table of a value that others can read as Arrow's memory, or by the interchange protocol."""
    if hasattr(value, "read_next_batch"):
        raise BridgeError(
            "not_a_table", "A stream can be read only once: read it into a table, and show that.", ""
        )
    kind = class_name(type(value))
    kind = f"{kind.partition('.')[0]} {kind.rpartition('.')[2]}"
    if hasattr(type(value), "__arrow_c_stream__") or hasattr(type(value), "__arrow_c_array__"):
        if _installed("polars"):
            with own_imports():
                import polars as pl  # noqa: PLC0415  # only where another library's value is read

            read = pl.DataFrame(value)
            return _polars_frame(read, kind)
        if _installed("pyarrow"):
            with own_imports():
                import pyarrow as pa  # noqa: PLC0415  # only where another library's value is read

            return _arrow_table(pa.table(value), kind)
        raise BridgeError(
            "not_installed", f"A {kind} is read with polars or pyarrow, and neither is installed."
        )
    if hasattr(type(value), "__dataframe__"):
        return _interchanged(value, kind)
    return None


def _interchanged(value: Any, kind: str) -> Table:
    """Return the table of a value with the interchange protocol, which polars reads no more from its version 2 on."""
    if _installed("pandas"):
        with own_imports():
            from pandas.api.interchange import from_dataframe  # noqa: PLC0415  # only where such a value is read

        return _pandas_frame(from_dataframe(value), kind)
    if _installed("pyarrow"):
        with own_imports():
            from pyarrow import interchange  # noqa: PLC0415  # only where such a value is read

        return _arrow_table(interchange.from_dataframe(value), kind)
    raise BridgeError("not_installed", f"A {kind} is read with pandas or pyarrow, and neither is installed.")


def frame_table(  # noqa: PLR0917  # as FrameTable
    kind: str,
    native: Any,
    names: Sequence[str],
    dtypes: Sequence[str],
    objects: frozenset[int] = frozenset(),
    notes: Sequence[str] = (),
    fingerprint: Callable[[], object] = lambda: None,
    altered: Callable[[], Literal["", "changed", "gone"]] | None = None,
) -> Table:
    """Return a frame whose columns are named by their positions as a table."""
    with own_imports():
        import narwhals as nw  # noqa: PLC0415  # only where frames are shown

        from marimo_kernel_bridge.viewing.tables.frames import FrameTable  # noqa: PLC0415  # only where frames are shown

    frame = nw.from_native(native, eager_only=True)
    return FrameTable(kind, frame, names, dtypes, objects, notes, fingerprint, altered)


def _installed(library: str) -> bool:
    return library in sys.modules or importlib.util.find_spec(library) is not None


EXCHANGED: Final = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__")
"""The methods by which a value of any class hands out its rows."""
KINDS: Final = {
    "pandas": (("DataFrame", _pandas_frame), ("Series", _pandas_series)),
    "polars": (("DataFrame", _polars_frame), ("Series", _polars_series), ("LazyFrame", _polars_lazy)),
    "pyarrow": (("Table", _arrow_table), ("RecordBatch", _arrow_table)),
    "duckdb": (("DuckDBPyRelation", _relation),),
    "numpy": (("ndarray", _array),),
}
"""By library, so that a value of one that is not imported is not looked for."""
