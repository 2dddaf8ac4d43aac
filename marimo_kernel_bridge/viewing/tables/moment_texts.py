"""Which moments of a column have a text as their cells show it, found without one of Python's dates for each: those take seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.viewing.tables import frame_filters

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK: Final = 65_536
"""Rows whose texts are in memory."""
_SECONDS: Final = len("2024-01-01 00:00:00")


def met(series: Any, operator: str, text: str) -> list[bool] | None:
    """Return for each moment of a series of narwhals whether it contains the text, or starts with it. A null does not.

    None where the cells may have nanoseconds, or NumPy is not installed.
    """
    try:
        import numpy as np  # noqa: PLC0415  # with most frames
    except ImportError:
        return None
    naive = series.dt.replace_time_zone(None)
    local = naive.to_numpy()
    if series.dtype.time_unit == "ns" and (
        not series.implementation.is_pandas() or (local.astype("M8[us]") != local)[~np.isnat(local)].any()
    ):
        return None
    if series.dtype.time_zone is None and (
        series.implementation.is_polars() or frame_filters.are_written_by_polars(series)
    ):
        return _met_by_polars(
            naive.to_native() if series.implementation.is_polars() else local, operator, text
        )
    offsets = None
    if series.dtype.time_zone is not None:
        offsets = local - series.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
    needle = text.replace(" ", "T")  # as NumPy writes the one space of a cell

    def test(texts: Any) -> Any:
        if operator == "starts":
            return np.char.startswith(texts, needle)
        return np.char.find(texts, needle) >= 0

    found: list[bool] = []
    for start in range(0, len(local), _CHUNK):
        end = start + _CHUNK
        found += _met(local[start:end], None if offsets is None else offsets[start:end], test)
    return found


def _met_by_polars(moments: Any, operator: str, text: str) -> list[bool]:
    """Do it for moments without a zone with polars, which writes five times as fast as NumPy, always with six digits."""
    import polars as pl  # noqa: PLC0415  # it is there

    exact = (moments if isinstance(moments, pl.Series) else pl.Series(moments.astype("M8[us]"))).cast(
        pl.Datetime("us")
    )
    texts = exact.cast(pl.String)

    def test(texts: Any) -> Any:
        return texts.str.starts_with(text) if operator == "starts" else texts.str.contains(text, literal=True)

    met = pl.when(exact.dt.microsecond() != 0).then(test(texts)).otherwise(test(texts.str.head(_SECONDS)))
    found: list[bool] = pl.select(met.fill_null(value=False)).to_series().to_list()
    return found


def _met(local: Any, offsets: Any, test: Callable[[Any], Any]) -> list[bool]:
    import numpy as np  # noqa: PLC0415  # it is there

    present = ~np.isnat(local)
    seconds, exact = local.astype("M8[s]"), local.astype("M8[us]")
    fraction = present & (seconds != exact)  # as Python writes moments: six digits, or none
    found = present & test(_with_offsets(np.datetime_as_string(seconds, unit="s"), offsets, present))
    if fraction.any():
        texts = np.datetime_as_string(exact[fraction], unit="us")
        shifts = None if offsets is None else offsets[fraction]
        found[fraction] = test(_with_offsets(texts, shifts, present[fraction]))
    result: list[bool] = found.tolist()
    return result


def _with_offsets(texts: Any, offsets: Any, present: Any) -> Any:
    import numpy as np  # noqa: PLC0415  # it is there

    if offsets is None:
        return texts
    counted = np.where(present, offsets.astype("m8[s]").astype("i8"), 0)
    kinds, places = np.unique(counted, return_inverse=True)
    return np.char.add(texts, np.array([_offset(int(one)) for one in kinds])[places])


def _offset(seconds: int) -> str:
    sign, size = ("-", -seconds) if seconds < 0 else ("+", seconds)
    text = f"{sign}{size // 3600:02}:{size // 60 % 60:02}"
    return f"{text}:{size % 60:02}" if size % 60 else text
