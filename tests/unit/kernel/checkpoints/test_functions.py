"""Functions and classes of a notebook in a checkpoint: on the live namespace, with their identities."""

from tests.unit.kernel.checkpoints.notebook_values import Notebook


def test_a_function_reads_the_names_of_the_notebook_it_comes_back_to(notebook: Notebook) -> None:
    notebook.run(
        """
        rate = 2
        def scaled(x, by=1, *, plus=10): return x * rate + by + plus
        """
    )
    new = notebook.restored("scaled")
    new.run("rate = 5")
    assert new.value("scaled(1)") == 16
    assert new.value("scaled.__name__, scaled.__module__, scaled.__kwdefaults__") == (
        "scaled",
        "__main__",
        {"plus": 10},
    )


def test_a_function_carries_no_value_that_it_reads(notebook: Notebook) -> None:
    notebook.run("data = 'x' * 1_000_000\ndef size(): return len(data)")
    (group,) = notebook.groups("size")
    assert len(group.stream) < 2_000
    assert group.code


def test_attributes_annotations_and_docstrings_of_functions_come_back(notebook: Notebook) -> None:
    notebook.run(
        """
        def f(x: int) -> str:
            "Says x."
        f.calls = [1]
        """
    )
    new = notebook.restored("f")
    assert new.value("f.__annotations__, f.__doc__, f.calls") == ({"x": int, "return": str}, "Says x.", [1])


def test_recursive_and_mutually_recursive_functions_come_back(notebook: Notebook) -> None:
    notebook.run(
        """
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        def make():
            def down(n): return n and down(n - 1)
            return down
        local = make()
        """
    )
    new = notebook.restored("fib even odd local")
    assert new.value("fib(10), even(10), odd(10), local(3)") == (55, True, False, 0)


def test_closures_that_share_a_variable_go_on_sharing_it(notebook: Notebook) -> None:
    notebook.run(
        """
        def counter():
            count = 0
            def up():
                nonlocal count
                count += 1
            def read(): return count
            return up, read
        up, read = counter()
        up()
        """
    )
    assert notebook.grouped("up read") == ["up read"]
    new = notebook.restored("up read")
    new.run("up()")
    assert new.value("read()") == 2


def test_a_function_with_a_cache_comes_back_with_an_empty_one(notebook: Notebook) -> None:
    notebook.run(
        """
        import functools
        @functools.lru_cache(maxsize=7, typed=True)
        def double(x): return 2 * x
        @functools.cache
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        double(4)
        """
    )
    new = notebook.restored("double fib")
    assert new.value("double.cache_parameters(), double.cache_info().currsize, double(4), fib(30)") == (
        {"maxsize": 7, "typed": True},
        0,
        8,
        832040,
    )


def test_a_class_with_a_cached_property_comes_back(notebook: Notebook) -> None:
    notebook.run(
        """
        import functools
        class Box:
            @functools.cached_property
            def held(self): "Says x."; return [len(vars(self))]
        box = Box()
        box.held.append('kept')
        """
    )
    new = notebook.restored("Box box")
    assert new.value("box.held, Box().held, Box.held.__doc__") == ([0, "kept"], [0], "Says x.")


def test_functions_that_dispatch_by_class_come_back(notebook: Notebook) -> None:
    notebook.run(
        """
        import functools
        suffix = '!'
        class Own: ...
        @functools.singledispatch
        def kind(x): return 'other' + suffix
        @kind.register
        def _(x: int): return 'int' + suffix
        @kind.register(Own)
        def of_own(x): return kind(1)
        kind.calls = [1]
        kind(True)
        class Box:
            @functools.singledispatchmethod
            def put(self, x): return 'other'
            @put.register
            def _(self, x: str): return 'text'
        """
    )
    new = notebook.restored("Own kind of_own Box")
    new.run("suffix = '?'\n@kind.register\ndef _(x: list): return 'list'")
    assert new.value("kind(0.5), kind(True), kind(Own()), kind([]), kind.calls, kind.__name__") == (
        "other?", "int?", "int?", "list", [1], "kind",
    )  # fmt: skip
    assert new.value("Box().put(1), Box().put('a'), kind.registry[Own] is of_own") == ("other", "text", True)


def test_exceptions_come_back_whatever_their_class_takes(notebook: Notebook) -> None:
    notebook.run(
        """
        class Failed(ValueError):
            def __init__(self, what, where):
                super().__init__(f'{what} failed')
                self.where = where
        class Coded(OSError):
            def __init__(self, code): super().__init__(code, 'text')
        class Mixin: ...
        class Mixed(Mixin, ValueError):
            def __init__(self, what): super().__init__(what)
        error, coded, plain, mixed = Failed('it', [1]), Coded(2), KeyError('k'), Mixed('m')
        error.add_note('a note')
        """
    )
    new = notebook.restored("error coded plain mixed Coded")
    assert new.value("mixed.args") == ("m",)
    assert new.value("error.args, error.where, error.__notes__, plain.args") == (
        ("it failed",), [1], ["a note"], ("k",),
    )  # fmt: skip
    assert new.value("str(error), coded.errno, coded.strerror, type(coded)") == (
        "it failed",
        2,
        "text",
        new.names["Coded"],
    )


