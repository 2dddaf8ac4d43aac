"""Settings of libraries: cells show those of their place, after a re-run of any cell and after an edit."""

import contextlib
import importlib
import random
import sys

import pytest
from reactive import Reactive, Shown, in_order, prepared

from marimo_kernel_bridge.importing.settings import by_place
from marimo_kernel_bridge.kernel.versions.library_state import STATES
from tests.inputs import inputs

IMPORTS = (
    "import matplotlib.pyplot as plt\nimport numpy as np\nimport pandas as pd\n"
    "from decimal import Decimal, getcontext, localcontext, setcontext\nimport decimal"
)
LIBRARIES = ("decimal", "locale", "matplotlib", "numpy", "pandas")
DECIMALS = ["from decimal import Decimal, getcontext", "Decimal(1) / 3", "getcontext().prec = 5", "Decimal(2) / 3"]  # fmt: skip


@contextlib.contextmanager
def settings_as_they_are():
    before = [(state, state.now()) for state in STATES if not state.is_generator]
    try:
        yield
    finally:
        for module in LIBRARIES:
            for kept in ("settings_of_cells", "error_settings_of_cells"):
                vars(sys.modules[module]).pop(kept, None)
        for state, value in before:
            if value is not None:
                state.set(value)


@pytest.fixture(autouse=True)
def _settings_set_back():
    for module in LIBRARIES:
        importlib.import_module(module)
    with settings_as_they_are():
        yield


def converted(codes):
    return [cell.code for cell in prepared(codes).cells if cell.positions]


def lines(*codes):
    """What is added to the cells below the imports."""
    cells = by_place([IMPORTS, *codes], {})[1:]
    return [
        [line for line in cell.code.split("\n") if line not in code.split("\n")]
        for cell, code in zip(cells, codes, strict=True)
    ]


def assert_shown(cells, shown, expected):
    """Each cell, perhaps of several, shows what those show in order."""
    told = "\n--\n".join(cell.code for cell in cells if cell.positions)
    for index, cell in enumerate(cells):
        if cell.positions:
            assert shown[index] == Shown.together([expected[each - 1] for each in cell.positions]), told


def assert_follows(codes, number, old, new):
    """After the edit of a cell, by number from 1, the notebook shows what a new run of it shows."""
    edited = [code.replace(old, new) if each == number else code for each, code in enumerate(codes, start=1)]
    assert edited != codes
    with settings_as_they_are():
        expected = in_order(edited)
    cells = prepared(codes).cells
    texts = [cell.code for cell in cells]
    before = Reactive(texts)
    shown = before.run()
    at = next(index for index, cell in enumerate(cells) if number in cell.positions)
    texts[at] = texts[at].replace(old, new)
    after = Reactive(texts, before.namespace)
    shown |= after.run(after.downstream(at))
    assert_shown(cells, shown, expected)


def assert_right(codes):
    with settings_as_they_are():
        expected = in_order(codes)
    cells = prepared(codes).cells
    reactive = Reactive([cell.code for cell in cells])
    told = "\n--\n".join(reactive.codes)
    assert reactive.problems() == [], told
    first = reactive.run()
    assert_shown(cells, first, expected)
    for number in [*range(len(cells)), *reversed(range(len(cells)))]:
        for other, text in reactive.run(reactive.downstream(number)).items():
            assert text == first[other], f"cell {number} again changed cell {other}\n{told}"


NOTEBOOKS = {
    "decimal": DECIMALS,
    "decimal, a context that a cell holds": [
        "from decimal import Decimal, getcontext",
        "ctx = getcontext()",
        "Decimal(1) / 3",
        "ctx.prec = 5\nDecimal(1) / 7",
        "Decimal(2) / 3",
    ],
    "decimal, changed twice": [*DECIMALS, "getcontext().prec = 7\nDecimal(1) / 3", "Decimal(1) / 7"],
    "pandas": [
        "import pandas as pd\ndf = pd.DataFrame({'a': range(99)})",
        "print(df)",
        "pd.set_option('display.max_rows', 5)",
        "print(df.a)\ndf",
        "pd.options.display.max_rows = 8",
        "df",
    ],
    "numpy": [
        "import numpy as np",
        "x = np.arange(3) / 7\nx",
        "np.set_printoptions(precision=3)\nx",
        "print(x)",
    ],
    "errors of arrays": [
        "import numpy as np\nx = np.array([1.0])",
        "with np.errstate(over='raise'):\n    print(x)",
        "print(x, np.geterr()['divide'])",
        "old = np.seterr(divide='raise')",
        "print(x, np.geterr()['divide'])",
    ],
    "locale": [
        "import locale",
        "print(locale.localeconv()['decimal_point'], locale.setlocale(locale.LC_CTYPE))",
        "old = locale.setlocale(locale.LC_CTYPE, 'C')",
        "print(locale.str(1.5), locale.setlocale(locale.LC_CTYPE))",
    ],
    "matplotlib": [
        "import matplotlib.pyplot as plt\nplt.rcParams['lines.linewidth'] = 2.5",
        "line, = plt.plot([1, 2])\nprint(line.get_linewidth())",
        "plt.rcParams.update({'lines.linewidth': 4.5})",
        "line, = plt.plot([1, 2])\nprint(line.get_linewidth())\nplt.close('all')",
        "plt.rc('lines', linewidth=6.5)\nprint(plt.rcParams['lines.linewidth'])",
    ],
    "a function that sets": [
        "from decimal import Decimal, getcontext",
        "def digits(n):\n    getcontext().prec = n",
        "print(Decimal(1) / 3)",
        "digits(5)",
        "print(Decimal(1) / 3)",
    ],
}


