"""Functions and classes that had to be renamed, and show the name that their author gave them."""

import pytest
from reactive import Reactive, assert_shows_the_same_again_and_again, prepared


@pytest.mark.parametrize(
    ("definition", "shown"),
    [
        ("def f(r):\n    return {}", "print(repr(f).partition(' at ')[0])"),
        ("def f(r):\n    return {}", "f.__name__, f.__qualname__, f.__code__.co_name"),
        (
            "def f():\n    def inner():\n        return {}\n    return inner",
            "print(str(f()).partition(' at ')[0])",
        ),
        ("def f():\n    return lambda: {}", "f().__qualname__"),
        ("def f():\n    yield {}", "print(str(f()).partition(' at ')[0])"),
        ("def f():\n    yield {}", "g = f()\ng.__name__, g.__qualname__, g.gi_code.co_name"),
        ("async def f():\n    return {}", "c = f()\nc.close()\nc.__qualname__"),
        ("import functools\n@functools.lru_cache\ndef f():\n    return {}", "f.__qualname__"),
        ("class f:\n    x = {}", "print(str(f()).partition(' at ')[0], f)"),
        (
            "class f:\n    def m(self):\n        return {}",
            "f.m.__qualname__, f().m.__func__.__code__.co_qualname",
        ),
        ("class f:\n    @staticmethod\n    def m():\n        return {}", "f.m.__qualname__"),
        ("class f:\n    @classmethod\n    def m(cls):\n        return {}", "f.m.__qualname__"),
        ("import dataclasses\n@dataclasses.dataclass\nclass f:\n    x: int = {}", "f()"),
        ("import dataclasses\n@dataclasses.dataclass(slots=True)\nclass f:\n    x: int = {}", "f()"),
        ("import enum\nclass f(enum.Enum):\n    A = {}", "f.A, f"),
        ("class f(Exception):\n    x = {}", "repr(f('x'))"),
        ("def f(n={}):\n    'documented'\n    return n", "f.__doc__, f(), f.__defaults__, f.__name__"),
    ],
)
def test_a_renamed_definition_shows_its_own_name(definition, shown):
    codes = [definition.replace("{}", "1"), shown, definition.replace("{}", "2"), shown]
    assert_shows_the_same_again_and_again(codes)
    assert '@shown_as("f")' in prepared(codes).cells[-2].code


def test_a_traceback_names_the_function_as_its_author_did():
    codes = [
        "import traceback",
        "def f():\n    return 1\nf()",
        "def f():\n    raise ValueError\ntry:\n    f()\nexcept ValueError as error:\n    print([frame.name for frame in traceback.extract_tb(error.__traceback__)][1])",
    ]
    assert_shows_the_same_again_and_again(codes)


def test_a_function_that_is_only_called_gets_no_more_than_its_new_name():
    cells = prepared(["def f(r):\n    return r", "f(1)", "def f(r):\n    return 2 * r", "f(1)"]).cells
    assert [cell.code for cell in cells[2:]] == ["def f_1(r):\n    return 2 * r", "f_1(1)"]


@pytest.mark.parametrize(
    "call",
    ["list(f())", "sum(f())", "','.join(f())", "[x for x in f()]", "print(*f())", "dict(zip('ab', f()))", "for x in f(): pass"],
)  # fmt: skip
def test_a_generator_that_is_gone_over_where_it_is_made_gets_no_more_than_its_new_name(call):
    codes = ["def f():\n    yield 'a'", call, "def f():\n    yield 'b'", call]
    assert prepared(codes).cells[2].code == "def f_1():\n    yield 'b'"
    kept = prepared([*codes[:3], "g = f()\ng"]).cells
    assert '@shown_as("f")' in "".join(cell.code for cell in kept)


def test_where_objects_are_pickled_definitions_show_the_name_under_which_pickle_finds_them():
    codes = [
        "import pickle",
        "class f:\n    x = 1\nf()",
        "class f:\n    x = 2\npickle.loads(pickle.dumps(f())).x",
    ]
    cells = prepared(codes).cells
    assert cells[2].code.startswith("class f_1:")


def test_the_added_function_has_a_name_that_the_notebook_does_not_use():
    codes = ["shown_as = 1", "def f(r):\n    return 1\nf", "def f(r):\n    return 2\nf"]
    cells = prepared(codes).cells
    assert cells[-1].code.startswith('@imported_shown_as("f")\n')
    assert Reactive([cell.code for cell in cells]).problems() == []
