"""Names that become private to their cell, which marimo deletes when the cell has run."""

import pytest
from reactive import assert_shows_the_same_again_and_again, prepared


@pytest.mark.parametrize(
    ("made", "read"),
    [
        ("def price(x):\n    return rate * x\nrate = 2", "price(5)"),
        ("class Shop:\n    def price(self, x):\n        return rate * x\nrate = 2", "Shop().price(5)"),
        ("def outer():\n    def inner():\n        return rate\n    return inner\nrate = 2", "outer()()"),
        ("price = lambda x: rate * x\nrate = 2", "price(5)"),
        ("rate = 2\nprices = []\nprices.append(lambda x: rate * x)", "prices[0](5)"),
        ("rate = 2\nprices = {'a': [lambda x: rate * x]}", "prices['a'][0](5)"),
        ("rate = 2\ndef price(x):\n    return rate * x", "price(5)"),
        ("def price(x):\n    return cost(x)\ndef cost(x):\n    return rate * x\nrate = 2", "price(5)"),
        ("import functools\n@functools.cache\ndef price(x):\n    return rate * x\nrate = 2", "price(5)"),
        ("def price(x):\n    return rate * x\nfor rate in [1, 2]:\n    pass", "price(5)"),
        ("def price(x):\n    return rate * x\nif True:\n    rate = 2", "price(5)"),
        (
            "class Rate:\n    def value(self):\n        return rate.n\nclass rate:\n    n = 2",
            "Rate().value()",
        ),
    ],
)
def test_a_name_that_a_function_of_its_cell_reads_is_there_when_another_cell_calls_it(made, read):
    assert_shows_the_same_again_and_again([made, read, "rate = 3\nrate"])


def test_a_generator_finds_the_names_that_it_reads_when_another_cell_takes_from_it():
    codes = [cell.code for cell in prepared(["k = 4\ng = (k * x for x in [1, 2])", "k = 5\nk"]).cells]
    assert codes[0] == "k = 4\ng = (k * x for x in [1, 2])"


def test_an_author_s_private_name_that_a_function_above_it_reads_is_public():
    assert_shows_the_same_again_and_again(["def price(x):\n    return _rate * x\n_rate = 2", "price(5)"])
    result = prepared(["def price(x):\n    return _rate * x\n_rate = 2", "price(5)"])
    assert result.cells[0].code == "def price(x):\n    return rate * x\nrate = 2"
    assert result.notes[1] == ["`_rate` is called `rate`: it is read after the cell has run"]


def test_what_only_its_own_cell_reads_is_private():
    result = prepared(["k = 1\ntotal = sum(k * x for x in [1])\ntotal", "k = 2\ntotal = 3\nk, total"])
    assert "_k = 1" in result.cells[0].code
