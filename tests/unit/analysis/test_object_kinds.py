"""What kind of object an expression makes, as far as its text tells."""

import ast

import pytest

from marimo_kernel_bridge.analysis.object_kinds import Kind, is_view, kind_of, shared_with

KNOWN: dict[str, Kind] = {
    "a": "array", "df": "frame", "l": "list", "ax": "plot", "rng": "random", "C": "own", "gen": "generator", "n": "value"
}  # fmt: skip
MODULES = {"np": "numpy", "sns": "seaborn", "w": "ipywidgets", "pd": "pandas"}


def expression(code: str) -> ast.expr:
    return ast.parse(code, mode="eval").body


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("[1]", "list"), ("[x for x in y]", "list"), ("{1: 2}", "dict"), ("{1}", "set"), ("(1, 2)", "value"),
        ("lambda: 1", "value"), ("1 < 2", "value"), ("(x for x in y)", "iterator"), ("x", "unknown"), ("a", "array"),
        ("-a", "array"), ("a + 1", "array"), ("a + df", "frame"), ("1 + 2", "value"), ("l + x", "list"),
        ("a[0]", "unknown"), ("a[1:]", "array"), ("df['x']", "frame"), ("ax[0]", "plot"), ("l[:2]", "list"),
        ("x.loc", "frame"), ("ax.lines", "plot"), ("x.y", "unknown"), ("list(x)", "list"), ("dict(x)", "dict"),
        ("open(p)", "file"), ("zip(x, y)", "iterator"), ("gen()", "iterator"), ("C()", "own"), ("len(x)", "value"),
        ("np.zeros(3)", "array"), ("np.random.default_rng()", "random"), ("rng.normal()", "array"),
        ("pd.DataFrame(x)", "frame"), ("pd.read_csv(p)", "frame"), ("plt.subplots()", "plot"), ("x.plot()", "plot"),
        ("sns.lineplot(x)", "plot"), ("sns.load_dataset(x)", "frame"), ("sns.color(x)", "unknown"), ("w.Text()", "live"),
        ("urlopen(x)", "live"), ("df.head()", "frame"), ("l.copy()", "list"), ("f(x)", "unknown"), ("f()()", "unknown"),
    ],
)  # fmt: skip
def test_the_kind_of_what_an_expression_makes(code: str, kind: Kind) -> None:
    assert kind_of(expression(code), KNOWN, MODULES) == kind


@pytest.mark.parametrize(
    ("code", "names"),
    [("x", "x"), ("n", ""), ("[x, y]", "x y"), ("x if z else y", "x y"), ("x.y[0]", "x"), ("df['a']", ""), ("a[0]", ""),
     ("a[1:]", "a"), ("a.reshape(2)", "a"), ("zip(x, y)", "x y"), ("C(x)", "x"), ("f(x)", ""), ("{1: x}", "x")],
)  # fmt: skip
def test_the_names_that_an_expression_shares_its_object_with(code: str, names: str) -> None:
    assert shared_with(expression(code), KNOWN) == set(names.split())


@pytest.mark.parametrize(
    ("code", "view"), [("a[1:]", True), ("a[0]", False), ("a.reshape(2)", True), ("a", False)]
)
def test_what_looks_into_the_memory_of_an_array(code: str, view: bool) -> None:
    assert is_view(expression(code), KNOWN) is view
