"""What a verification tries and compares: edits of literals, Markdown as JupyterLab shows it, pictures by path."""

import random
import re
import time
from pathlib import Path

import marimo  # noqa: TID251  # what marimo shows is the subject
import pytest

from marimo_kernel_bridge.importing.verifying.effects import Effects
from marimo_kernel_bridge.importing.verifying.html_structure import difference, structure
from marimo_kernel_bridge.importing.verifying.jupyter_markdown import (
    code_spans,
    fenced_lines,
    shown_in_jupyter,
    without_formulas,
)
from marimo_kernel_bridge.importing.verifying.literals import count_equal, edit_like, edits
from marimo_kernel_bridge.importing.verifying.texts_and_pictures import markdown_check, picture_check
from marimo_kernel_bridge.importing.verifying.verdict import Check, Difference, FirstRun, Verdict
from marimo_kernel_bridge.notebooks.ipynb import Notebook, NotebookCell
from marimo_kernel_bridge.rendering.elements import split_blocks


@pytest.mark.parametrize(
    ("code", "edited"),
    [
        ("x = 3", "x = 4"),
        ("x = 0.5 * y", "x = 0.625 * y"),
        ("x = 2.5e-13", "x = 5e-13"),
        ("rows[2] + 7", "rows[2] + 8"),
        ("f(size=2)\ny = 1", "f(size=2)\ny = 2"),
        ("print(3)", "print(4)"),
        ("import numpy as np\nx = -np.sqrt(y) * -1", "import numpy as np\nx = -np.sqrt(y) * -2"),
        ("title = 'hello'", "title = 'hello too'"),
        ("names = ['a', 'b']", "names = ['a too', 'b']"),
        ("df = pd.DataFrame({'a': [1, 2]})", "df = pd.DataFrame({'a': [2, 2]})"),
        ("x[x > 3]\ndf.to_numpy() * 2", "x[x > 3]\ndf.to_numpy() * 3"),
        ("data = open('a.csv').read() * 2", "data = open('a.csv').read() * 3"),
        ("%matplotlib inline\nn = 5", "%matplotlib inline\nn = 6"),
        ("%%time\nn = 5", "%%time\nn = 6"),
        ("é = 'ü'; n = 1", "é = 'ü'; n = 2"),
        ("if False:\n    x = 1", "if False:\n    x = 2"),
    ],
)
def test_the_first_edit_of_a_cell_changes_the_literal_that_most_likely_shows(code: str, edited: str) -> None:
    assert next(edits(code)).code == edited


@pytest.mark.parametrize(
    "code", ['"""A docstring."""', "f'{3}'", "!ls 3", "%%bash\necho 3", "open('a/b.csv')", "x = y", "def f(:"]
)
def test_what_is_no_literal_of_python_or_shows_nothing_is_not_edited(code: str) -> None:
    assert list(edits(code)) == []


