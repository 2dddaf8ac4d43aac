"""Functions that keep something from call to call: caches of decorators, registries, defaults, functions made by others."""

import pytest
from reactive import Reactive, assert_shows_the_same_again_and_again, in_order, prepared


def assert_a_first_run_shows_the_same(codes):
    cells = prepared(codes).cells
    reactive = Reactive([cell.code for cell in cells])
    assert reactive.problems() == []
    shown, expected = reactive.run(), in_order(codes)
    for number, cell in enumerate(cells):
        if cell.positions:
            assert shown[number] == "".join(expected[at - 1] for at in cell.positions), cell.code
    return cells, reactive


@pytest.mark.parametrize(
    "codes",
    [
        ["import functools", "@functools.lru_cache\ndef f(x):\n    return x * k\nk = 3\nprint(f(2))", "k = 4\nprint(f(2), f(3))", "print(f.cache_info().hits)"],
        ["from functools import cache\nk = 3", "@cache\ndef f(x):\n    return x * k\nprint(f(2))", "k = 4\nprint(f(2), f(3))"],
        ["def f(x, seen=[]):\n    seen.append(x * k)\n    return seen\nk = 2\nprint(f(1))", "k = 3\nprint(f(1))", "print(f(2))"],
        ["class Count:\n    def __init__(self, f):\n        self.f, self.n = f, 0\n    def __call__(self):\n        self.n += 1\n        return self.f() + self.n", "@Count\ndef f():\n    return k\nk = 10\nprint(f())", "k = 20\nprint(f())"],
        ["rows = []\ndef register(f):\n    rows.append(f.__name__)\n    return f", "@register\ndef f():\n    return k\nk = 1\nprint(f())", "k = 2\nprint(f(), rows)"],
    ],
)  # fmt: skip
def test_a_function_that_may_keep_something_is_not_defined_a_second_time(codes):
    cells, _ = assert_a_first_run_shows_the_same(codes)
    assert sum("def f(" in cell.code for cell in cells) == 1


@pytest.mark.parametrize(
    ("made", "read"),
    [
        ("import numba\n@numba.njit\ndef f(x):\n    return x * k\nk = 1", "f(1)"),
        ("import torch\n@torch.no_grad()\ndef f(x):\n    return x * k\nk = 1", "f(1)"),
        ("class f:\n    def m(self):\n        return k\nk = 1", "f().m()"),
    ],
)
def test_a_function_that_cannot_be_made_again_is_joined_with_its_few_callers(made, read):
    """A compiler keeps the globals of the first call, and what is written twice would need two edits."""
    cells = prepared([made, read, f"k = 2\n{read}"]).cells
    assert [cell.positions for cell in cells if cell.positions] == [(1, 2, 3)]
    many = prepared(["", made, *[read] * 4, f"k = 2\n{read}"])
    if "numba" not in made:
        assert sum("def f" in cell.code or "class f" in cell.code for cell in many.cells) == 2
        assert "`f` is written here and in cell 2: edit both" in many.notes[7]


@pytest.mark.parametrize(
    "codes",
    [
        ["log = []\ndef logged(f):\n    def inner(*a):\n        log.append(f.__name__)\n        return f(*a)\n    return inner", "@logged\ndef g(x):\n    return x", "print(g(1))", "print(log)", "print(g(2))", "print(log)"],
        ["seen = []\ndef recorder(p):\n    def put(x):\n        seen.append(p + x)\n    return put", "put = recorder('a')", "put('b')", "print(seen)", "put('c')", "print(seen)"],
        ["kinds = []\nclass Plugin:\n    def __init_subclass__(cls):\n        kinds.append(cls.__name__)", "class A(Plugin):\n    pass", "print(kinds)", "class B(A):\n    pass", "print(kinds)"],
        ["calls = {}\ndef on(name):\n    def deco(f):\n        def inner():\n            calls[name] = calls.get(name, 0) + 1\n            return f()\n        return inner\n    return deco", "@on('x')\ndef h():\n    return 1", "print(h())", "print(calls)", "print(h())", "print(calls)"],
    ],
)  # fmt: skip
def test_what_a_function_mutates_that_another_one_made_reaches_the_cells_below(codes):
    cells, reactive = assert_a_first_run_shows_the_same(codes)
    last = len(cells) - 1
    assert last in reactive.downstream(last - 1)
    assert "copy" not in "".join(reactive.codes)


def test_the_cells_of_a_function_with_a_cache_run_again_as_often_as_one_likes():
    assert_shows_the_same_again_and_again(
        [
            "import functools",
            "@functools.cache\ndef f(x):\n    return x * k\nk = 3\nprint(f(2))",
            "k = 4\nprint(f(2))",
        ]
    )


