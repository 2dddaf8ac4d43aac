"""The user's ipywidgets: what is told of them, what setting one does, and what is refused. No page shows them."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets  # type: ignore[import-untyped]  # it has no types
import pytest
import traitlets

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.ipywidgets import elements, find, set_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marimo_kernel_bridge.protocol.inspection import UiElement

    Widget = Any  # ipywidgets has no types

NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
JANUARY = {"min": dt.date(2026, 1, 1), "max": dt.date(2026, 1, 31)}


class Counter(anywidget.AnyWidget):
    """A widget of the user's own, with a trait that its page does not know."""

    _esm = "export default {}"
    count = traitlets.Int(0).tag(sync=True)
    value = traitlets.Int(0)


class Tree(anywidget.AnyWidget):
    """A widget of the user's own whose trait is a whole document."""

    _esm = "export default {}"
    tree = traitlets.Dict().tag(sync=True)


class Limits(anywidget.AnyWidget):
    """A widget of the user's own whose traits are called as those of numbers are."""

    _esm = "export default {}"
    min = traitlets.Int(0).tag(sync=True)
    max = traitlets.Int(9).tag(sync=True)


class Button(anywidget.AnyWidget):
    """A widget of the user's own that is no button of the library."""

    _esm = "export default {}"
    clicks = traitlets.Int(0).tag(sync=True)


class Rating(ipywidgets.IntSlider):  # type: ignore[misc]  # ipywidgets has no types
    """A widget of the user's own, made of one of the library's."""


class Save(ipywidgets.Button):  # type: ignore[misc]  # likewise
    """A button of the user's own."""


class Note(ipywidgets.HTML):  # type: ignore[misc]  # likewise
    """A display of the user's own."""


@pytest.fixture(autouse=True)
def _widgets_end() -> Iterator[None]:
    yield
    ipywidgets.Widget.close_all()


def told_of(widget: Widget) -> UiElement:
    (found,) = [element for element in elements({"w": widget}) if element.element == "w"]
    return found


def refusal_of(widget: Widget, value: object) -> str:
    with pytest.raises(BridgeError) as refused:
        set_value(widget, value)
    assert refused.value.code == "ui_value_refused"
    return str(refused.value)


def made(code: str) -> Widget:
    names = vars(ipywidgets) | globals() | {"Own": Button, "Button": ipywidgets.Button}
    return eval(code, names)  # the tests' own


TOLD: list[tuple[str, str, str]] = [
    ("IntSlider(1, 0, 9)", "1", "a number from 0 to 9 in steps of 1"),
    ("FloatText()", "0.0", "a number"),
    ("IntText(3)", "3", "a whole number"),
    ("FloatLogSlider(10)", "10.0", "a number from 1.0 to 10000.0"),
    (
        "IntRangeSlider()",
        "(25, 75)",
        "two numbers from 0 to 100 in steps of 1",
    ),
    ("IntsInput(value=[1], max=3)", "[1]", "a list of numbers to 3"),
    ("Checkbox()", "False", "true or false"),
    ("Text('hi')", "'hi'", "text"),
    ("Password()", "''", "text"),
    ("TagsInput()", "[]", "a list"),
    ("TagsInput(allowed_tags=['a'])", "[]", "a list of 'a'"),
    ("Button()", "", "true, which is a click"),
    ("Dropdown(options=['a', 'b'], value='b')", "'b'", "one of 'a', 'b'"),
    ("ToggleButtons(options=[])", "None", "one of "),
    ("SelectMultiple(options=['a', 'b'], value=['b'])", "['b']", "a list of 'a', 'b'"),
    ("SelectionRangeSlider(options=[1, 2])", "['1', '1']", "two of '1', '2'"),
    ("DatePicker()", "None", "an ISO date"),
    ("DatePicker(**JANUARY)", "None", "an ISO date from 2026-01-01 to 2026-01-31"),
    ("DatetimePicker(value=NOON)", "2026-01-02 12:00:00+00:00", "an ISO datetime"),
    ("TimePicker()", "None", "an ISO time"),
    ("Counter(count=2)", "{'count': 2}", "an object with any of: count"),
    ("Limits()", "{'max': 9, 'min': 0}", "an object with any of: max, min"),
    ("Own()", "{'clicks': 0}", "an object with any of: clicks"),
    ("Rating(2)", "2", "a number from 0 to 100 in steps of 1"),
    ("Save()", "", "true, which is a click"),
]