def test_cached_functions_of_modules_are_named(notebook: Notebook) -> None:
    notebook.run("import fnmatch, re\ncompiled = fnmatch._compile_pattern")
    assert notebook.restored("compiled").value("compiled") is notebook.value("fnmatch._compile_pattern")


def test_decorated_functions_partials_and_methods_come_back(notebook: Notebook) -> None:
    notebook.run(
        """
        import functools
        def twice(f):
            @functools.wraps(f)
            def inner(*args): return f(f(*args))
            return inner
        @twice
        def add(x): return x + step
        step = 3
        class Box:
            def __init__(self): self.held = []
            def put(self, x): self.held.append(x); return self.held
        box = Box()
        put = box.put
        partly = functools.partial(add, 1)
        """
    )
    new = notebook.restored("add box put partly")
    new.run("step = 10\nput('a')")
    assert new.value("add(0), partly(), box.held, put.__self__ is box, partly.func is add") == (
        20,
        21,
        ["a"],
        True,
        True,
    )


def test_instances_in_separate_groups_are_of_one_class(notebook: Notebook) -> None:
    notebook.run(
        """
        from dataclasses import dataclass, field
        from enum import Enum
        class Color(Enum):
            RED = 1
        @dataclass
        class Point:
            x: int
            seen: list = field(default_factory=list)
            color: Color = Color.RED
            def moved(self): return Point(self.x + dx)
        class Far(Point):
            def moved(self): return super().moved()
        a, b = Point(1), Far(2)
        """
    )
    assert notebook.grouped("Color Point Far a b") == ["Color", "Point", "Far", "a", "b"]
    new = notebook.restored("b a Far Point Color")
    new.run("dx = 5")
    assert new.value("type(a) is Point, type(b) is Far, Far.__mro__[1] is Point, a.color is Color.RED") == (
        True,
        True,
        True,
        True,
    )
    assert new.value("a.moved() == Point(6), b.moved().x, a") == (True, 7, new.value("Point(1)"))


def test_a_list_of_a_class_stays_that_of_its_instances(notebook: Notebook) -> None:
    notebook.run(
        """
        class Registered:
            every = []
            def __init__(self): self.every.append(self)
        one = Registered()
        every = Registered.every
        """
    )
    assert notebook.grouped("Registered one every") == ["Registered one every"]
    assert notebook.restored("Registered one every").value("Registered.every is every is one.every")


def test_named_tuples_and_abstract_classes_come_back(notebook: Notebook) -> None:
    notebook.run(
        """
        import abc, typing
        class Pair(typing.NamedTuple):
            left: int
            right: int = 2
        class Shape(abc.ABC):
            @abc.abstractmethod
            def area(self): ...
        class Square(Shape):
            __slots__ = ('side',)
            def __init__(self, side): self.side = side
            def area(self): return self.side ** 2
            @property
            def half(self): return self.side / 2
            @classmethod
            def unit(cls): return cls(1)
            @staticmethod
            def name(): return 'square'
        pair, square = Pair(1), Square(3)
        """
    )
    new = notebook.restored("pair square Shape Square")
    assert new.value("pair, pair.right, square.area(), square.half, Square.unit().side, square.name()") == (
        (1, 2),
        2,
        9,
        1.5,
        1,
        "square",
    )
    assert new.value("isinstance(square, Shape)")


def test_functions_that_are_named_twice_stay_one(notebook: Notebook) -> None:
    notebook.run("def f(): ...\ng = f\ntable = {'f': f}\nimport os\njoin, also = os.path.join, os.path.join")
    assert notebook.grouped("f g table join also") == ["f g table", "join", "also"]
    assert notebook.restored("f g table").value("f is g is table['f']")


def test_values_with_bytecode_are_known_and_others_are_not(notebook: Notebook) -> None:
    notebook.run(
        """
        import functools, re
        import numpy as np, pandas as pd
        def f(): ...
        class T:
            def method(self): ...
        table = {'in': [f]}
        instance, column = T(), pd.DataFrame({'x': [f]})
        partial = functools.partial(lambda: 0)
        array, frame = np.zeros(9), pd.DataFrame({'x': [1], 's': ['t']}, index=['i'])
        plain = {'a': [1, (2.0, None)], 'b': re.compile('x')}
        named = [len, re.sub, np.sum, functools.reduce]
        """
    )
    code = {
        name: group.code
        for group in notebook.groups("f T table instance column partial array frame plain named")
        for name in group.names
    }
    assert {name for name, has_code in code.items() if has_code} == {
        "f",
        "table",
        "column",
        "partial",
        "T",
        "instance",
    }
