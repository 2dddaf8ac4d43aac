"""What counts as showing the same: lines that two runs agree on, pictures that look alike."""

import base64
import io
from contextlib import asynccontextmanager
from functools import cache

import pytest
from PIL import Image, ImageDraw

from marimo_kernel_bridge.importing.to_marimo import convert
from marimo_kernel_bridge.importing.verifying import verify as verifying
from marimo_kernel_bridge.importing.verifying.comparison import compare
from marimo_kernel_bridge.importing.verifying.running import TimeIsUpError
from marimo_kernel_bridge.notebooks.ipynb import Notebook, NotebookCell


def printed(text):
    return [{"output_type": "stream", "name": "stdout", "text": text}]


def failed(name):
    return [{"output_type": "error", "ename": name, "evalue": "", "traceback": []}]


@cache
def drawn(*, line=None, shift=0, size=(640, 480), colour="black"):
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((50 + shift, 50, 590 + shift, 430), outline="black")
    if line is not None:
        draw.line((60, 400, 580, line), fill=colour, width=2)
    data = io.BytesIO()
    picture.save(data, "PNG")
    image = base64.b64encode(data.getvalue()).decode()
    return [{"output_type": "display_data", "data": {"image/png": image}, "metadata": {}}]


@pytest.mark.parametrize(
    ("before", "again", "after", "differs"),
    [
        (printed("a"), printed("a"), printed("a"), False),
        (printed("a"), printed("a"), printed("b"), True),
        (printed("a"), printed("a"), [], True),
        (printed("at 0x7f01"), printed("at 0x7f01"), printed("at 0x7fff"), False),
        (printed("a\n1"), printed("a\n2"), printed("a\n3"), False),
        (printed("a\n1"), printed("a\n2"), printed("b\n3"), True),
        (printed("a\n1"), printed("a\n2"), printed("a"), True),
        (printed("1"), printed("1\n2"), printed("anything"), False),
        (printed("a\nb"), printed("a"), failed("NameError"), True),
        (printed("1"), printed("2"), failed("NameError"), True),
        (printed("1"), printed("2"), printed("3") + failed("NameError"), True),
        ([], printed("2"), failed("NameError"), True),
        (printed("1"), printed("1\n2"), [], True),
        (printed("1"), printed("2"), [], True),
        (printed("1"), [], [], False),
        (drawn() + drawn(), drawn(), [], True),
        (drawn(line=100), drawn(line=300), [], True),
        (failed("KeyError"), failed("KeyError"), failed("KeyError"), False),
        (failed("KeyError"), failed("KeyError"), printed("fine"), False),
        (printed("fine"), printed("fine"), failed("NameError"), True),
        (drawn(line=100), drawn(line=100), drawn(line=100), False),
        (drawn(line=100), drawn(line=100), drawn(line=100, shift=1), False),
        (drawn(line=100), drawn(line=100), drawn(), True),
        (drawn(line=100), drawn(line=100), drawn(line=300), True),
        (drawn(line=100), drawn(line=100), drawn(line=100, colour="red"), True),
        (drawn(line=100), drawn(line=100), drawn(line=100, size=(480, 640)), True),
        (drawn(line=100), drawn(line=300), drawn(line=200), False),
        (drawn(), drawn(), [], True),
        (drawn(), [], drawn(line=5), False),
    ],
)
def test_a_difference_is_what_two_runs_of_the_original_do_not_have(before, again, after, differs):
    verdict = compare({1: before}, {1: again}, [((1,), after)])
    assert bool(verdict.differences) is differs
    assert verdict.same is not differs


def test_what_varies_and_what_fails_in_the_original_is_named():
    verdict = compare(
        {1: printed("1"), 2: failed("KeyError"), 3: printed("x")},
        {1: printed("2"), 2: failed("KeyError"), 3: printed("x")},
        [((1,), printed("3")), ((2,), []), ((3,), printed("x"))],
    )
    assert (verdict.varying, verdict.failing) == ((1,), (2,))
    assert str(verdict) == (
        "all 2 cells that show something show the same; cell 1 varies by itself; cell 2 fails in the original"
    )


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({1: failed("KeyError"), 2: failed("KeyError")},
         "no cell shows anything that can be compared; cells 1, 2 fail in the original"),
        ({1: printed("x"), 2: []}, "the one cell that shows something shows the same"),
    ],
)  # fmt: skip
def test_a_verdict_on_less_than_two_cells_is_a_sentence_too(outputs, said):
    after = [((position,), shown) for position, shown in outputs.items()]
    assert str(compare(outputs, outputs, after)) == said