@pytest.mark.parametrize("codes", NOTEBOOKS.values(), ids=NOTEBOOKS)
def test_each_cell_shows_the_settings_of_its_place_in_any_order(codes):
    assert_right(codes)


@pytest.mark.parametrize(
    ("notebook", "number", "old", "new"),
    [
        ("decimal", 3, "5", "6"),
        ("decimal", 2, "3", "7"),
        ("decimal", 3, "getcontext().prec = 5", "pass"),
        ("decimal, a context that a cell holds", 4, "5", "6"),
        ("decimal, changed twice", 3, "5", "6"),
        ("decimal, changed twice", 5, "7", "8"),
        ("pandas", 3, "5", "6"),
        ("pandas", 5, "8", "6"),
        ("pandas", 1, "99", "98"),
        ("numpy", 3, "precision=3", "precision=5"),
        ("errors of arrays", 4, "'raise'", "'ignore'"),
        ("errors of arrays", 1, "1.0", "2.0"),
        ("matplotlib", 1, "2.5", "3.5"),
        ("matplotlib", 3, "4.5", "3.5"),
        ("matplotlib", 3, "lines.linewidth", "lines.markersize"),
        ("a function that sets", 4, "5", "6"),
    ],
)
def test_after_an_edit_each_cell_shows_what_a_new_run_shows(notebook, number, old, new):
    assert_follows(NOTEBOOKS[notebook], number, old, new)


def test_a_cell_sets_its_settings_back_and_one_that_changes_them_keeps_them_for_those_below():
    assert converted(DECIMALS) == [
        "from decimal import Decimal, getcontext",
        "decimal_settings()\nDecimal(1) / 3",
        "decimal_settings()\ngetcontext().prec = 5\ndecimal_settings_1 = decimal_settings.keep()",
        "decimal_settings_1()\nDecimal(2) / 3",
    ]


def test_a_setting_whose_value_a_cell_shows_is_followed_and_its_value_still_shown():
    assert converted(["import numpy as np", "np.seterr(all='ignore')", "print(np.geterr()['over'])"]) == [
        "import numpy as np",
        (
            "numpy_error_settings = True  # cells that read it run again when these settings change\n"
            "np.seterr(all='ignore')"
        ),
        "numpy_error_settings  # what this cell shows depends on them\nprint(np.geterr()['over'])",
    ]


def test_cells_that_change_an_object_are_not_joined_for_settings_that_one_of_them_changes():
    codes = [
        "import pandas as pd\ndf = pd.DataFrame({'a': [1]})",
        "df['b'] = 2\ndf",
        "print(df)",
        "pd.options.display.max_rows = 9\ndf['c'] = 3\ndf",
        "df",
    ]
    assert [cell.positions for cell in prepared(codes).cells if cell.positions] == [
        (1,), (2,), (3,), (4,), (5,),
    ]  # fmt: skip


def test_settings_beside_the_import_leave_the_notebook_as_it_is():
    codes = [
        "import pandas as pd\nimport matplotlib.pyplot as plt\npd.set_option('display.max_rows', 5)\nplt.style.use('ggplot')",
        "df = pd.DataFrame({'a': range(99)})\nprint(df)",
        "import matplotlib.pyplot as plt\nplt.plot(df.a)\nplt.show()",
        "df",
    ]
    assert [cell.code for cell in by_place(codes, {})] == codes


def test_cells_below_settings_that_no_name_binds_depend_on_them():
    codes = ["import pandas as pd", "df = pd.DataFrame({'a': range(99)})", "pd.options.display.max_rows = 5", "x = 1", "df"]  # fmt: skip
    assert converted(codes)[2:] == [
        "pd.options.display.max_rows = 5\npandas_settings = True  # cells that read it run again when these settings change",
        "x = 1",
        "pandas_settings  # what this cell shows depends on them\ndf",
    ]
    assert_follows(codes, 3, "5", "6")
    assert_right(codes)