@pytest.mark.parametrize(
    "code",
    [
        "UPLOAD = False",
        "UPLOAD = 0",
        "LEVEL = 3\nif LEVEL > 3:\n    start()",
        "if False:\n    start()",
        "if x > 3:\n    start()",
        "while n < 3: start()",
        "assert n == 3",
        "3 > n and start()",
        "start() if n > 3 else None",
        "for _ in range(0): start()",
        "for _ in range(3 - n): start()",
        "[start() for _ in range(0)]",
        "client.clean(bucket, dry_run=True)",
        "client.clean(bucket, dry=1)",
        "client.clean(bucket, 1)",
        "client.clean(-1)",
        "client.clean(dry=-1)",
        "client.clean('bucket')",
        "clean(['bucket'])",
        "print('hello')",
        "def f(force=1):\n    return x",
        "folder = 'build'",
        "config.port = 8080",
        "name = 'a.csv'",
        "what = 'rm -rf build'",
        "what = 'rm build'",
        "what = 'DROP TABLE a'",
        "x = 3\nos.system('rm -rf build')",
        "x = 3\nif False:\n    shutil.rmtree(out)",
        "x = 3\nclient.delete(bucket)",
        "x = 3\nclient.delete_bucket(bucket)",
        "x = 3\nopen(a, 'w').write(b)",
        "x = 3\nopen(a, mode=m)",
        "x = 3\ngzip.open(a, 'wb')",
        "x = 3\npath.open('a')",
        "x = 3\ndf.to_csv(a)",
        "x = 3\ndf.to_json(a)",
        "x = 3\nplt.savefig(a)",
        "x = 3\nrequests.get(a)",
        "x = 3\npd.read_csv('https://x.org/a.csv')",
        "x = 3\nconnection.execute(a)",
        "from shutil import rmtree as clean\nx = 3\nclean(a)",
        "import subprocess as sp\nx = 3\nsp.call(a)",
        "def clean(): os.remove(a)\nx = 3\nclean()",
        "x = 3\n!rm -rf build",
        "x = 3\nfiles = !ls",
        "x = 3\n%cd ..",
        "x = 3\nget_ipython().system(a)",
    ],
)
def test_what_may_decide_what_runs_or_acts_outside_the_notebook_is_not_edited(code: str) -> None:
    assert [edit.after for edit in edits(code)] == []


def test_a_cell_is_not_edited_if_one_that_depends_on_it_acts_outside_the_notebook() -> None:
    codes = (
        "n = 3",
        "m = n + 1",
        "from shutil import rmtree",
        "def clean(a): rmtree(a)",
        "clean(str(m))",
        "k = 3",
    )
    notebook = Effects(codes)
    assert [code for code in codes if list(edits(code, notebook))] == ["k = 3"]
    assert [code for code in codes[:-2] if list(edits(code, Effects(codes[:-2])))] == ["n = 3", "m = n + 1"]
    apart = ("import numpy as np", "a = np.ones(3)", "np.save('a', 2 * b)")
    assert [code for code in apart if list(edits(code, Effects(apart)))] == ["a = np.ones(3)"]


def test_a_value_that_a_condition_of_another_cell_reads_is_not_edited() -> None:
    assert list(edits("level = 3", Effects(("level = 3", "if level > 3: start()")))) == []
    assert list(edits("level = 3", Effects(("level = 3", "go = level > 3", "if go: start()")))) == []


def test_an_edit_is_found_again_in_the_cell_that_the_import_has_made_of_several() -> None:
    above, cell = "a = 1\nb = 1", "c = 2\nd = 1"
    edit = next(edit for edit in edits(cell) if edit.before == "1")
    whole = "a_1 = 1\nb = 1\nc = 2\nd_1 = 1"
    counts = [count_equal(edit, part) for part in (above, cell)]
    like = edit_like(edit, whole, counts[0], sum(counts))
    assert like is not None
    assert like.code == "a_1 = 1\nb = 1\nc = 2\nd_1 = 2"
    assert edit_like(edit, f"{whole}\nrepeat(1)", counts[0], sum(counts)) is None


SAME = [
    "# A *title*\n\nwith `code`, **more** and [a link](https://x.org)\n\n> quoted",
    "* a\n    * b\n\n1. one\n2. two",
    "| a | b |\n|---|---|\n| 1 | $x$ |",
    "see https://x.org/a, and $a^2$\n\n$$\n\\begin{split}a &= b\\end{split}\n$$\n\nend",
    "```python\nx = '$1'\n```\n\n`$y$`",
    "costs \\$5 or $x_1$ and ***both***",
]


@pytest.mark.parametrize("source", SAME)
def test_markdown_that_both_show_alike_has_no_difference(source: str) -> None:
    assert difference(shown_in_jupyter(source), structure(marimo.md(source).text)) is None


@pytest.mark.parametrize(
    "source",
    [
        "The share $ s $ of",
        "* one\n  * half",
        "The sizes\n| a |\n|---|\n| 1 |",
        "We have\n\\begin{align*}\na &= b\n\\end{align*}",
    ],
)
def test_markdown_that_marimo_shows_otherwise_is_found(source: str) -> None:
    assert difference(shown_in_jupyter(source), structure(marimo.md(source).text)) is not None


