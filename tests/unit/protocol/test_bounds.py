"""Bounds as people and agents write them, and which of two is stricter."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.bounds import Bounds, Limits, Sandbox
from marimo_kernel_bridge.protocol.written_bounds import bounds_of, limits_of, sandbox_of


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("2GB", 2_000_000_000),
        ("500 MB", 500_000_000),
        ("1.5 GiB", 1_610_612_736),
        ("1t", 1_000_000_000_000),
        ("300000 kb", 300_000_000),
        (2_000_000_000, 2_000_000_000),
        ("2000000000", 2_000_000_000),
        (2e9, 2_000_000_000),
    ],
)
def test_a_size_is_read_as_people_write_it(written: object, size: int) -> None:
    assert limits_of({"memory": written}) == Limits(memory=size)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30.0),
        ("2h", 7200.0),
        ("1h30m", 5400.0),
        ("500 ms", 0.5),
        ("1 min 30 s", 90.0),
        ("1d", 86400.0),
        (2.5, 2.5),
        ("90", 90.0),
    ],
)
def test_a_time_is_read_as_people_write_it(written: object, seconds: float) -> None:
    assert limits_of({"cell_seconds": written}) == Limits(cell_seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["memory=2GB, cell_seconds = 30s,processes=64", '{"memory": "2GB", "cell_seconds": 30, "processes": 64}'],
)
def test_limits_are_written_as_json_or_as_names_with_values(text: str) -> None:
    assert limits_of(text) == Limits(memory=2_000_000_000, cell_seconds=30.0, processes=64)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"memory": "2 XB"}, "memory: '2 XB' is no size. Write it such as \"2GB\""),
        ({"memory": "-2GB"}, "is no size"),
        ({"memory": "1e999"}, "is no size"),
        ({"memory": True}, "is no size"),
        ({"memory": 10**30}, "is no size"),
        ({"memory": "1 MB"}, "memory: 1 MB is less than a kernel needs. At least 256 MB."),
        ({"cell_seconds": "soon"}, "cell_seconds: 'soon' is no time."),
        ({"cell_seconds": "30 30s"}, "is no time"),
        ({"cell_seconds": float("nan")}, "is no time"),
        ({"cell_seconds": "inf"}, "is no time"),
        ({"processes": 64.5}, "is no number"),
        ({"processes": "3"}, "processes: 3 is less than a kernel needs. At least 32."),
        ({"open_files": [1]}, "open_files: '[1]' is no number"),
        ({"memmory": "2GB"}, "There is no limit 'memmory'. There are memory, "),
        ("2GB", "The limits cannot be read: '2GB'. Write it such as memory=2GB"),
        ('{"memory": ', "The limits cannot be read"),
        ('{"a":' * 9_000, "The limits cannot be read"),
        ("[" * 100_000, "The limits cannot be read"),
        (["memory"], "The limits cannot be read"),
    ],
)
def test_limits_that_cannot_be_read_are_refused_with_a_sentence(written: object, said: str) -> None:
    with pytest.raises(BridgeError) as refused:
        limits_of(written)
    assert refused.value.code == "bad_request"
    assert said in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("written", "sandbox"),
    [
        (None, None),
        ("", None),
        ("strict", Sandbox()),
        (True, Sandbox()),
        ("network=all,files=read", Sandbox(network="all", files="read")),
        ("network=pypi.org *.python.org", Sandbox(network=("pypi.org", "*.python.org"))),
        ("engine=light,packages=yes", Sandbox(engine="light", packages=True)),
        ({"network": ["pypi.org:443"]}, Sandbox(network=("pypi.org:443",))),
        ('{"image": "docker.io/library/python:3.13"}', Sandbox(image="docker.io/library/python:3.13")),
    ],
)
def test_a_sandbox_is_written_as_a_word_as_json_or_as_names_with_values(
    written: object, sandbox: Sandbox | None
) -> None:
    assert sandbox_of(written) == sandbox


@pytest.mark.parametrize(
    "written",
    [
        "loose",
        {"network": "some"},
        {"network": ["-x"]},
        {"network": ["a.org\n"]},
        {"image": "--privileged"},
        {"writable": ["relative"]},
        {"writable": ["/a\n/b"]},
        {"writable": ["/a"] * 101},
        {"environment": ["A=B"]},
        {"files": "all"},
        {"host": "x"},
        {"packages": "perhaps"},
        7,
    ],
)
def test_a_sandbox_that_cannot_be_read_is_refused_and_never_none(written: object) -> None:
    with pytest.raises(BridgeError) as refused:
        sandbox_of(written)
    assert refused.value.code == "bad_request"


def test_bounds_come_back_from_the_arguments_of_a_kernel_as_they_were() -> None:
    bounds = Bounds(Limits(memory=2_000_000_000, cell_seconds=0.5), Sandbox(network=("pypi.org",)))
    given = dict(argument.removeprefix("--").split("=", 1) for argument in bounds.arguments())
    assert bounds_of(**given) == bounds
    assert Bounds().arguments() == []
    assert not Bounds()
    assert bounds


def test_the_stricter_of_two_has_the_lower_one_of_each_limit() -> None:
    one, other = Limits(memory=10**9, cell_seconds=30.0), Limits(memory=2 * 10**9, processes=64)
    assert one.stricter(other) == other.stricter(one) == Limits(memory=10**9, cell_seconds=30.0, processes=64)
    assert one.beyond(other) == ()
    assert other.beyond(one) == ("memory",)
    assert Limits().beyond(one) == (), "who asks for nothing gets the ceiling"
    assert Bounds().lacking(Bounds(one)) == ("memory", "cell_seconds")


WIDE = Sandbox(
    network="all", files="read", writable=("/data", "/scratch"), environment=("A", "B"), packages=True
)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Sandbox(), WIDE, Sandbox()),
        (
            Sandbox(network=("a.org", "b.org")),
            Sandbox(network=("b.org", "c.org")),
            Sandbox(network=("b.org",)),
        ),
        (Sandbox(network=("a.org",)), Sandbox(network=("c.org",)), Sandbox()),
        (Sandbox(network=("*.org",)), Sandbox(network=("a.org",)), Sandbox(network=("a.org",))),
        (Sandbox(writable=("/data", "/other")), WIDE, Sandbox(writable=("/data",))),
        (Sandbox(writable=("/data/mine",)), WIDE, Sandbox()),
        (Sandbox(within=("/a",)), Sandbox(within=("/b",)), Sandbox(within=("/a", "/b"))),
        (Sandbox(environment=("B", "C")), WIDE, Sandbox(environment=("B",))),
        (Sandbox(engine="light"), Sandbox(), Sandbox(engine="light")),
        (Sandbox(files="none"), WIDE, Sandbox(files="none")),
    ],
)
def test_the_stricter_of_two_sandboxes_reaches_only_what_both_do(
    one: Sandbox, other: Sandbox, both: Sandbox
) -> None:
    assert one.stricter(other) == both
    turned = other.stricter(one)
    assert replace(turned, within=both.within) == both
    assert set(turned.within) == set(both.within)
    assert both.beyond(one) == ()


def test_two_engines_make_no_sandbox() -> None:
    with pytest.raises(BridgeError, match="No sandbox has both the engine light and podman"):
        Sandbox(engine="light").stricter(Sandbox(engine="podman"))


@pytest.mark.parametrize(
    ("asked", "ceiling", "beyond"),
    [
        (Sandbox(network=("a.org",)), Sandbox(network=("*.org",)), ()),
        (Sandbox(network=("org",)), Sandbox(network=("*.org",)), ("network",)),
        (Sandbox(network=("evilorg",)), Sandbox(network=("*.org",)), ("network",)),
        (Sandbox(network=("*.org",)), Sandbox(network=("a.org",)), ("network",)),
        (Sandbox(network=("a.org:443",)), Sandbox(network=("a.org",)), ()),
        (Sandbox(network=("a.org",)), Sandbox(network=("a.org:443",)), ("network",)),
        (Sandbox(network="all"), Sandbox(network=("a.org",)), ("network",)),
        (Sandbox(files="read"), Sandbox(), ("files",)),
        (Sandbox(image="python"), Sandbox(), ("image",)),
        (Sandbox(image="python"), Sandbox(image="python"), ()),
        (Sandbox(engine="light"), Sandbox(image="python"), ("image",)),
        (Sandbox(writable=("/data/link",)), Sandbox(writable=("/data",)), ("writable",)),
        (Sandbox(writable=("/data",)), Sandbox(writable=("/data",), within=("/a",)), ()),
        (Sandbox(packages=True, environment=("A",)), Sandbox(), ("environment", "packages")),
        (Sandbox(), Sandbox(engine="podman"), ("engine",)),
    ],
)
def test_what_goes_beyond_a_ceiling_is_named(
    asked: Sandbox, ceiling: Sandbox, beyond: tuple[str, ...]
) -> None:
    assert asked.beyond(ceiling) == beyond


def test_a_key_tells_sandboxes_apart_by_what_is_reached_and_not_by_the_engine() -> None:
    assert Sandbox().key == Sandbox(engine="podman").key
    assert Sandbox(writable=("/a", "/b")).key == Sandbox(writable=("/b", "/a")).key
    different: list[dict[str, Any]] = [
        {"network": "all"},
        {"files": "none"},
        {"packages": True},
        {"writable": ("/a",)},
    ]
    assert len({Sandbox(**fields).key for fields in ({}, *different)}) == len(different) + 1


def test_bounds_are_told_in_words() -> None:
    bounds = bounds_of("memory=2GB,idle_seconds=2h,open_files=256", "network=pypi.org")
    assert (
        bounds.told()
        == "memory 2 GB, open_files 256, idle_seconds 2 h · sandbox: network pypi.org; files folder"
    )


def test_foreign_data_is_no_bounds() -> None:
    for text in (b'{"limits": {"memory": -1}}', b'{"limits": {"memory": 1e9}}', b'{"more": 1}', b"[]"):
        with pytest.raises(msgspec.MsgspecError):
            msgspec.json.decode(text, type=Bounds)
