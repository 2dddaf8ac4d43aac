"""The tables that the viewers show: a million rows of 15 columns in four forms, and fifty million in a Parquet file.

Made once, below .build/benchmarks/views. What is measured waits for values that are known from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.contenders import BUILD
from benchmarks.measuring import say

if TYPE_CHECKING:
    from pathlib import Path

ROWS: Final = 1_000_000
MANY: Final = 50_000_000
FOLDER: Final = BUILD / "benchmarks" / "views"

NUMBER, TEXT = "number", "name"
"""Columns that are sorted: each value once, in no order."""
GROUP, VALUE = "city", "city 7"
PART: Final = "99999"
"""What some of the names contain."""

MAKE: Final = f"""
import numpy as np, polars as pl
random = np.random.default_rng(1)
number = random.permutation({ROWS})
table = pl.DataFrame({{
    "id": np.arange({ROWS}), "number": number,
    "name": [f"name {{one:07}}" for one in random.permutation({ROWS})],
    "city": [f"city {{one}}" for one in random.integers(0, 1000, {ROWS})],
    "flag": random.integers(0, 2, {ROWS}) == 1,
    "day": np.datetime64("2000-01-01") + random.integers(0, 9000, {ROWS}),
    "at": np.datetime64("2000-01-01T00:00:00", "us") + random.integers(0, 10**15, {ROWS}),
    "small": random.integers(0, 9, {ROWS}), "large": random.integers(0, 2**40, {ROWS}),
    "price": random.random({ROWS}) * 1000, "share": random.random({ROWS}),
    "normal": random.normal(size={ROWS}), "skewed": random.exponential(size={ROWS}),
    "sparse": pl.Series(random.random({ROWS})).set(pl.Series(random.random({ROWS}) < 0.3), None),
    "kind": np.array(["a", "b", "c", "d"])[random.integers(0, 4, {ROWS})],
}})
"""


@dataclass(frozen=True)
class Known:
    """What the table has: bytes in memory, and the number of rows in which the city is `VALUE`, and the name contains `PART`."""

    parquet: Path
    csv: Path
    size: int
    equal: int
    containing: int


def table() -> Known:
    """Make the million rows if they are not there."""
    import polars as pl  # noqa: PLC0415  # for this alone

    FOLDER.mkdir(parents=True, exist_ok=True)
    parquet, csv = FOLDER / "table.parquet", FOLDER / "table.csv"
    if not csv.exists():
        say("making a million rows ... ", end="")
        names: dict[str, pl.DataFrame] = {}
        exec(MAKE, names)  # noqa: S102  # what kernels run, too
        names["table"].write_parquet(parquet, row_group_size=100_000)
        names["table"].write_csv(csv.with_suffix(".part"))
        csv.with_suffix(".part").rename(csv)
    equal, containing = (
        pl.scan_parquet(parquet)
        .select((pl.col(GROUP) == VALUE).sum(), pl.col(TEXT).str.contains(PART, literal=True).sum())
        .collect()
        .row(0)
    )
    size = int(pl.read_parquet(parquet).estimated_size())
    return Known(parquet, csv, size, equal, containing)


def many() -> Path:
    """Make the fifty million rows if they are not there: `id` is the position."""
    import duckdb  # noqa: PLC0415  # for this alone

    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "many.parquet"
    if not path.exists():
        say("making fifty million rows ... ", end="")
        part = path.with_suffix(".part")
        query = f"SELECT range AS id, hash(range) % 1000 AS city, (hash(range) % 100000) / 7.0 AS price, 'kind ' || range % 4 AS kind FROM range({MANY})"  # noqa: S608  # no value of anybody's
        duckdb.sql(f"COPY ({query}) TO '{part}' (FORMAT parquet)")
        part.rename(path)
    return path