def test_markdown_and_pictures_are_compared_by_the_cell_of_the_original(tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(b"picture")
    source = "![a](there.png) ![b](nowhere.png) ![c](https://x.org/c.png)"
    cells = (NotebookCell(1, "a", "markdown", source), NotebookCell(2, "b", "markdown", "* x\n  * y"))
    notebook = Notebook(cells, {}, tmp_path / "n.ipynb")
    page = {
        name: [{"output_type": "display_data", "data": {"text/html": marimo.md(cell.source).text}}]
        for name, cell in zip("pq", cells, strict=True)
    }
    made_of = {"p": (1,), "q": (2,)}
    markdown = markdown_check(notebook, made_of, page)
    assert [each.positions for each in markdown.differences] == [(2,)]
    pictures = picture_check(notebook, made_of, page, {})
    assert [(each.positions, each.before) for each in pictures.differences] == [((1,), "there.png")]
    assert str(pictures) == "pictures by path: 1 picture, 1 wrong"


def test_a_report_says_what_was_not_tried() -> None:
    wrong = Difference((2,), "after cell 1 ran again", "1", "2")
    checks = (Check("run_again", 2, 3, (wrong,), 1), Check("edits", 0, 4), Check("pictures", 0, 0))
    verdict = Verdict(FirstRun(1, ()), checks, stopped=True)
    assert verdict.lines() == [
        "verified: the one cell that shows something shows the same",
        "run again one by one: 2 of 3 cells, 1 wrong",
        "  cell 2: after cell 1 ran again: '1' became '2'",
        "edited, one literal each: 0 of 4 cells, none tried",
        "the time was up: not everything was tried (--within SECONDS gives it more)",
    ]
    assert not verdict.same
    assert verdict.as_json()["checks"]["run_again"]["differences"] == [wrong.as_json()]


FENCED = re.compile(r"^(?P<fence>`{3,}|~{3,})[^`\n]*\n[\s\S]*?^(?P=fence)`*$", re.MULTILINE)
SPAN = re.compile(r"(?:^|[^\\])(`+)[^\n]*?[^`\n]\1(?!`)", re.MULTILINE)


def test_code_is_found_in_markdown_as_jupyterlabs_patterns_find_it() -> None:
    rng = random.Random(1)
    for _ in range(3000):
        line = "".join(rng.choices(["`", "``", "a", "\\", "~"], k=rng.randrange(14)))
        ends = [(found.start(1), found.end()) for found in SPAN.finditer(line)]
        assert list(code_spans(line)) == ends, line
        text = "".join(rng.choices(["```", "~~~", "`", "~", "\n", "\n", "a"], k=rng.randrange(20)))
        places = [(found.start(), found.end()) for found in FENCED.finditer(text)]
        numbers = [(text.count("\n", 0, start), text.count("\n", 0, end) + 1) for start, end in places]
        assert list(fenced_lines(text.split("\n"))) == numbers, text


def test_markdown_and_html_are_compared_in_linear_time() -> None:
    before = time.process_time()
    for line in ("`" * 100_000, " ".join("`" * length for length in range(400)), "`` ` " * 20_000):
        assert without_formulas(f"$a$ {line}")[1] == ["a"]
    for lines in ("```\n", "````a\n```\n", "~~~~~~~a\n", "~" * 90 + "\n"):
        without_formulas(f"{lines * 5000}x")
    structure("\\(" * 50_000 + "\\]")
    assert split_blocks("<div " * 50_000) == []
    assert time.process_time() - before < 10


def test_formulas_in_html_end_where_they_first_can() -> None:
    parts = structure(r"a \(x\) b \[y\] \(\) c \[z \(w\) d \(")
    assert [part.text for part in parts if part.kind == "formula"] == ["x", "y", r"\)c\[z\(w"]
