"""Functions that cells call with different values of what they read: one definition, which an edit changes everywhere."""

import pytest
from reactive import Reactive, assert_shows_the_same_again_and_again, in_order, prepared

SCALED = "k = 2\ndef scaled(x):\n    return x * k + 10"


def edited(codes, old, new):
    """What the cells of an import show after an edit of one of them, and what a fresh run shows."""
    cells = prepared(codes).cells
    reactive = Reactive([cell.code for cell in cells])
    shown = reactive.run()
    (number,) = [number for number, code in enumerate(reactive.codes) if old in code]
    changed = [code.replace(old, new) for code in reactive.codes]
    after = Reactive(changed, namespace=reactive.namespace)
    shown |= after.run(after.downstream(number))
    fresh = in_order([code.replace(old, new) for code in codes])
    right = {
        number: "".join(fresh[position - 1] for position in cell.positions)
        for number, cell in enumerate(cells)
    }
    return {number: shown[number] for number in right}, right


@pytest.mark.parametrize(
    "codes",
    [
        [SCALED, "print(scaled(1))", "k = 3\nprint(scaled(1))", "print(scaled(2))"],
        [SCALED, "print(scaled(1))", "k = 3", "print(scaled(1))", "k = 4", "print(scaled(1))"],
        [SCALED, "print(scaled(1))\nk = 4\nprint(scaled(1))", "print(scaled(2))"],
        [SCALED, "print(scaled(1))", "for k in range(3):\n    print(scaled(1))"],
        [SCALED, "print(list(map(scaled, [1])))", "k = 3\nprint(list(map(scaled, [1, 2])))"],
        [SCALED, "def twice(x):\n    return 2 * scaled(x)", "print(twice(1))", "k = 5", "print(twice(1))", "print(scaled(1))"],
        ["def f(x):\n    return x", "def use(x):\n    return f(x) + 10", "print(use(1))", "def f(x):\n    return -x\nprint(use(1))", "print(use(2))"],
        ["k = 2\ndef f(n, step=k):\n    for i in range(n):\n        yield i * k + 10 + step", "print(list(f(2)))", "k = 3", "print(list(f(2)))"],
        ["k = 2\ndef f(n):\n    return k + 10 if n == 0 else f(n - 1) * k", "print(f(2))", "k = 3", "print(f(2))"],
        ["function = 2\ndef f(n):\n    return [(lambda i: i + function + 10)(i) for i in range(n)]", "print(f(2))", "function = 3", "print(f(2))"],
        ["class A:\n    def m(self):\n        return k + 10\nk = 1", "print(A().m())", "k = 5\nprint(A().m())"],
    ],
)  # fmt: skip
def test_an_edit_of_a_function_reaches_all_cells_that_call_it(codes):
    assert_shows_the_same_again_and_again(codes)
    shown, right = edited(codes, "+ 10", "+ 20")
    assert shown == right


def test_a_function_of_which_only_cells_below_its_values_use_it_is_written_once():
    codes = ["def f(x):\n    return x + late + 10", "late = 1\nlate += f(1)\nprint(f(1))", "print(f(2))"]
    codes[1] = codes[1].replace("f(1)\n", "f.__code__.co_argcount\n")
    shown, right = edited(codes, "+ 10", "+ 20")
    assert shown == right


def test_a_line_makes_a_function_with_the_values_of_its_place():
    cells = prepared([SCALED, "scaled(1)", "k = 3\nscaled(1)"]).cells
    assert cells[-1].code == "scaled_1 = with_globals(scaled, k=lambda: k_1)\nk_1 = 3\nscaled_1(1)"
    assert not any("shown_as" in cell.code for cell in cells)


def test_a_function_moves_past_what_it_reads_to_the_cell_that_alone_calls_it():
    codes = ["def f(x):\n    return x * b + n", "n = 10\nb = 1\nu = 0", "for _ in range(3):\n    b = b + 1\n    u = f(u)", "print(u, b)"]  # fmt: skip
    assert_shows_the_same_again_and_again(codes)
    assert [cell.positions for cell in prepared(codes).cells] == [(2,), (1, 3), (4,)]
