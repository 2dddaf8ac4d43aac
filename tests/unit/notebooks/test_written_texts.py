"""Notebooks written as Markdown, as Python with marks between cells, or as JSON are read as an .ipynb would be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.exporting.description import description_of
from marimo_kernel_bridge.notebooks.nbformat_json import source_of
from marimo_kernel_bridge.notebooks.written_texts import (
    TextFormat,
    document_of_text,
    format_of_text,
    read_written,
)

if TYPE_CHECKING:
    from pathlib import Path

MARKDOWN = """\
---
title: Sales
---
# Sales

Some text.

```python
x = 1
```

```{python}
y = x
```
~~~ py
z = '''
```
'''
~~~
```sh
ls
```
- a list
  ```python {.marimo}
  w = 1
    # deeper
  ```
"""

PERCENT = """\
# ---
# jupyter: {}
# ---

# %% [markdown]
# # Sales
#
# Some text.

# %% Load
x = 1

# %%
# %matplotlib inline
# !ls
y = x  # a comment
# %d is no magic
#%% [md]
\"\"\"
More text.
\"\"\"
# %% [raw]
# as it is
"""


def cells(text: str, kind: TextFormat) -> list[tuple[str, str]]:
    document = document_of_text(text, kind, "it")
    nbformat.validate(nbformat.from_dict(document))
    return [(cell["cell_type"], source_of(cell)) for cell in document["cells"]]


def test_blocks_of_python_in_markdown_are_code_and_the_rest_is_text() -> None:
    assert cells(MARKDOWN, "markdown") == cells(MARKDOWN, "md")
    assert cells(MARKDOWN, "markdown") == [
        ("markdown", "# Sales\n\nSome text."),
        ("code", "x = 1"),
        ("code", "y = x"),
        ("code", "z = '''\n```\n'''"),
        ("markdown", "```sh\nls\n```\n- a list"),
        ("code", "w = 1\n  # deeper"),
    ]


def test_marks_in_python_begin_cells() -> None:
    assert cells(PERCENT, "py") == [
        ("markdown", "# Sales\n\nSome text."),
        ("code", "x = 1"),
        ("code", "%matplotlib inline\n!ls\ny = x  # a comment\n# %d is no magic"),
        ("markdown", "More text."),
        ("raw", "as it is"),
    ]
    assert cells("x = 1\n\n\ny = 2\n", "py") == [("code", "x = 1\n\n\ny = 2")]


def test_json_lists_cells_by_any_of_the_usual_names() -> None:
    text = json.dumps(
        {
            "cells": [
                {"kind": "code", "source": "x = 1", "id": "first"},
                {"type": "markdown", "content": "# Title", "id": "first"},
                {"cell_type": "raw", "source": ["a\n", "b"]},
                {"code": "y = x", "id": "no id, with spaces"},
            ]
        }
    )
    assert cells(text, "json") == [
        ("code", "x = 1"),
        ("markdown", "# Title"),
        ("raw", "a\nb"),
        ("code", "y = x"),
    ]
    ids = [cell["id"] for cell in document_of_text(text, "json", "it")["cells"]]
    assert ids == ["first", "cell-2", "cell-3", "cell-4"]


def test_what_is_exported_as_json_is_read_again_with_the_text_of_its_outputs() -> None:
    document = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Title"},
            {
                "cell_type": "code",
                "id": "b",
                "metadata": {"tags": ["x"]},
                "source": "print(1)",
                "execution_count": 1,
                "outputs": [{"output_type": "stream", "name": "stdout", "text": "1\n"}],
            },
        ],
    }
    described = json.dumps(description_of(document, "it", {}))
    again = document_of_text(described, "json", "it")
    assert [(cell["id"], source_of(cell), cell["metadata"]) for cell in again["cells"]] == [
        ("a", "# Title", {}),
        ("b", "print(1)", {"tags": ["x"]}),
    ]
    assert again["cells"][1]["outputs"] == [{"output_type": "stream", "name": "stdout", "text": ["1\n"]}]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (MARKDOWN, "markdown"),
        (PERCENT, "py"),
        ("import marimo\n\napp = marimo.App()\n", "py"),
        ('{"cells": [], "nbformat": 4}', "ipynb"),
        ('{"cells": []}', "json"),
        ('[{"code": "1"}]', "json"),
        ("just a text", "markdown"),
        ("x = 1\n", "py"),
        ("import os\nprint(os.name)", "py"),
        ("print(1)", "py"),
        ("# Title\n\nText", "markdown"),
        ("Note: it", "markdown"),
        ("Title\n=====\n", "markdown"),
        ("- one\n- two", "markdown"),
        ("x = " + "-" * 100_000 + "1", "markdown"),
    ],
)
def test_the_format_of_a_text_is_found_out(text: str, kind: str) -> None:
    assert format_of_text(text) == kind


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("3", "no list of cells"),
        ('{"cells": [3]}', "no list of cells"),
        ('{"cells": [{"kind": "code", "source": 3}]}', "Cell 1 of it has no text"),
        ('{"cells": [{"kind": "picture"}]}', "neither code, markdown nor raw"),
    ],
)
def test_json_that_is_no_notebook_is_refused(text: str, why: str) -> None:
    with pytest.raises(BridgeError, match=why):
        document_of_text(text, "json", "it")


def test_files_are_read_by_their_suffix_and_marimos_own_are_left_to_marimo(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Title\n```python\nx = 1\n```\n")
    notebook = read_written(tmp_path / "a.md")
    assert [(cell.kind, cell.source) for cell in notebook.cells] == [
        ("markdown", "# Title"),
        ("code", "x = 1"),
    ]
    (tmp_path / "b.py").write_text("import marimo\n\napp = marimo.App()\n")
    with pytest.raises(BridgeError, match="is a marimo notebook already"):
        read_written(tmp_path / "b.py")
    with pytest.raises(BridgeError, match="does not exist"):
        read_written(tmp_path / "c.md")


@given(st.text(alphabet="`~#%- \n\tpyx{}[]'\"", max_size=80), st.sampled_from(["markdown", "py"]))
def test_no_line_of_code_or_text_is_lost(text: str, kind: TextFormat) -> None:
    document = document_of_text(text, kind, "it")
    assert all(cell["cell_type"] in {"code", "markdown", "raw"} for cell in document["cells"])
    kept = "".join(source_of(cell) for cell in document["cells"])
    assert set(kept) <= set(text)


@pytest.mark.parametrize(
    "part", ["```python\n", "# %%\n", "~~~\n", "---\n", "# ---\n", "`", "# %% [markdown]\n# "]
)
def test_a_long_text_is_read_in_bounded_time(part: str) -> None:
    text = part * (1_000_000 // len(part))
    document_of_text(text, "markdown", "it")
    document_of_text(text, "py", "it")
