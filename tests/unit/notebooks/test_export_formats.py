"""The export formats: one table that every place which lists formats reads."""

from typing import get_args

import pytest

from marimo_kernel_bridge.notebooks.export_formats import (
    EXPORT_FORMATS,
    LIVE_FORMATS,
    ExportFormat,
    format_of_suffix,
)


def test_each_format_that_has_a_name_has_properties() -> None:
    assert set(EXPORT_FORMATS) == set(get_args(ExportFormat))


def test_no_two_formats_share_a_suffix() -> None:
    suffixes = [properties.suffix for properties in EXPORT_FORMATS.values()]
    assert len(set(suffixes)) == len(suffixes)


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        (".py", "py"),
        (".ipynb", "ipynb"),
        (".html", "html"),
        (".pdf", "pdf"),
        (".md", "md"),
        (".json", "json"),
    ],
)
def test_the_last_suffix_of_a_file_names_its_format(suffix: str, expected: ExportFormat) -> None:
    assert format_of_suffix(suffix) == expected


@pytest.mark.parametrize("suffix", ["", ".txt", "py"])
def test_another_suffix_names_no_format(suffix: str) -> None:
    assert format_of_suffix(suffix) is None


def test_a_kernels_notebook_is_a_resource_in_each_text_that_people_open() -> None:
    assert LIVE_FORMATS == ("py", "ipynb", "html", "md")
