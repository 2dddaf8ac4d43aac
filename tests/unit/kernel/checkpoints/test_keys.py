"""Keys of cells: what changes one, and what does not."""

from marimo_kernel_bridge.kernel.checkpoints.keys import KeyedCell, keys_of, normal


def keys(*cells: tuple[str, dict[str, list[str]]], **inputs: str) -> dict[str, str]:
    """Return the keys of cells "a", "b", ...: each with its code and what it reads."""
    names = "abcdefgh"
    return keys_of(
        {
            names[place]: KeyedCell(code, reads, inputs if reads else {})
            for place, (code, reads) in enumerate(cells)
        }
    )


def test_comments_and_layout_do_not_count() -> None:
    one = "def f(x):  # doubles\n    return (x *\n        2)\n\n\nf(1)"
    other = "def f(x):\n  return (x * 2)\nf( 1 )  # two\n"
    assert keys((one, {})) == keys((other, {}))


def test_a_string_counts_as_it_is_written() -> None:
    assert keys(("x = 'a  b'", {})) != keys(("x = 'a b'", {}))
    assert normal('f"{ a }  {b!r:>{w}}" ') == normal('f"{ a }  {b!r:>{w}}"  # c')
    assert normal('f"{a}"') != normal('f"{ a }"')
    assert normal('f"""{\na}\n"""') == 'f"""{\na}\n"""\1\n'


def test_blocks_count() -> None:
    assert normal("if a:\n    b\nc") != normal("if a:\n    b\n    c")


def test_code_that_cannot_be_read_is_its_own_text() -> None:
    assert normal("x = (") == "x = ("


def test_a_key_depends_on_what_is_read_and_on_nothing_else() -> None:
    before = keys(("x = 1", {}), ("y = x", {"x": ["a"]}), ("z = 3", {}))
    after = keys(("x = 2", {}), ("y = x", {"x": ["a"]}), ("z = 3", {}))
    assert [before[cell] == after[cell] for cell in "abc"] == [False, False, True]


def test_the_order_of_two_makers_shows_in_the_key_of_a_reader() -> None:
    """Each reads the version before it, so the same set of ancestors gives other keys in another order."""
    drop = "df = df.dropna()"
    fill = "df = df.fillna(0) * 2"
    one = keys(("df = load()", {}), (drop, {"df": ["a"]}), (fill, {"df": ["b"]}), ("df", {"df": ["c"]}))
    other = keys(("df = load()", {}), (fill, {"df": ["a"]}), (drop, {"df": ["b"]}), ("df", {"df": ["c"]}))
    assert one["d"] != other["d"]


def test_values_of_inputs_count() -> None:
    one, other = (keys(("s = slider()", {}), ("s.value", {"s": ["a"]}), s=value) for value in "12")
    assert (one["a"] == other["a"], one["b"] == other["b"]) == (True, False)


def test_a_cycle_has_keys() -> None:
    assert len(keys(("x = y", {"y": ["b"]}), ("y = x", {"x": ["a"]}))) == 2


def test_a_long_chain_has_keys() -> None:
    chain = {
        str(n): KeyedCell(f"x{n} = x{n - 1}", {f"x{n - 1}": [str(n - 1)]}) for n in reversed(range(3000))
    }
    assert len(set(keys_of(chain).values())) == 3000
