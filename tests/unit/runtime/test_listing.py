"""What is told of `mo.ui` elements: a page shows them, and so an agent may see them."""

# ruff: noqa: TID251  # marimo's elements are what is told of

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import marimo as mo
import pytest

from marimo_kernel_bridge.runtime.ui.listing import elements

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.runtime.ui.inputs import Element


def password(value: str = "swordfish") -> Element:
    return mo.ui.text(value, kind="password")


@pytest.mark.parametrize(
    "make",
    [
        password,
        lambda: password().form(),
        lambda: mo.ui.array([mo.ui.text("ada"), password()]),
        lambda: mo.ui.dictionary({"user": mo.ui.text("ada"), "password": password()}).form(),
        lambda: mo.md("{user} {password}").batch(user=mo.ui.text("ada"), password=password()),
    ],
)
def test_a_password_is_told_as_its_page_shows_it(make: Callable[[], Element]) -> None:
    (told,) = elements({"login": make()})
    assert told.value == "••••••"


def test_an_empty_password_and_other_texts_are_told() -> None:
    told = elements({"empty": password(""), "user": mo.ui.array([mo.ui.text("ada"), password("")])})
    assert [element.value for element in told] == ["''", "['ada', '']"]


def test_private_names_and_other_values_are_no_elements() -> None:
    names: dict[str, object] = {"_hidden": mo.ui.text(), "x": 1}
    assert elements(names) == []


CALLED: list[str] = []
looking: list[bool] = []


class Own(mo.ui.slider):
    """An element whose class notes each attribute that is asked for while somebody looks."""

    def __getattribute__(self, name: str) -> Any:
        if looking:
            CALLED.append(name)
        return super().__getattribute__(name)


class Proxy:
    """An object that says it is an element when it is asked, as lazy objects of web frameworks do for their own."""

    @property  # type: ignore[misc]  # it can be written in object
    def __class__(self) -> type:
        CALLED.append("__class__")
        return mo.ui.slider


def test_elements_are_listed_without_calling_a_method() -> None:
    names = {"own": Own(1, 9), "both": mo.ui.dictionary({"a": mo.ui.text()}), "proxy": Proxy(), "one": 1}
    looking.append(True)
    own, together = elements(names)
    looking.clear()
    assert CALLED == []
    assert (own.kind, own.value, own.takes) == ("mo.ui.Own", "1", "a number from 1 to 9")
    assert together.takes == "an object with any of: a: text"