def test_joined_cells_are_compared_with_all_that_they_are_made_of():
    before = {1: printed("a\n"), 2: printed("b\n"), 3: []}
    assert compare(before, before, [((1, 2), printed("a\nb\n"))]).same
    assert not compare(before, before, [((1, 2), printed("b\n"))]).same
    assert not compare(before, before, [((1,), printed("a\n"))]).same  # cell 2 is nowhere


async def all_printed(_folder, codes, _done):
    """What an original shows of which each cell prints its own text."""
    return {cell: printed(code) for cell, code in codes.items()}


def of_code(sources):
    """A notebook of code cells."""
    cells = (NotebookCell(number, f"c{number}", "code", source) for number, source in enumerate(sources, 1))
    return Notebook(tuple(cells), {})


def verified(sources):
    """The verdict on a notebook of code cells."""
    notebook = of_code(sources)
    return verifying.verify(notebook, convert(notebook), lambda _steps, _now: None)


class Endless:
    """A notebook of which a cell does not end within the half hour that it has."""

    def __init__(self, codes):
        self.codes = codes
        self.shown = {}

    async def run(self, cell, code, _bound):
        if "sleep" in code:
            raise TimeIsUpError
        self.shown[cell] = printed(code)

    def page(self):
        return {cell: self.shown.get(cell, []) for cell in self.codes}


def test_a_cell_of_the_result_that_does_not_end_stops_the_verification_and_is_a_difference(monkeypatch):
    @asynccontextmanager
    async def running(_folder, codes, *, strict):
        assert strict
        yield Endless(codes)

    monkeypatch.setattr(verifying, "original", all_printed)
    monkeypatch.setattr(verifying, "running", running)
    sources = ["print(1)", "sleep()", "print(3)"]
    verdict = verified(sources)
    assert verdict.stopped
    assert [str(each) for each in verdict.differences] == [
        "cell 2: time: 'ends' became 'does not end in 1800 s'"
    ]
    assert verdict.first.compared == 1


def test_a_cell_of_nothing_but_comments_that_the_result_shows_as_text_is_no_difference(monkeypatch):
    async def original(_folder, codes, _done):
        return {cell: [] if code.startswith("#") else printed(code) for cell, code in codes.items()}

    @asynccontextmanager
    async def running(_folder, codes, *, strict):
        yield Endless(codes)

    monkeypatch.setattr(verifying, "original", original)
    monkeypatch.setattr(verifying, "running", running)
    sources = ["# your solution\n\n  # here", "print()"]
    notebook = of_code(sources)
    conversion = convert(notebook)
    assert "your solution" in conversion.codes[1]
    assert "mo.md" in conversion.codes[1]
    verdict = verifying.verify(notebook, conversion, lambda _steps, _now: None)
    assert (verdict.same, verdict.first.compared) == (True, 1)


class Closed(Endless):
    """A notebook of which a cell fails once the one below it has run."""

    async def run(self, cell, code, _bound):
        closed = any("close" in self.codes[ran] for ran in self.shown)
        self.shown[cell] = failed("ValueError") if closed and "query" in code else printed(code)


@pytest.mark.parametrize("fails_in_jupyter", [True, False])
def test_a_cell_that_fails_in_the_original_when_it_runs_again_is_no_difference(monkeypatch, fails_in_jupyter):
    async def original_again(_folder, codes, _deadline):
        shown = failed("ValueError") if fails_in_jupyter else printed("")
        return {cell: shown if "query" in code else printed(code) for cell, code in codes.items()}

    @asynccontextmanager
    async def running(_folder, codes, *, strict):
        yield Closed(codes)

    monkeypatch.setattr(verifying, "original", all_printed)
    monkeypatch.setattr(verifying, "original_again", original_again)
    monkeypatch.setattr(verifying, "running", running)
    sources = ["c = connect", "query(c)", "close(c)"]
    verdict = verified(sources)
    assert (verdict.first.same, verdict.same) == (True, fails_in_jupyter)
    again = next(check for check in verdict.checks if check.name == "run_again")
    assert (again.done, again.wrong) == (3, 0 if fails_in_jupyter else 1)
