"""Arrays and frames in a checkpoint: views look into the same memory, frames do not, large buffers stand beside the stream."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.kernel.checkpoints.value_pickler import OUT_OF_BAND
from tests.unit.kernel.checkpoints.notebook_values import Notebook

LARGE = OUT_OF_BAND // 8


def test_a_write_through_a_view_still_shows(notebook: Notebook) -> None:
    notebook.run(
        f"""
        import numpy as np
        base = np.arange({2 * LARGE}).reshape(2, -1)
        row, turned, backwards, raw = base[1], base.T, base[:, ::-2], base.view('u1')
        """
    )
    names = "row turned base backwards raw"
    assert notebook.grouped(names) == [names]
    expected = {name: notebook.names[name].copy() for name in names.split()}
    new = notebook.restored(names)
    for name, array in expected.items():
        assert np.array_equal(new.names[name], array)
    new.run("row[5] = -1; turned[-1, 0] = -2; raw[0, 0] = 9; backwards[0, 0] = -3; base[0, 1] = -4")
    assert new.value(f"base[1, 5], base[0, {LARGE - 1}], base[0, 0], turned[1, 0]") == (-1, -3, 9, -4)


@pytest.mark.parametrize("dtype", ["'f4'", "object", "'M8[s]'", "[('a', 'i4'), ('b', 'f8')]", "'S3'"])
def test_views_of_any_type_do_not_part(notebook: Notebook, dtype: str) -> None:
    notebook.run(
        f"import numpy as np\nbase = np.zeros((300, 100), {dtype}, order='F')\npart = base[10:20, ::3]"
    )
    new = notebook.restored("base part")
    new.run("import numpy as np; base[10, 3] = base[11, 4] = np.ones(1, base.dtype)[0]")
    assert new.value("part[0, 1] == base[10, 3] and part.base is not None and part.shape == (10, 34)")


def test_a_field_of_a_record_array_stays_a_view(notebook: Notebook) -> None:
    notebook.run("import numpy as np\nrecords = np.zeros(9, [('a', 'i4'), ('b', 'f8')])\nb = records['b']")
    new = notebook.restored("records b")
    new.run("b[3] = 7")
    assert new.value("records[3]['b']") == 7


def test_views_inside_of_one_value_do_not_part(notebook: Notebook) -> None:
    notebook.run("import numpy as np\nheld = {'all': np.zeros(100_000)}\nheld['some'] = held['all'][10:]")
    new = notebook.restored("held")
    new.run("held['some'][0] = 5")
    assert new.value("held['all'][10]") == 5


def test_views_whose_base_has_no_name_do_not_part(notebook: Notebook) -> None:
    notebook.run("import numpy as np\nbase = np.zeros(100_000)\na, b = base[:60_000], base[50_000:]")
    new = notebook.restored("a b")
    new.run("a[50_000] = 5")
    assert new.value("b[0], a.shape, b.shape") == (5, (60_000,), (50_000,))


def test_a_view_by_itself_takes_no_more_than_it_shows(notebook: Notebook) -> None:
    notebook.run("import numpy as np\nbase = np.zeros(1_000_000)\na, b = base[:20_000], base[50_000:60_000]")
    groups = notebook.groups("a b")
    assert (
        sum(len(group.stream) + sum(buffer.nbytes for buffer in group.buffers) for group in groups) < 250_000
    )


def test_large_buffers_are_not_copied(notebook: Notebook) -> None:
    notebook.run(
        f"""
        import numpy as np
        flat = np.zeros({LARGE})
        days = np.zeros({LARGE}, 'M8[D]')
        thin = np.zeros(({LARGE}, 4))[:, 1:3]
        small = np.zeros(10)
        """
    )
    groups = {group.names[0]: group for group in notebook.groups("flat days thin small")}
    assert np.shares_memory(np.frombuffer(groups["flat"].buffers[0]), notebook.names["flat"])
    assert np.shares_memory(np.frombuffer(groups["days"].buffers[0]), notebook.names["days"].view("f8"))
    assert [buffer.nbytes for buffer in groups["thin"].buffers] == [OUT_OF_BAND * 2]
    assert groups["small"].buffers == ()
    assert all(len(group.stream) < 1_000 for group in groups.values())
    new = notebook.restored("days thin small")
    assert new.value("days.dtype.str, thin.shape, small.flags.writeable") == ("<M8[D]", (LARGE, 2), True)


def test_arrays_that_cannot_be_written_still_cannot(notebook: Notebook) -> None:
    notebook.run(
        f"""
        import numpy as np
        base = np.zeros({LARGE})
        fixed, seen = np.zeros({LARGE}), base[1:]
        few = np.zeros(3)
        for each in fixed, seen, few: each.flags.writeable = False
        """
    )
    new = notebook.restored("base fixed seen few")
    assert new.value("[each.flags.writeable for each in (base, fixed, seen, few)]") == [
        True,
        False,
        False,
        False,
    ]


def test_subclasses_of_arrays_come_back(notebook: Notebook) -> None:
    notebook.run(
        """
        import numpy as np
        masked = np.ma.masked_array(np.arange(20_000), mask=np.arange(20_000) % 2)
        matrix = np.matrix(np.ones((200, 200)))[:, ::2]
        """
    )
    new = notebook.restored("masked matrix")
    assert new.value("matrix.sum()") == 20_000
    assert new.value("masked.sum()") == notebook.value("masked.sum()")


def test_frames_see_no_writes_of_each_other(notebook: Notebook) -> None:
    notebook.run(
        """
        import pandas as pd
        df = pd.DataFrame({'x': range(20_000), 'day': pd.date_range('2020', periods=20_000), 'name': 'a',
                           'kind': pd.Categorical(['u', 'v'] * 10_000), 'some': pd.array([1, None] * 10_000)})
        same, column, part, copy = df, df['x'], df[['x', 'day', 'kind', 'some']], df.copy(deep=False)
        held = [df, part]
        """
    )
    names = "df same column part copy held"
    assert notebook.grouped(names) == ["df same part held", "column", "copy"]
    new = notebook.restored(names)
    for name in names.split()[:-1]:
        assert new.names[name].equals(notebook.names[name])
        if name != "column":
            assert list(new.names[name].dtypes) == list(notebook.names[name].dtypes)
    new.run(
        """
        df.loc[0, 'x'] = 5
        df.loc[0, 'kind'] = 'v'
        df.loc[0, 'some'] = 9
        df.loc[0, 'day'] = df.loc[1, 'day']
        """
    )
    assert new.value("same is df and held[0] is df and held[1] is part")
    for name in ("part", "copy"):
        assert new.names[name].equals(notebook.names[name])
    assert new.names["column"][0] == 0


def test_indexes_and_attributes_of_frames_come_back(notebook: Notebook) -> None:
    notebook.run(
        """
        import pandas as pd
        index = pd.MultiIndex.from_product([['a', 'b'], range(5_000)], names=['k', 'n'])
        df = pd.DataFrame({'x': range(10_000)}, index=index)
        df.attrs['source'] = 'here'
        other = df * 2
        """
    )
    assert notebook.grouped("index df other") == ["index", "df", "other"]
    new = notebook.restored("index df other")
    pd.testing.assert_frame_equal(new.names["df"], notebook.names["df"])
    assert new.value("df.attrs, other.index.equals(index), df.index.names == index.names") == (
        {"source": "here"},
        True,
        True,
    )


def test_lists_in_a_column_stay_those_of_other_names(notebook: Notebook) -> None:
    notebook.run("import pandas as pd\ninner = [1]\ndf = pd.DataFrame({'x': [inner, [2]]})")
    new = notebook.restored("inner df")
    assert new.value("df.loc[0, 'x'] is inner")


def test_polars_frames_come_back(notebook: Notebook) -> None:
    notebook.run(
        "import polars as pl\ndf = pl.DataFrame({'x': range(20_000), 's': 'a'})\nsame = df\nlazy = df.lazy()"
    )
    new = notebook.restored("df same lazy")
    assert new.value("same is df")
    assert isinstance(frame := new.names["df"], pl.DataFrame)
    assert frame.equals(notebook.names["df"])
    assert new.names["lazy"].collect().equals(frame)


def test_a_second_save_of_restored_values_keeps_what_the_first_kept(notebook: Notebook) -> None:
    notebook.run("import numpy as np\nbase = np.zeros(100_000)\nview, held = base[1:], [base]")
    twice = notebook.restored("base view held").restored("base view held")
    twice.run("view[0] = 3")
    assert twice.value("base[1], held[0] is base") == (3, True)


def test_views_that_cannot_be_saved_as_such_come_back_by_themselves(notebook: Notebook) -> None:
    notebook.run(
        """
        import numpy as np
        records = np.zeros(3, [('a', 'O'), ('b', 'i8')])
        a, b = records['a'], records['b']
        empty = records[:0]
        words = np.array(['one', 'two'], dtype=np.dtypes.StringDType())
        word = words[1:]
        matrix = np.matrix(np.ones((300, 300)))
        flat = np.asarray(matrix)[0]
        """
    )
    new = notebook.restored("records a b empty words word matrix flat")
    assert new.value("a.tolist(), b.tolist(), words.tolist(), word.tolist(), empty.shape, flat.sum()") == (
        [0, 0, 0],
        [0, 0, 0],
        ["one", "two"],
        ["two"],
        (0,),
        300,
    )
