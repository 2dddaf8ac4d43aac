"""A checkpoint that another minor version of Python has saved: what carries bytecode is stale, the rest comes back."""

import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from unittest.mock import patch

import msgspec
import pytest

from marimo_kernel_bridge.checkpoints.signing import key_at, signed
from marimo_kernel_bridge.checkpoints.store import Store
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.checkpoints.differences import _is_same
from tests.unit.kernel.checkpoints.lives import Lives

OTHER = "3.2.1"


def saved_as(lives: Lives, **facts: object) -> None:
    """Let the checkpoint say something else of the process that saved it."""
    lives.save()
    store = Store()
    (shelf,) = store.shelves()
    manifest = msgspec.structs.replace(store.manifest(shelf), **facts)
    (store.folder / shelf / "saved.json").write_bytes(signed(manifest, key_at(store.folder / "key")))
    lives.die()


def test_functions_and_classes_are_stale_with_the_reason_and_arrays_come_back(lives: Lives) -> None:
    lives.run(
        {
            "numbers": "import numpy as np\nnumbers = np.arange(100_000)",
            "double": "def double(x):\n    return 2 * x",
            "kind": "class Kind:\n    def size(self): return 1\nkind = Kind()",
            "used": "used = double(21)",
            "plain": "plain = {'a': [1]}",
        }
    )
    saved_as(lives, python=OTHER)
    restored = lives.restore()
    here = platform.python_version()
    why = lives.why(restored)
    assert why["double"] == f"`double`: has functions or classes of Python {OTHER}, and this is {here}"
    assert why.keys() == {"double", "kind", "used"}
    assert lives.fresh() == {"numbers", "plain"}
    assert int(lives.values["numbers"].sum()) == 4_999_950_000
    assert any(f"saved by Python {OTHER}" in told for told in restored.told)


@pytest.mark.parametrize("preview", [False, True])
def test_packages_of_other_versions_and_those_that_are_gone_are_told(lives: Lives, *, preview: bool) -> None:
    lives.run({"a": "__version__ = '1.0'\na = [1]"})  # the notebook's own is that of no package
    other = {"marimo": "0.1", "yaml": "0.2", "gone_since": "0.3", "msgspec": msgspec.__version__}
    saved_as(lives, packages=other)
    with patch.dict(sys.modules):
        sys.modules.pop("yaml", None)  # as a kernel that has not imported it
        restored = lives.restore(preview=preview)
    marimo, yaml = (metadata.version(name) for name in ("marimo", "PyYAML"))
    (told,) = (told for told in restored.told if "packages" in told)
    assert told == (
        f"Other versions of packages: marimo 0.1 then, {marimo} now, yaml 0.2 then, {yaml} now, "
        "gone_since 0.3 then, not installed now."
    )


@pytest.mark.parametrize("preview", [False, True])
def test_one_with_nothing_that_can_be_used_is_refused_and_changes_nothing(
    lives: Lives, *, preview: bool
) -> None:
    lives.run({"double": "def double(x):\n    return 2 * x", "used": "double(1)"})
    saved_as(lives, python=OTHER)
    with pytest.raises(BridgeError, match=f"only functions and classes of Python {OTHER}") as refusal:
        lives.restore(preview=preview)
    assert refusal.value.code == "checkpoint_other_python"
    assert lives.cells() == {}


class Guard:
    """A guard of memory that notes the files for which there is to be room."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    @contextmanager
    def room_for(self, size: int) -> Iterator[None]:
        self.sizes.append(size)
        yield
        self.sizes.append(0)


class Recorded:
    """What a kernel in a process of its own records."""

    died, memory = None, ""

    def __init__(self) -> None:
        self.guard = Guard()

    def agents_came(self) -> None:
        """Nobody dies here."""


def test_a_restore_asks_the_guard_of_memory_for_room_for_the_files_that_it_maps(lives: Lives) -> None:
    lives.run({"data": "data = bytearray(1_000_000)"})
    lives.save()
    lives.die()
    lives.kernel.kernel.recording = recorded = Recorded()  # type: ignore[assignment]  # as much of it as is used
    lives.restore()
    assert recorded.guard.sizes[0] > 1_000_000
    assert recorded.guard.sizes[1:] == [0]


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [
        ("1.9.0", "1.9.0.post1", True),
        ("2.1", "2.1+cu118", True),
        ("1.9", "1.9.1", False),
        ("1.9.0.post1", "1.9.0", False),
    ],
)
def test_a_distribution_may_say_more_of_its_build_than_its_module(then: str, now: str, *, same: bool) -> None:
    assert _is_same(then, now) == same
