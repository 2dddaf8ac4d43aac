"""Names that cells read in strings only, which they evaluate: a cell that binds such a name runs its readers."""

import pytest

from tests.unit.kernel.notebook_in_memory import FrontEnd

READERS = {
    "eval of a name": ("text = 'middle'", "print(eval(text))"),
    "a function that evaluates": ("def show(text): print(eval(text))", "show('middle')"),
    "a function that calls one that evaluates": (
        "def value(text): return eval(text)\ndef show(*texts): print(*map(value, texts))",
        "show('middle')",
    ),
    "a class that evaluates": (
        "class Shown:\n    def __init__(self, text): self.text = text\n    def __repr__(self): return str(eval(self.text))",
        "print(Shown('middle'))",
    ),
    "the namespace": ("name = 'middle'", "print(globals()[name])"),
}


@pytest.mark.parametrize("before", [(), ("middle = 1",)], ids=["bound once", "bound above, too"])
@pytest.mark.parametrize(("above", "reader"), READERS.values(), ids=READERS)
def test_an_edit_runs_the_cells_that_read_the_name_in_a_string(
    lab: FrontEnd, above: str, reader: str, before: tuple[str, ...]
) -> None:
    for number, code in enumerate((above, *before)):
        assert lab.run(f"above {number}", code).ok
    assert lab.run("maker", "middle = 3").ok
    assert lab.run("reader", reader).ok
    assert lab.run("below", "middle = 5").ok
    lab.run("maker", "middle = 4")
    assert lab.text("reader") == "4"


def test_words_in_strings_that_no_cell_evaluates_are_no_reads(lab: FrontEnd) -> None:
    lab.run("middle", "middle = 3")
    lab.run("runs", "runs = []")
    lab.run("reader", "runs.append(0); print('the middle', len(runs))")
    lab.run("middle", "middle = 4")
    assert lab.text("reader") == "the middle 1"
