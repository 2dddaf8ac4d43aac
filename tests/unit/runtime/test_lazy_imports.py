"""What of marimo is loaded late answers as marimo's own."""

import subprocess
import sys

PROBE = """
import inspect, sys
from marimo_kernel_bridge.runtime import lazy_imports as late_parts
from marimo_kernel_bridge.startup.lazy_modules import load
from marimo._output import md
early = md.is_url
url = sys.modules["marimo._utils.url"]
sample = ["http://a.org/x?y#z", "https://127.0.0.1:8080", "ftp://x", "a.org", "", "http://\\u00e9t\\u00e9.fr", "HTTP://A.ORG"]
assert "regex" not in vars(url)
answers = [(early(one), early(one, public=True)) for one in sample]
own = url.is_url
assert own is not early and own.__module__ == "marimo._utils.url"
assert answers == [(own(one), own(one, public=True)) for one in sample]
assert {one for pair in answers for one in pair} == {True, False}
assert str(inspect.signature(early)) == str(inspect.signature(own))
import marimo
assert marimo._utils.url is url and url.regex.pattern
"""


LOOK = """
import marimo as mo
print(mo.ui.__doc__, dir(mo.ui), mo.ui.__all__, repr(mo.ui), type(mo.ui))
print([getattr(mo.ui, name).__module__ for name in mo.ui.__all__])
print(dir(mo._lint), dir(mo), mo.ui.slider(1, 3).value)
"""


def seen(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_user_interface_elements_look_like_marimos() -> None:
    late = seen("from marimo_kernel_bridge.runtime import lazy_imports as late_parts" + LOOK)
    assert late == seen(LOOK)
    assert "experimental_data_editor" in late


def test_addresses_are_told_as_by_marimos_own_function() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", PROBE], check=True)
