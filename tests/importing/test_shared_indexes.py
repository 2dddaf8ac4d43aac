"""The name of an index that several frames have shows in all of them."""

import pytest
from reactive import Reactive, assert_shows_the_same_again_and_again, in_order, prepared

pytest.importorskip("pandas")

PANDAS = "import pandas as pd"
TWO = "idx = pd.Index([1, 2])\na = pd.DataFrame({'x': [1, 2]}, index=idx)\nb = pd.DataFrame({'y': [3, 4]}, index=idx)"
NAMED = "a.index.name = 'k'"


@pytest.mark.parametrize(
    "codes",
    [
        [TWO, NAMED, "print(a)", "print(b, idx)"],
        [TWO, "print(b)", NAMED, "print(b)"],
        [TWO, "a.index.names = ['k']", "print(b)"],
        [TWO, "idx.name = 'k'", "print(a)", "print(b)"],
        [TWO, "a.index.set_names(['k'], inplace=True)", "print(b)"],
        [TWO, "_ = a.index.rename('k', inplace=True)", "print(b)"],
        ["cols = pd.Index(['x', 'y'])", "a = pd.DataFrame([[1, 2]], columns=cols)", "a.columns.name = 'k'", "print(a, cols)"],
        ["a = pd.DataFrame({'x': [1, 2]})", "s = pd.Series([3, 4], index=a.index)", "s.index.name = 'k'", "print(a)"],
        ["a = pd.DataFrame({'x': [1, 2]})", "b = -(a + 1)", "b.index.name = 'k'", "print(a)"],
        ["a = pd.DataFrame({'x': [1, 2]})", "i = a.index", "i.name = 'k'", "print(a)"],
        ["idx = pd.Index([5, 6])\na = pd.DataFrame({'x': [1, 2]})", "a.index = idx", NAMED, "print(idx)"],
        ["a = pd.DataFrame({'x': [1, 2]})", "r = a.rolling(2).sum()", "r.index.name = 'k'", "print(a)"],
    ],
)  # fmt: skip
def test_a_name_that_one_frame_gives_its_index_shows_in_the_others(codes):
    codes = [PANDAS, *codes]
    assert_shows_the_same_again_and_again(codes)
    cells = prepared(codes).cells
    reactive = Reactive([cell.code for cell in cells])
    shown = reactive.run()
    number = next(number for number, code in enumerate(reactive.codes) if "'k'" in code)
    edited = Reactive([code.replace("'k'", "'z'") for code in reactive.codes], namespace=reactive.namespace)
    shown |= edited.run(edited.downstream(number))
    fresh = in_order([code.replace("'k'", "'z'") for code in codes])
    assert [shown[at] for at in range(len(cells))] == [
        "".join(fresh[position - 1] for position in cell.positions) for cell in cells
    ]


def test_frames_that_many_cells_show_are_ordered_behind_the_name():
    codes = [PANDAS, "idx = pd.Index([1])", "a = pd.DataFrame({'x': [1]}, index=idx)", "b = pd.DataFrame({'y': [3]}, index=idx)", *["print(a, b, idx)"] * 3, NAMED, "print(b, idx)"]  # fmt: skip
    cells = prepared(codes).cells
    shown = Reactive([cell.code for cell in cells]).run()
    assert [shown[at] for at in range(len(cells))] == in_order(codes)
    assert cells[7].code.endswith("a_1.index.name = 'k'")


@pytest.mark.parametrize(
    "made",
    ["b = a.copy()", "b = a.sort_values('x')", "b = a[['x']]", "b = a.reset_index()"],
)
def test_a_frame_whose_index_is_its_own_is_copied(made):
    codes = [PANDAS, "a = pd.DataFrame({'x': [1, 2]})", made, "b.index.name = 'k'", "print(a)", "print(b)"]
    assert_shows_the_same_again_and_again(codes)
    assert any("b_1 = b.copy(" in cell.code for cell in prepared(codes).cells)
