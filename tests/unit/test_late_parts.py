"""What of marimo is loaded late answers as marimo's own."""

import subprocess
import sys

PROBE = """
import inspect, sys
from marimo_kernel_bridge.runtime import late_parts
from marimo_kernel_bridge.late_modules import load
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


def test_addresses_are_told_as_by_marimos_own_function():
    subprocess.run([sys.executable, "-W", "error", "-c", PROBE], check=True)
