"""Which names star imports bind, once their modules are loaded."""

import pytest

from marimo_kernel_bridge.kernel.versions import star_imports


@pytest.mark.parametrize(
    ("code", "without", "modules"),
    [
        ("from math import *\nx = 1", "pass\nx = 1", ("math",)),
        ("if a:\n    from math import *", "if a:\n    pass", ("math",)),
        ("from . import *", "pass", ("",)),
        ("from math import pi # *", "from math import pi # *", ()),
        ("x = 2 * 3", "x = 2 * 3", ()),
        ("import a\nfrom __future__ import division", "import a\npass", ()),
        ("import (*", "import (*", ()),
    ],
)
def test_star_imports_are_taken_out(code: str, without: str, modules: tuple[str, ...]) -> None:
    assert star_imports.without_stars(code) == (without, modules)


def test_star_imports_of_loaded_modules_are_written_out() -> None:
    assert star_imports.written_out(["io", "no.such"], {"StringIO", "x"}) == "from io import StringIO\n"
    assert star_imports.written_out(["io"], {"x"}) == ""
