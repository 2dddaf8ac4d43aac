"""Cells that become one still show the values of all of them."""

import pytest

from marimo_kernel_bridge.importing.joining import displaying_in, joined, with_all_displayed


@pytest.mark.parametrize(
    ("codes", "code", "needs"),
    [
        (["x = 1", "x"], "x = 1\n\nx", set()),
        (["x", "y"], "display(x)\n\ny", {"display"}),
        (["x;", "y"], "x;\n\ny", set()),
        (["x, y", "z"], "display((x, y))\n\nz", {"display"}),
        (["print(x)", "y"], "print(x)\n\ny", set()),
        (["None", "y"], "None\n\ny", set()),
        (["f(x)", "y"], "_shown = f(x)\nif _shown is not None:\n    display(_shown)\n\ny", {"display"}),
        (["next(x)", "y"], "display(next(x))\n\ny", {"display"}),
        (["df.head()", "y"], "display(df.head())\n\ny", {"display"}),
        (["', '.join(x)", "y"], "display(', '.join(x))\n\ny", {"display"}),
        (["x = [1]\nx.append(2)", "x"], "x = [1]\nx.append(2)\n\nx", set()),
        (["x = {}", "x.update(a=1)", "x"], "x = {}\n\nx.update(a=1)\n\nx", set()),
        (["df.drop('a', inplace=True)", "y"], "df.drop('a', inplace=True)\n\ny", set()),
        (
            ["plt.show()", "f.close()", "np.random.seed(1)", "y"],
            "plt.show()\n\nf.close()\n\nnp.random.seed(1)\n\ny",
            set(),
        ),
        (["time.sleep(1)", "y"], "time.sleep(1)\n\ny", set()),
        (["", "y"], "y", set()),
    ],
)
def test_the_last_value_of_each_cell_is_displayed(codes: list[str], code: str, needs: set[str]) -> None:
    assert joined(codes) == (code, needs)


@pytest.mark.parametrize(
    "call",
    [
        "np.append(x, 1)",
        "np.sort(x)",
        "series.add(1)",
        "series.update(1)",
        "thread.join()",
        "os.replace(a, b)",
        "frame.to_csv()",
        "ax.set_xlabel('x')",
        "display(x, display_id='a')",
        "account.show()",
        "game.close()",
        "x if y else None",
        "x and x.name",
    ],
)
def test_a_value_of_which_the_text_does_not_tell_whether_it_is_none_is_displayed_unless_it_is(
    call: str,
) -> None:
    code = f"_shown = {call}\nif _shown is not None:\n    display(_shown)\n\ny"
    assert joined([call, "y"]) == (code, {"display"})


def test_a_name_that_is_also_bound_to_something_else_than_a_list_is_no_list() -> None:
    for other in ("x = np.array(x)", "for x in y:\n    pass", "def f(x):\n    pass"):
        assert "_shown = x.append(2)" in joined([f"x = [1]\n{other}", "x.append(2)", "x"])[0]


def test_where_the_last_value_replaces_what_was_displayed_it_is_displayed_too() -> None:
    assert joined(["x", "y"], last_alone=True) == ("display(x)\n\ndisplay(y)", {"display"})
    assert joined(["x", "y"], "shown", last_alone=True) == ("shown(x)\n\nshown(y)", {"display"})
    assert joined(["x = 1", "y"], last_alone=True) == ("x = 1\n\ny", set())
    assert joined(["for x in y:\n    display(x)", "y"], last_alone=True)[0].endswith("\n\ndisplay(y)")


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("x", "x"),
        ("display(x)", "x"),
        ("display(x)  # this", "x  # this"),
        ("display([\n    1,\n])", "[\n    1,\n]"),
        ("display(x\n  + y)", "(x\n  + y)"),
        ("display('ä', )", "'ä'"),
        ("display(None)", "display(None)"),
        ("display(x, y)", "display(x, y)"),
        ("display(*x)", "display(*x)"),
        ("display(x, display_id='a')", "display(x, display_id='a')"),
        ("display(x);", "display(x);"),
        ("y = display(x)", "y = display(x)"),
        ("display(x)\ndisplay(y)", "display(x)\ndisplay(y)"),
        ("display(x)\ny", "display(x)\ndisplay(y)"),
        ("display(x)\ny = 1", "display(x)\ny = 1"),
        ("display(x)\ny;", "display(x)\ny;"),
        ("display(x)\nprint(y)", "display(x)\nprint(y)"),
        ("if x:\n    display(x)\ny", "if x:\n    display(x)\ndisplay(y)"),
        ("tell(x)\ny", "tell(x)\ndisplay(y)"),
        ("again(x)\ny", "again(x)\ndisplay(y)"),
        ("x.again()\ny", "x.again()\ndisplay(y)"),
        ("def f():\n    display(1)\ny", "def f():\n    display(1)\ny"),
        ("tell(x)", "_shown = tell(x)\nif _shown is not None:\n    display(_shown)"),
    ],
)
def test_a_cell_displays_its_value_if_it_displays_something_else(code: str, written: str) -> None:
    displaying = displaying_in(["def tell(x):\n    display(x)", "def again(x):\n    tell(x)", code])
    assert with_all_displayed(code, displaying) == written


def test_a_display_of_the_notebook_s_own_is_no_display() -> None:
    assert displaying_in(["def display(x):\n    print(x)", "display(1)"]) == frozenset()
    assert displaying_in(["from IPython.display import display", "display(1)"]) == {"display"}
