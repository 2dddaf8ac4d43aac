"""Random damage to JSON and to its text: types swapped, depth, huge numbers, half characters, cut and repeated bytes.

`damaged` returns JSON that a right value may have been in another program's hands; `damaged_text` the bytes of such a
value, which may not be JSON at all. The same generator gives the same damage.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

Json = Any  # of whatever format is damaged

_DEEP: Final = 100_000
_LONG: Final = 20_000


def _nested(depth: int) -> Json:
    value: Json = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


_ODD: Final[tuple[Json, ...]] = (
    *(None, True, False, 0, -1, 1, 1.5, 65_536, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400, 1e308),
    *(float("nan"), float("inf"), float("-inf")),
    *("", " ", "0", "null", "a" * _LONG, "\n" * 100, "\x00", "\x1b[31m", "\x7f\x85\u2028\u202e", "\ufeff", "\ud800", "a\udcffb"),
    *("../../etc/passwd", "/dev/zero", "file:///etc/passwd", "<script>", "${x}", "%s%n", "{0}", "日本語", "🎉", "-1", "1e999"),
    *([], {}, [[]], [None], [1, "a", {}], {"": 0}, {"a": {"b": {}}}, [{}] * 50, {"\x00": "\ud800"}),
)  # fmt: skip


def damaged(value: Json, rng: random.Random) -> Json:
    """Return a copy of a JSON value with one to three of its parts damaged."""
    holder = [copy.deepcopy(value)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _damage(holder, rng)
    return holder[0]


def _odd(rng: random.Random) -> Json:
    return copy.deepcopy(rng.choice(_ODD))


def _damage(holder: list[Json], rng: random.Random) -> None:
    container, key = rng.choice(_places(holder))
    old = container[key]
    match rng.randrange(8):
        case 0 if container is not holder:
            del container[key]
        case 1 if isinstance(old, list) and old:
            rng.choice(
                (
                    old.reverse,
                    old.clear,
                    lambda: old.append(_odd(rng)),
                    lambda: old.extend(copy.deepcopy(old)),
                )
            )()
        case 2 if isinstance(old, dict):
            old[rng.choice((*map(str, _ODD[18:30]), "unknown"))] = _odd(rng)
        case 3 if isinstance(old, str):
            at = rng.randrange(len(old) + 1)
            container[key] = old[:at] + str(rng.choice(_ODD)) + old[at + rng.randrange(2) :]
        case 4:
            container[key] = rng.choice(([old], {"value": old}, str(old), json.dumps(old)))
        case 5 if isinstance(old, int | float):
            container[key] = rng.choice((-old, old + 1, old * 10**20, str(old), bool(old)))
        case 6 if not rng.randrange(4):
            container[key] = _nested(rng.choice((50, 200, 300)))
        case _:
            container[key] = _odd(rng)


def _places(holder: list[Json]) -> list[tuple[Any, Any]]:  # a list or dict, and an index or key in it
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [holder]
    while waiting:
        container = waiting.pop()
        for key in range(len(container)) if isinstance(container, list) else list(container):
            places.append((container, key))
            if isinstance(container[key], list | dict):
                waiting.append(container[key])
    return places


def damaged_text(value: Json, rng: random.Random) -> bytes:
    """Return the text of a JSON value: damaged in its parts, in its text, or both."""
    if rng.randrange(3):
        value = damaged(value, rng)
    text = json.dumps(value, ensure_ascii=bool(rng.randrange(2))).encode(errors="surrogatepass")
    return text if rng.randrange(2) else damaged_bytes(text, rng)


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return bytes that were cut, repeated, overwritten, or are in another encoding."""
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    before, middle, after = data[:start], data[start:end], data[end:]
    ways: list[Callable[[], bytes]] = [
        lambda: before,
        lambda: before + after,
        lambda: before + middle * rng.choice((2, 3, 20)) + after,
        lambda: before + rng.randbytes(rng.choice((1, 4, 100))) + after,
        lambda: before + rng.choice(_BYTES) + data[start + 1 :],
        lambda: data.decode(errors="replace").encode(rng.choice(_ENCODINGS)),
        lambda: rng.choice((b"[", b'{"a":', b"[[{}],")) * rng.choice((100, 2_000, _DEEP)),
        lambda: before + rng.choice(_VALUES) + after,
        lambda: data.replace(b": ", b": [" * 500 + b"1" + b"]" * 500 + b', "x": ', 1),
        lambda: data.replace(b"{", b"{" + data[1:-1] + b", ", 1),  # each key twice
        lambda: rng.choice(_WHOLE),
        lambda: data + rng.choice((b"\0", data, b"}", b"// end", b"\r\n\r\n")),
        lambda: data.replace(b'"', b"'"),
        lambda: bytes(byte ^ (rng.randrange(200) == 0) << rng.randrange(8) for byte in data),
    ]
    return rng.choice(ways)()


_BYTES: Final = [bytes([byte]) for byte in b'\0\x1b\x80\xff"\\{}[],:0\n']
_ENCODINGS: Final = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7")
_VALUES: Final = (b"\\ud800", b"NaN", b"-Infinity", b"1e999", b"0" * 5_000, b"9" * 5_000)
_WHOLE: Final = (b"", b"\0", b"null", b"[]", b"{}", b'""', b"0", b"-", b"\xff\xfe", b"\x1f\x8b\x08" * 3)