@pytest.mark.parametrize(("code", "value", "takes"), TOLD)
def test_a_widget_is_told_with_its_value_and_what_it_takes(code: str, value: str, takes: str) -> None:
    told = told_of(made(code))
    assert (told.value, told.takes, told.runs_readers) == (value, takes, False)


@pytest.mark.parametrize(
    ("limits", "takes"),
    [
        ({"base": 1e308}, "a number from 1.0"),
        ({"min": -4.0, "base": 0.0}, "a number to 0.0"),
        ({"min": 0.5, "base": -1.0}, "a number to 1.0"),
    ],
)
def test_a_limit_that_is_no_number_is_none(limits: dict[str, float], takes: str) -> None:
    slider = ipywidgets.FloatLogSlider()
    slider._trait_values |= limits  # as they are where the library checks less
    assert told_of(slider).takes == takes


@pytest.mark.parametrize("lacks", ["value", "base", "min"])
def test_a_widget_whose_traits_are_odd_does_not_keep_others_from_the_list(lacks: str) -> None:
    odd = ipywidgets.FloatLogSlider()
    del odd._trait_values[lacks]
    found = elements({"odd": odd, "w": ipywidgets.Checkbox()})
    kinds = {element.element: element.kind for element in found}
    assert kinds["w"] == "ipywidgets.Checkbox"
    assert kinds.get("odd", "ipywidgets.FloatLogSlider") == "ipywidgets.FloatLogSlider"


def test_a_password_is_told_as_its_page_shows_it() -> None:
    assert told_of(ipywidgets.Password("swordfish")).value == "••••••"


def test_the_library_s_widgets_are_told_by_its_name_and_the_user_s_by_their_own() -> None:
    kinds = [told_of(widget).kind for widget in (ipywidgets.Text(description="n"), Rating(), Counter())]
    assert kinds == ["ipywidgets.Text", "Rating", "Counter"]
    assert told_of(ipywidgets.Text(description="the name")).label == "the name"


@pytest.mark.parametrize("kind", ["HTML", "Label", "IntProgress", "Valid", "VBox", "Layout", "Output"])
def test_what_only_shows_something_is_not_listed(kind: str) -> None:
    assert "w" not in {element.element for element in elements({"w": getattr(ipywidgets, kind)()})}


def test_a_display_of_the_user_s_own_is_not_listed() -> None:
    assert elements({"note": Note("x")}) == []


def test_private_names_and_other_values_are_no_widgets() -> None:
    names: dict[str, Any] = {"x": 1, "kind": ipywidgets.Text}
    assert elements(names) == []
    assert elements({"_w": (hidden := ipywidgets.Text())})[0].element == hidden.model_id
    assert find("x", names) is None


def test_widgets_that_no_variable_holds_are_listed_and_found_by_their_ids() -> None:
    named, unnamed = ipywidgets.IntSlider(), ipywidgets.IntSlider(7)
    names = {"named": named}
    assert [(one.element, one.value) for one in elements(names)] == [("named", "0"), (unnamed.model_id, "7")]
    assert (find("named", names), find(unnamed.model_id, names)) == (named, unnamed)
    assert find("gone", names) is None


def test_of_very_many_widgets_that_no_variable_holds_the_first_are_listed() -> None:
    made = [ipywidgets.Text() for _ in range(60)]
    listed = elements({"last": made[-1]})
    assert [one.element for one in listed] == ["last", *(widget.model_id for widget in made[:50])]