@pytest.mark.parametrize(
    "codes",
    [
        ["np.set_printoptions(precision=3)"],
        ["pd.set_option('mode.chained_assignment', None)", "pd.DataFrame()"],
        ["x = 1", "with localcontext() as c:\n    c.prec = 5\n    print(Decimal(1) / 3)", "Decimal(1) / 3"],
        ["with plt.rc_context({'lines.linewidth': 3}):\n    plt.plot([1])", "plt.plot([1])"],
        ["np.ones(3)", "plt.ion()", "print(plt.__version__)"],
        ["def f():\n    getcontext().prec = 5\n    return Decimal(1) / 3", "Decimal(1)", "f()"],
        ["Decimal(1)", "getcontext().prec = 5; Decimal(1) / 3"],
        ["x = 1", "np.set_printoptions(precision=3)", "x"],
    ],
)
def test_cells_stay_as_they_are_where_no_other_cell_shows_the_settings(codes):
    assert lines(*codes) == [[] for _ in codes]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (["plt.plot([1])", "plt.gray()"], [1, 2]),
        (["df = pd.DataFrame()", "df.plot.bar()", "df.hist()", "plt.rc('lines', linewidth=3)"], [0, 1, 1, 2]),
        (["from sklearn.tree import plot_tree", "plot_tree(1)", "plt.rc('lines', linewidth=3)"], [0, 1, 2]),
        (["df = pd.DataFrame()", "ax = df.plot()", "print(df)", "pd.set_option('max_rows', 3)"], [0, 0, 1, 2]),
        (["fig, ax = plt.subplots()", "ax.plot([1])", "plt.rcParams['lines.linewidth'] = 3", "x = 1"], [1, 1, 2, 0]),
        (["rc = plt.rcParams", "plt.plot([1])", "rc['lines.linewidth'] = 3"], [0, 1, 2]),
        (["df = pd.DataFrame()", "df", "df;", "plt.plot(df)", "pd.set_option('max_rows', 3)"], [0, 1, 0, 0, 2]),
        (["def f(x):\n    print(x)", "f(np.ones(3))", "np.set_printoptions(precision=3)"], [0, 1, 2]),
        (["x = [np.ones(3)]", "print(f'{x}')", "np.set_printoptions(precision=3)"], [0, 1, 2]),
        (["a = {}\na['b'] = np.ones(3)", "a", "np.set_printoptions(precision=3)"], [0, 1, 2]),
        (["Decimal(1)\nif True:\n    setcontext(decimal.Context(prec=5))"], [2]),
    ],
)  # fmt: skip
def test_cells_that_show_settings_are_told_from_those_that_do_not(codes, expected):
    assert [len(each) for each in lines(*codes)] == expected


@pytest.mark.parametrize("digits", [9, 28])
def test_a_change_that_the_text_does_not_show_is_kept_in_the_first_run(digits):
    codes = [*DECIMALS[:3], f"setattr(getcontext(), 'prec', {digits})", *DECIMALS[1:]]
    with settings_as_they_are():
        expected = in_order(codes)
    cells = prepared(codes).cells
    first = Reactive([cell.code for cell in cells]).run()
    assert_shown(cells, first, expected)


def test_no_cell_depends_on_one_that_is_known_to_fail():
    assert [cell.code for cell in by_place(DECIMALS, {}, failing={2})] == DECIMALS


def test_no_cell_depends_on_one_whose_text_shows_that_it_fails():
    plot = "plt.plot([1])\nplt.show()"
    for fails in ("plt.style.use('seaborn-ticks')", "plt.rc('lines', linewidth=3)\nraise ValueError"):
        cells = converted(["import matplotlib.pyplot as plt", fails, plot])
        assert cells == ["import matplotlib.pyplot as plt", fails, plot]


def test_names_of_the_notebook_are_left_alone():
    codes = ["decimal_settings = 1", *DECIMALS, "decimal_settings"]
    assert any("imported_decimal_settings()" in code for code in converted(codes))
    assert_right(codes)


def notebook(seed):
    rng = random.Random(seed)
    parts = [
        *(f"getcontext().prec = {rng.randint(2, 9)}" for _ in range(3)),
        *(f"np.set_printoptions(precision={rng.randint(1, 9)})" for _ in range(3)),
        *["print(x)", "print(y)"] * 2,
        "y = y / 3",
        "x = x / 3\nprint(x)",
        "def f():\n    return Decimal(1) / 7",
        "def f():\n    getcontext().prec = 4",
        "if getcontext().prec < 6:\n    np.set_printoptions(precision=4)",
        "z = 1",
    ]
    first = (
        "from decimal import Decimal, getcontext\nimport numpy as np\nx = np.arange(3) / 7\ny = Decimal(1)"
    )
    return [first, *("\n".join(rng.choices(parts, k=rng.randint(1, 3))) for _ in range(rng.randint(2, 7)))]


@pytest.mark.parametrize("seed", range(inputs(15, 600)))
def test_a_converted_notebook_shows_the_settings_of_each_place_and_each_cell_can_run_again(seed):
    assert_right(notebook(seed))