@pytest.mark.parametrize(
    "codes",
    [
        ["def outer():\n    v = 1\n    def inner():\n        return v + w\n    return inner\nw = 10\ng = outer()\nprint(g())", "w = 20\nprint(g())", "print(w)"],
        ["def adder():\n    return lambda x: x + k\nk = 1", "add = adder()\nprint(add(1))", "k = 2\nprint(add(1))"],
        ["def scaled(f):\n    def inner(*a):\n        return f(*a) * scale\n    return inner\nscale = 2\n@scaled\ndef g(x):\n    return x\nprint(g(1))", "scale = 3", "print(g(1))"],
        ["def times(n):\n    def deco(f):\n        return lambda x: n * f(x) + c\n    return deco\nc = 1", "@times(2)\ndef g(x):\n    return x\nprint(g(1))", "c = 5\nprint(g(1))"],
        ["def make():\n    def f():\n        return w\n    return f\nw = 1\nfs = [make()]\nprint(fs[0]())", "w = 2\nprint(fs[0]())"],
    ],
)  # fmt: skip
def test_a_function_that_another_one_made_reads_the_names_that_are_in_force_when_it_is_called(codes):
    assert_a_first_run_shows_the_same(codes)
    assert_shows_the_same_again_and_again(codes)


@pytest.mark.parametrize(
    "codes",
    [
        ["found = {}\ndef register(name):\n    def deco(f):\n        found[name] = f\n        return f\n    return deco", "@register('a')\ndef a():\n    return 1", "print(sorted(found))", "@register('b')\ndef b():\n    return 2", "print(sorted(found))"],
        ["class Registry:\n    def __init__(self):\n        self.items = {}\n    def add(self, f):\n        self.items[f.__name__] = f\n        return f\nfound = Registry()", "@found.add\ndef a():\n    return 1", "print(sorted(found.items))", "@found.add\ndef b():\n    return 2", "print(sorted(found.items))"],
        ["found = {}\ndef model(cls):\n    found[cls.__name__] = cls\n    return cls", "@model\nclass A:\n    pass", "print(len(found))", "@model\nclass B:\n    pass", "print(len(found))"],
    ],
)  # fmt: skip
def test_cells_below_run_after_a_decorator_has_registered_something(codes):
    cells, reactive = assert_a_first_run_shows_the_same(codes)
    last = len(cells) - 1
    assert last in reactive.downstream(last - 1)


def test_a_call_of_a_registered_function_registers_nothing():
    codes = ["found = {}\ndef register(name):\n    def deco(f):\n        found[name] = f\n        return f\n    return deco\n@register('sq')\ndef sq(x):\n    return x * x", "sq(2)", "found['sq'](4)"]  # fmt: skip
    assert [cell.code for cell in prepared(codes).cells] == codes


@pytest.mark.parametrize(
    "codes",
    [
        ["def averager():\n    values = []\n    def add(x):\n        values.append(x)\n        return sum(values) / len(values)\n    return add\navg = averager()", "avg(10)", "avg(20)"],
        ["def counter():\n    state = {'n': 0}\n    def count():\n        state['n'] += 1\n        return state['n']\n    return count\ncount = counter()", "count()", "count()"],
        ["class Net:\n    def __init__(self):\n        self.w = 0\n    def step(self, x):\n        self.w += x\ndef train(net, n):\n    for i in range(n):\n        net.step(i)\nnet = Net()", "train(net, 3)\nnet.w", "train(net=net, n=5)\nnet.w"],
    ],
)  # fmt: skip
def test_calls_that_go_on_where_the_last_one_stopped_are_joined_with_what_they_start_from(codes):
    assert_shows_the_same_again_and_again(codes)


@pytest.mark.parametrize(
    "codes",
    [
        ["def memoize(f):\n    cache = {}\n    def inner(n):\n        if n not in cache:\n            cache[n] = f(n)\n        return cache[n]\n    return inner\nfast = memoize(abs)", "fast(3)", "fast(4)"],
        ["def timed(f):\n    times = []\n    def inner(n):\n        times.append(n)\n        return f(n)\n    return inner\nfast = timed(abs)", "fast(3)", "fast(4)"],
        ["class Net:\n    def __init__(self):\n        self.w = 2\n    def predict(self, x):\n        return self.w * x\n    def step(self):\n        self.w += 1\ndef evaluate(net, xs):\n    return [net.predict(x) for x in xs]\nnet = Net()", "evaluate(net, [1, 2])", "evaluate(net, [3])"],
    ],
)  # fmt: skip
def test_calls_that_show_the_same_in_any_order_are_not_joined(codes):
    assert [cell.code for cell in prepared(codes).cells] == codes


def test_a_function_is_not_written_again_in_cells_that_change_what_it_reads_in_place():
    register = "found = {}\ndef register(name):\n    def deco(f):\n        found[name] = f\n        return f\n    return deco"
    decorated = [f"@register('{name}')\ndef {name}():\n    return 1" for name in "abcdef"]
    codes = [register, *decorated, "print(sorted(found))"]
    cells, _ = assert_a_first_run_shows_the_same(codes)
    assert [cell.code for cell in cells][-3:] == [
        f"found_1 = found\n{decorated[-2]}",
        f"found_2 = found_1\n{decorated[-1]}",
        "print(sorted(found_2))",
    ]


def test_cells_are_not_joined_past_one_that_reads_the_object_through_a_function():
    codes = [
        "handlers = {}\ndef on(event):\n    def deco(f):\n        handlers.setdefault(event, []).append(f)\n        return f\n    return deco\ndef fire(event, x):\n    return [f(x) for f in handlers[event]]",
        "@on('a')\ndef add(x):\n    return x + 1",
        "print(fire('a', 1))",
        "@on('a')\ndef double(x):\n    return x * 2",
        "print(fire('a', 5))",
        "print(len(handlers['a']))",
    ]
    assert_a_first_run_shows_the_same(codes)