def test_without_the_library_there_are_no_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    widget = ipywidgets.Text()
    monkeypatch.delitem(sys.modules, "ipywidgets.widgets.widget")
    assert elements({"w": widget}) == []
    assert find(widget.model_id, {}) is None


def test_looking_at_a_widget_runs_no_code_of_the_user_s() -> None:
    called: list[str] = []

    class Spy(anywidget.AnyWidget):
        _esm = "export default {}"
        count = traitlets.Int(0).tag(sync=True)

        def __getattribute__(self, name: str) -> object:
            called.append(name)
            return super().__getattribute__(name)

    spy = Spy()
    called.clear()
    assert told_of(spy).value == "{'count': 0}"
    assert find("spy", {"spy": spy}) is spy
    assert called == []


# Setting


SETTABLE: list[tuple[str, object, object]] = [
    ("IntSlider()", 4, 4),
    ("IntSlider()", 4.0, 4),
    ("FloatLogSlider()", 100, 100.0),
    ("FloatText()", 1.5, 1.5),
    ("IntRangeSlider()", [2, 7], (2, 7)),
    ("Checkbox()", True, True),
    ("TagsInput()", ["a"], ["a"]),
    ("Dropdown(options=[('one', 1), ('two', 2)])", "two", 2),
    ("Dropdown(options=[('one', 1), ('two', 2)])", 2, 2),
    ("Dropdown(options=[('one', 1.0), ('two', 2.0)])", 2, 2.0),
    ("Dropdown(options=[('a', 'b'), ('b', 'a')])", "b", "a"),
    ("Dropdown(options=['a'])", None, None),
    ("SelectMultiple(options=['a', 'b', 'c'])", ["a", "c"], ("a", "c")),
    ("SelectionRangeSlider(options=[1, 2, 3])", [2, 3], (2, 3)),
    ("DatePicker(**JANUARY)", "2026-01-31", dt.date(2026, 1, 31)),
    ("DatePicker(value=JANUARY['min'])", None, None),
    ("DatetimePicker()", "2026-01-02T12:00:00.250Z", NOON.replace(microsecond=250_000)),
    ("DatetimePicker()", "2026-01-02T14:00+02:00", NOON),
    ("DatetimePicker()", "2026-01-02T12:00", NOON.replace(tzinfo=None).astimezone()),
    ("NaiveDatetimePicker()", "2026-01-02T12:00", NOON.replace(tzinfo=None)),
    ("TimePicker()", "03:04:05.678", dt.time(3, 4, 5, 678_000)),
    ("Rating()", 3, 3),
]


@pytest.mark.parametrize(("code", "value", "then"), SETTABLE)
def test_a_value_that_a_widget_takes_is_set_and_its_callbacks_run(
    code: str, value: object, then: object
) -> None:
    widget, seen = made(code), []
    widget.observe(lambda change: seen.append(change.new), "value")
    set_value(widget, value)
    assert (widget.value, type(widget.value)) == (then, type(then))
    assert seen == [then]


@pytest.mark.parametrize("code", ["Button()", "Save()"])
def test_a_button_is_clicked(code: str) -> None:
    button = made(code)
    clicks: list[Widget] = []
    button.on_click(clicks.append)
    set_value(button, value=True)
    assert clicks == [button]
    assert "can be clicked" in refusal_of(button, value=False)
    assert clicks == [button]


@pytest.mark.parametrize(
    ("code", "trait"), [("Counter()", "count"), ("Own()", "clicks"), ("Limits()", "max")]
)
def test_a_widget_of_the_user_s_own_is_set_by_its_traits(code: str, trait: str) -> None:
    widget = made(code)
    set_value(widget, {trait: 5})
    assert getattr(widget, trait) == 5


