"""What counts as a requirement, and which code installs packages."""

from __future__ import annotations

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.environment import MOST_PACKAGES, installs_packages, requirements


@pytest.mark.parametrize(
    ("wanted", "plain"),
    [
        ("polars", "polars"),
        (" polars >= 1.30, <2 ", "polars>=1.30,<2"),
        ("dask[array, dataframe]==2026.1.*", "dask[array,dataframe]==2026.1.*"),
        ("a~=1.0rc1", "a~=1.0rc1"),
        ("ruamel.yaml", "ruamel.yaml"),
    ],
)
def test_a_name_with_extras_and_versions_is_a_requirement(wanted: str, plain: str) -> None:
    assert requirements([wanted]) == (plain,)


@pytest.mark.parametrize(
    "wanted",
    [
        "--index-url=http://evil.example",
        "-r requirements.txt",
        "-e.",
        "polars --pre",
        "polars\n--pre",
        "polars @ https://evil.example/polars.whl",
        "git+https://evil.example/x",
        "./polars",
        "/tmp/polars",
        "polars.whl",
        "polars.tar.gz",
        *(f"polars.{suffix}" for suffix in ("tbz", "txz", "tlz", "tar.lz", "tar.lzma", "tar.bz2", "TGZ")),
        "polars; python_version > '3'",
        "polars>=1 -e .",
        "polars && true",
        "$(true)",
        "",
        "..",
        "pol\u0430rs",  # a Cyrillic a
        "p" * 201,
        "polars (>=1)",
        "polars===1 ; python_version > '3'",
        "polars === $(true)",
    ],
)
def test_nothing_else_is_a_requirement(wanted: str) -> None:
    with pytest.raises(BridgeError) as refusal:
        requirements([wanted])
    assert refusal.value.code == "bad_request"


@pytest.mark.parametrize("number", [0, MOST_PACKAGES + 1])
def test_a_request_has_some_packages_and_not_too_many(number: int) -> None:
    with pytest.raises(BridgeError) as refusal:
        requirements(["polars"] * number)
    assert refusal.value.code == "bad_request"
    assert len(requirements(["polars"] * MOST_PACKAGES)) == MOST_PACKAGES


@pytest.mark.parametrize(
    ("code", "installs"),
    [
        ("%pip install polars", True),
        ("x = 1\n  !pip3 install -q polars", True),
        ("!!uv pip install x", True),
        ("! /usr/bin/python3 -m pip install x", True),
        ("%conda install x", True),
        ("!uv add x", True),
        ("%pip list", False),
        ("!ls install", False),
        ("pip_install = 1\n# %pip install x", False),
    ],
)
def test_code_that_installs_packages_is_told_from_other_code(code: str, installs: bool) -> None:
    assert installs_packages(code) is installs
