"""Hints about what a run costs say which cells cost, and which keep what they have computed."""

import pytest

from marimo_kernel_bridge.mcp_server.views.run_costs import hints, keeps_results

OR_ELSE = "or `with mo.persistent_cache(name=...)`, keeps what it computes for the same arguments."
CACHED = "@mo.cache\ndef load(): ...\ndata = load()"


def test_the_costliest_cells_are_named_with_what_would_keep_their_results() -> None:
    codes = {"aaaa": "data = load()", "bbbb": CACHED, "cccc": "x = 1"}
    seconds = {"aaaa": 9.0, "bbbb": 5.0, "cccc": 0.01, "dddd": None}
    assert hints(codes, seconds, mo=True) == (
        "Of 14 s: aaaa 9 s, bbbb 5 s.",
        "bbbb keeps results in a cache: faster if its arguments are the same.",
        f"aaaa computes all of it again; a function with `@mo.cache`, {OR_ELSE}",
    )
    assert "`@mo.cache` (`import marimo as mo`), or" in hints(codes, seconds, mo=False)[-1]


def test_nothing_is_said_of_a_quick_run() -> None:
    assert hints({"aaaa": "x = 1"}, {"aaaa": 0.2}, mo=True) == ()
    assert hints({}, {}, mo=True) == ()
    assert hints({"aaaa": "x"}, {"aaaa": None}, mo=True) == ()


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        (CACHED, True),
        ("with mo.persistent_cache(name='a'):\n    x = 1", True),
        ("@functools.lru_cache(maxsize=None)\ndef f(): ...", True),
        ("@memory.cache\nasync def f(): ...", True),
        ("cache = {}\ncache['a'] = 1", False),
        ("# mo.cache", False),
        ("mo.cache(", False),
    ],
)
def test_a_cache_is_known_by_how_it_is_used(code: str, kept: bool) -> None:
    assert keeps_results(code) is kept