REFUSED: list[tuple[str, object, str]] = [
    ("IntSlider(1, 0, 9)", 10, "takes numbers from 0 to 9, not 10"),
    ("IntRangeSlider()", [-1, 4], "takes numbers from 0 to 100, not -1"),
    ("FloatLogSlider()", 0.5, "takes numbers from 1.0 to 10000.0, not 0.5"),
    ("IntSlider()", 1.5, "takes whole numbers, not 1.5"),
    ("IntsInput()", [1, 1.5], "takes whole numbers, not 1.5"),
    ("IntText()", float("nan"), "takes whole numbers, not nan"),
    ("FloatText()", float("nan"), "takes finite numbers, not nan"),
    ("FloatText()", float("-inf"), "takes finite numbers, not -inf"),
    ("FloatSlider()", float("nan"), "takes finite numbers, not nan"),
    ("FloatLogSlider()", float("nan"), "takes finite numbers, not nan"),
    ("FloatRangeSlider()", [1, float("nan")], "takes finite numbers, not nan"),
    ("FloatsInput()", [1.0, float("inf")], "takes finite numbers, not inf"),
    ("FloatText()", "nan", "takes finite numbers, not nan"),
    ("FloatsInput()", ["1e999"], "takes finite numbers, not inf"),
    ("BoundedFloatText()", "1e5", "takes numbers from 0.0 to 100.0, not 100000.0"),
    ("BoundedIntText()", "101", "takes numbers from 0 to 100, not 101"),
    ("Tree()", {"tree": {"a": [float("nan")]}}, "takes finite numbers, not {'tree': "),
    ("IntSlider()", "much", "does not take 'much'"),
    ("IntRangeSlider()", [7, 2], "does not take [7, 2]: setting lower > upper."),
    (
        "TagsInput(allowed_tags=['a'])",
        ["b"],
        "does not take ['b']: Tag value b is not allowed",
    ),
    ("Dropdown(options=['a'])", "b", "has no option 'b'. Options: 'a'."),
    ("Dropdown(options=[('one', 1)])", True, "has no option True"),
    ("SelectMultiple(options=['a'])", "a", "takes a list, not 'a'. Options: 'a'."),
    ("SelectMultiple(options=['a'])", ["b"], "has no option 'b'"),
    ("DatePicker()", "soon", "takes an ISO date, not 'soon'"),
    ("DatePicker()", 3, "takes an ISO date, not 3"),
    (
        "DatePicker(**JANUARY)",
        "2026-02-01",
        "takes an ISO date from 2026-01-01 to 2026-01-31, not 2026-02-01",
    ),
    (
        "NaiveDatetimePicker()",
        "2026-01-02T12:00Z",
        "takes an ISO datetime without a time zone, not 2026-01-02T12:00Z",
    ),
    ("Counter()", {"cuont": 1}, "Counter has no trait 'cuont'. Traits: 'count', "),
    ("Counter()", {"value": 1}, "has no trait 'value'"),
    ("Counter()", {"_esm": ""}, "has no trait '_esm'"),
    ("Counter()", 1, "takes values by trait, not 1"),
    ("Counter()", {}, "takes values by trait, not {}"),
    ("Counter()", {"count": "x"}, "does not take {'count': 'x'}"),
]


@pytest.mark.parametrize(("code", "value", "why"), REFUSED)
def test_a_value_that_a_widget_does_not_take_is_refused_and_changes_nothing(
    code: str, value: object, why: str
) -> None:
    widget = made(code)
    before = told_of(widget).value
    seen: list[object] = []
    widget.observe(seen.append, "value")
    assert why in refusal_of(widget, value)
    assert told_of(widget).value == before
    assert seen == []


def test_what_a_callback_raises_is_not_taken_for_a_refusal() -> None:
    slider = ipywidgets.IntSlider()

    def checks(_change: object) -> None:
        raise traitlets.TraitError("of the callback's own")

    slider.observe(checks, "value")
    with pytest.raises(traitlets.TraitError, match="callback's own"):
        set_value(slider, 5)
    assert slider.value == 5


def test_the_page_is_sent_the_new_value(monkeypatch: pytest.MonkeyPatch) -> None:
    slider, sent = ipywidgets.IntSlider(), []
    monkeypatch.setattr(type(slider), "send_state", lambda _self, key=None: sent.append(key))
    set_value(slider, 5)
    assert ["value"] in sent
