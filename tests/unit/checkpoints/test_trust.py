"""What is refused before anything of a checkpoint is used: changed, partial, another's, open to others."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from marimo_kernel_bridge.checkpoints.manifest import FORMAT, SavedGroup
from marimo_kernel_bridge.checkpoints.store import Store
from marimo_kernel_bridge.errors import BridgeError
from tests.unit.checkpoints.saved import SHELF, contents, manifest, save, written

BUFFER = b"buffer" * 10_000


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def file_of(store: Store, part: str) -> Path:
    """Return the file of a part of the only checkpoint."""
    if part in {"manifest", "key"}:
        return store.folder / {"manifest": f"{SHELF}/first.json", "key": "key"}[part]
    sizes = {"pack": len(b"small"), "stream": 100_000, "buffer": len(BUFFER)}
    return next(path for path in (store.folder / "blobs").iterdir() if path.stat().st_size == sizes[part])


@pytest.fixture
def saved(store: Store) -> Store:
    save(store, "first", small=b"small", large=b"s" * 100_000, buffers=(BUFFER,))
    return store


def refusal_of(store: Store, name: str | None = None) -> BridgeError:
    with pytest.raises(BridgeError) as refusal:
        store.open(SHELF, name)
    return refusal.value


@pytest.mark.parametrize("part", ["manifest", "stream", "pack"])
def test_a_flipped_byte_anywhere_is_refused(saved: Store, part: str) -> None:
    path = file_of(saved, part)
    size = path.stat().st_size
    for at in {0, 1, size // 3, size // 2, size - 2, size - 1}:
        flip(path, at)
        refusal = refusal_of(saved)
        assert refusal.code == "checkpoint_broken"
        assert path.name in refusal.message
        flip(path, at)
    assert contents(saved)["y"] == [b"s" * 100_000]


def test_a_flipped_byte_of_an_array_is_found_when_asked_for(saved: Store) -> None:
    flip(file_of(saved, "buffer"), 77)
    assert contents(saved)["x"][1] != BUFFER
    with pytest.raises(BridgeError, match="changed after it was saved"):
        saved.open(SHELF, verify_buffers=True)


def test_buffers_that_hold_offsets_are_always_verified(store: Store) -> None:
    with store.saving(SHELF, "first", "named") as saving:
        arrow = SavedGroup(("x",), saving.pack(b"small"), (written(saving, BUFFER),), verified=True)
        saving.commit(manifest((arrow,)))
    flip(file_of(store, "buffer"), 77)
    assert refusal_of(store).code == "checkpoint_broken"


def test_nobody_without_the_key_knows_the_names_of_raw_data(tmp_path: Path) -> None:
    """Else somebody could make two arrays of one name, of which one would come back as the other."""
    names = []
    for folder in (tmp_path / "mine", tmp_path / "theirs"):
        with Store(folder).saving(SHELF, "first", "named") as saving:
            names.append((written(saving, BUFFER, raw=True).digest, written(saving, BUFFER).digest))
    assert names[0][0] != names[1][0]
    assert names[0][1] == names[1][1]


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _to_symlink(path: Path) -> None:
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


def _to_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


@pytest.mark.parametrize("part", ["manifest", "stream", "pack", "buffer", "key"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_truncate, "checkpoint_broken"),
        (_to_symlink, "checkpoint_foreign"),
        (_to_fifo, "checkpoint_foreign"),
        (_to_folder, "checkpoint_foreign"),
        (lambda path: path.chmod(0o644), "checkpoint_foreign"),
        (lambda path: path.chmod(0o620), "checkpoint_foreign"),
    ],
    ids=["partial", "symlink", "fifo", "folder", "others read", "others write"],
)
def test_a_file_that_is_not_whole_or_not_ours_alone_is_refused(
    saved: Store, part: str, change: Callable[[Path], object], code: str
) -> None:
    change(file_of(saved, part))
    refusal = refusal_of(saved, "first")
    assert refusal.code == code
    assert refusal.hint


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ("manifest", "no_such_checkpoint"),
        ("key", "checkpoint_foreign"),
        ("stream", "checkpoint_broken"),
        ("pack", "checkpoint_broken"),
        ("buffer", "checkpoint_broken"),
    ],
)
def test_a_missing_file_is_refused(saved: Store, part: str, code: str) -> None:
    file_of(saved, part).unlink()
    assert refusal_of(saved, "first").code == code


def test_files_of_another_user_are_refused(saved: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert refusal_of(saved).code == "checkpoint_foreign"
    assert "user id" in refusal_of(saved).message


def test_a_folder_that_others_can_write_to_is_refused(saved: Store) -> None:
    saved.folder.chmod(0o777)
    assert refusal_of(saved).code == "checkpoint_foreign"
    with pytest.raises(BridgeError, match="other users can write to it"):
        saved.saving(SHELF, "second", "named")


def test_a_checkpoint_of_another_key_is_refused(saved: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    save(other, "first", small=b"other")
    theirs = (other.folder / SHELF / "first.json").read_bytes()
    (saved.folder / SHELF / "first.json").write_bytes(theirs)
    refusal = refusal_of(saved)
    assert (refusal.code, "signed with another key" in refusal.message) == ("checkpoint_foreign", True)
    assert saved.manifests(SHELF) == ()


def test_a_manifest_under_another_name_is_refused(saved: Store) -> None:
    (saved.folder / SHELF / "first.json").rename(saved.folder / SHELF / "second.json")
    assert "under another name" in refusal_of(saved, "second").message


@pytest.mark.parametrize("other", [FORMAT - 1, FORMAT + 1])
def test_a_checkpoint_of_another_format_is_refused(store: Store, other: int) -> None:
    with store.saving(SHELF, "first", "named") as saving:
        saving.commit(msgspec.structs.replace(manifest(), format=other))
    assert f"it has format {other}, and this version reads {FORMAT}" in refusal_of(store).message


def test_the_newest_that_can_be_trusted_is_taken(saved: Store) -> None:
    save(saved, "second")
    flip(saved.folder / SHELF / "second.json", 100)
    assert saved.manifest(SHELF).name == "first"
    assert saved.refused(SHELF)["second"].code == "checkpoint_broken"
