"""Values on disk and back: nothing of a checkpoint runs before it is known to be what this user saved."""

import pickle
import sys
from pathlib import Path

import pytest
from msgspec.structs import asdict

from marimo_kernel_bridge.checkpoints.manifest import BlobStream, Manifest, SavedBuffer, SavedGroup
from marimo_kernel_bridge.checkpoints.store import Store
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.checkpoints.pickling import OUT_OF_BAND, PickledGroup, load_group
from tests.unit.kernel.checkpoints.notebook_values import Notebook

SHELF = "nb-1"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "checkpoints")


def save(store: Store, groups: list[PickledGroup]) -> None:
    with store.saving(SHELF, "first", "named") as saving:

        def blob(data: bytes | memoryview, *, raw: bool = False) -> SavedBuffer:
            writing = saving.write(data, raw=raw)
            while (done := writing.step()) is None:
                pass
            return done

        saved = []
        for group in groups:
            small = len(group.stream) < OUT_OF_BAND
            stream = saving.pack(group.stream) if small else BlobStream(**asdict(blob(group.stream)))
            buffers = tuple(blob(buffer, raw=not group.offsets) for buffer in group.buffers)
            saved.append(SavedGroup(group.names, stream, buffers, code=group.code, verified=group.offsets))
        python = ".".join(map(str, sys.version_info[:3]))
        saving.commit(Manifest(name="", kind="named", at=0.0, python=python, groups=tuple(saved)))


def restore(store: Store, notebook: Notebook) -> None:
    with store.open(SHELF) as opened:
        for group in opened.manifest.groups:
            notebook.names |= load_group(*opened.read(group), notebook.names)


def test_values_come_back_from_the_disk_and_can_be_changed(
    store: Store, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook.run(
        """
        import numpy as np, pandas as pd
        base = np.arange(100_000.)
        view, df = base[7:], pd.DataFrame({'x': range(50_000), 's': 'text'})
        rows = [{'n': n} for n in range(20_000)]
        def total(): return base.sum() + extra
        """
    )
    save(store, notebook.groups("base view df rows total"))
    new = Notebook(monkeypatch)
    restore(store, new)
    new.run("view[0] = 0; extra = 1; df.loc[0, 'x'] = 5; df['y'] = 1; base.sort()")
    assert new.value("total(), int(df['x'].sum()), rows[-1]") == (
        4999950000 - 7 + 1,
        1249975005,
        {"n": 19_999},
    )
    again = Notebook(monkeypatch)
    restore(store, again)
    assert again.value("base[7]") == 7


@pytest.mark.parametrize("size", [10, OUT_OF_BAND], ids=["in the pack", "in a blob"])
def test_a_payload_in_a_changed_checkpoint_does_not_run(
    store: Store, notebook: Notebook, tmp_path: Path, size: int
) -> None:
    proof = tmp_path / "proof"
    ours = pickle.dumps({"x": "=" * (size + 200)}, protocol=5)
    theirs = b"cbuiltins\nopen\n(V%b\nVw\ntR0}." % str(proof).encode()
    save(store, [PickledGroup(("good",), b"N."), PickledGroup(("x",), ours)])
    (path,) = [path for path in (store.folder / "blobs").iterdir() if b"====" in path.read_bytes()]
    content = path.read_bytes()
    path.write_bytes(content.replace(ours, theirs.ljust(len(ours), b".")))
    assert path.read_bytes() != content
    with pytest.raises(BridgeError) as refusal:
        restore(store, notebook)
    assert refusal.value.code == "checkpoint_broken"
    assert "good" not in notebook.names
    assert not proof.exists()
    load_group(theirs, (), {})  # what would have run
    assert proof.exists()
