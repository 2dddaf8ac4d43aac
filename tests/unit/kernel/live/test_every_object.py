"""Which of marimo's public names a page makes live, as docs/marimo-objects.md says of every one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.kernel.notebook_in_memory import FrontEnd, KernelInMemory
from tests.unit.runtime.test_marimo_objects import (
    NO_OBJECTS,
    NOT_SIMPLE,
    PRELUDE,
    STATELESS,
    UI,
    documented,
    in_modules,
    show,
)

if TYPE_CHECKING:
    from pathlib import Path

AROUND = {
    "Html": "mo.Html({0}.text)",
    "accordion": "mo.accordion({{'a': {0}}})",
    "as_html": "mo.as_html({0})",
    "callout": "mo.callout({0})",
    "carousel": "mo.carousel([{0}])",
    "center": "mo.center({0})",
    "hstack": "mo.hstack([{0}])",
    "inspect": "mo.inspect({0})",
    "left": "mo.left({0})",
    "md": 'mo.md(f"before {{{0}}} after")',
    "plain": "mo.plain({0})",
    "right": "mo.right({0})",
    "sidebar": "mo.sidebar([{0}])",
    "style": "mo.style({0})",
    "tabs": "mo.tabs({{'a': {0}}})",
    "tree": "mo.tree([{0}])",
    "vstack": "mo.vstack([{0}])",
}
"""What may hold an element."""


def live_ones(notebook: FrontEnd, examples: dict[str, str]) -> set[str]:
    """Return the names of the examples that a page makes live."""
    cells = {name: show(notebook, f"fig = drawn()\n{code}") for name, code in examples.items()}
    return {name for name, data in cells.items() if "mkb-live" in str(data)}


def test_every_public_name_is_documented_once() -> None:
    said = [name for names in documented("## Every object").values() for name in in_modules(names)]
    hidden = {name for names in NO_OBJECTS.values() for name in names}
    assert sorted(said) == sorted(
        (STATELESS.keys() - {"ui"}) | hidden | {f"ui.{name}" for name in [*UI, *NOT_SIMPLE]}
    )


@pytest.mark.long  # it shows a hundred objects; the test above holds that none is forgotten
def test_the_documentation_says_of_every_public_name_whether_it_is_live_static_or_not_shown(
    tmp_path: Path,
) -> None:
    kernel = KernelInMemory(tmp_path, widgets=True)
    try:
        notebook = kernel.connect("lab")
        assert notebook.run("prelude", PRELUDE).ok

        examples = STATELESS | {f"ui.{name}": code for name, code in UI.items()}
        examples |= {name: around.format("mo.md('x')") for name, around in AROUND.items()}
        holding = {name: around.format("mo.ui.slider(1, 9)") for name, around in AROUND.items()}
        live, inside = live_ones(notebook, examples) - {"ui"}, live_ones(notebook, holding)
    finally:
        kernel.close()
    said = {form: in_modules(names) for form, names in documented("## Every object").items()}
    assert said["live"] == live
    assert said["live, if an element is inside"] == inside - live
    static = examples.keys() - {"ui"} - live - inside
    assert said["live, as Jupyter's own widget"] == {"ui.anywidget"} <= static
    assert said["static"] == static - {"ui.anywidget"} | {f"ui.{name}" for name in NOT_SIMPLE}
    assert said["not shown"] == {name for names in NO_OBJECTS.values() for name in names}
