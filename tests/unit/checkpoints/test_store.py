"""A store of checkpoints: what is saved comes back, is listed, renamed and deleted, and blobs are written once."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from marimo_kernel_bridge.checkpoints import blobs
from marimo_kernel_bridge.checkpoints.manifest import SavedBuffer
from marimo_kernel_bridge.checkpoints.store import Store, default_folder, shelf_of
from marimo_kernel_bridge.errors import BridgeError
from tests.unit.checkpoints.saved import SHELF, contents, group, manifest, save, written

LARGE = bytes(range(256)) * 10_000  # some steps


def names(store: Store, shelf: str = SHELF) -> list[str]:
    return [each.name for each in store.manifests(shelf)]


def blob_files(store: Store) -> set[str]:
    return {path.name for path in (store.folder / "blobs").iterdir()}


def test_what_is_saved_comes_back(store: Store) -> None:
    saved = save(store, "first", small=b"small", large=LARGE, buffers=(b"buffer" * 20_000, b""))
    assert contents(store) == {"x": [b"small", b"buffer" * 20_000, b""], "y": [LARGE]}
    read = store.manifest(SHELF, "first")
    assert read.key_id
    assert read == msgspec.structs.replace(saved, key_id=read.key_id) == store.manifest(SHELF)
    assert store.shelves() == (SHELF,)


def test_only_this_user_can_read_what_is_saved(store: Store) -> None:
    save(store, "first", large=LARGE)
    modes = {
        path.stat().st_mode & 0o777 for path in [store.folder, *store.folder.rglob("*")] if path.is_dir()
    }
    assert modes == {0o700}
    assert {path.stat().st_mode & 0o777 for path in store.folder.rglob("*") if path.is_file()} == {0o600}


def test_buffers_can_be_written_and_the_file_stays_what_it_was(store: Store) -> None:
    save(store, "first", buffers=(b"buffer",))
    with store.open(SHELF) as opened:
        _, (buffer,) = opened.read(opened.manifest.groups[0])
        assert opened.mapped == 6
    buffer[:3] = b"BUF"
    assert bytes(buffer) == b"BUFfer"
    assert contents(store)["x"][1] == b"buffer"


def test_saving_again_what_has_not_changed_writes_no_blob(store: Store) -> None:
    save(store, "first", large=LARGE, buffers=(b"a" * 70_000,))
    before = {path: path.stat().st_mtime_ns for path in (store.folder / "blobs").iterdir()}
    with store.saving(SHELF, "second", "named") as saving:
        for data in (LARGE, b"a" * 70_000):
            written(saving, data, raw=data != LARGE)
        saving.pack(b"stream")
        saving.commit(manifest())
        assert saving.bytes_written == 0
    assert before == {path: path.stat().st_mtime_ns for path in (store.folder / "blobs").iterdir()}


def test_one_changed_value_of_many_writes_its_own_bytes(store: Store) -> None:
    values = {f"v{number}": bytes([number]) * 100_000 for number in range(20)}
    written_bytes = []
    for change in (b"", b"!"):
        values["v7"] = change + values["v7"][len(change) :]  # of the same size: hashed first, then written
        with store.saving(SHELF, "", "automatic") as saving:
            for value in values.values():
                written(saving, value)
            saving.pack(b"small")
            saving.commit(manifest())
            written_bytes.append(saving.bytes_written)
    assert written_bytes == [20 * 100_000 + 5, 100_000]


def test_a_blob_is_what_its_name_says_though_its_data_changes_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "STEP", 1_000)
    data = bytearray(3_000)
    with store.saving(SHELF, "first", "named") as saving:
        writing = saving.write(memoryview(data))  # a stream, which can run code
        assert writing.step() is None
        data[:] = b"x" * 3_000
        assert writing.step() is None
        blob = writing.step()
    assert isinstance(blob, SavedBuffer)
    content = (store.folder / "blobs" / blob.digest).read_bytes()
    assert content == bytes(1_000) + b"x" * 2_000
    blobs.mapped(store.folder / "blobs", blob, verify=True)


def test_what_is_not_committed_leaves_nothing(store: Store) -> None:
    save(store, "first")
    before = {path for path in store.folder.rglob("*") if path.is_file()}
    with store.saving(SHELF, "second", "named") as saving:
        saving.write(LARGE).step()
    assert {path for path in store.folder.rglob("*") if path.is_file()} == before


def test_three_automatic_ones_are_kept_and_the_newest_is_first_whatever_the_clock_says(store: Store) -> None:
    save(store, "mine", at=1.0)
    for at in (500.0, 400.0, 300.0, 200.0):
        save(store, at=at)
    assert names(store) == ["auto-5", "auto-4", "auto-3", "mine"]
    assert store.manifest(SHELF).name == "auto-5"
    assert store.manifest(SHELF).at == 200.0


def test_a_named_one_replaces_that_of_its_name(store: Store) -> None:
    save(store, "first", small=b"old")
    save(store, "second")
    save(store, "first", small=b"new")
    assert names(store) == ["first", "second"]
    assert contents(store, "first") == {"x": [b"new"]}


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "auto-1", "x" * 101, "a\nb", "nul\0"])
def test_names_that_are_no_file_names_are_refused(store: Store, name: str) -> None:
    with pytest.raises(BridgeError, match="cannot be the name") as refusal:
        store.saving(SHELF, name, "named")
    assert refusal.value.code == "bad_request"
    for read in (store.manifest, store.delete):
        with pytest.raises(BridgeError, match="has no checkpoint"):
            read(SHELF, name)


def test_deleting_frees_what_no_other_one_needs(store: Store) -> None:
    save(store, "first", small=b"1", buffers=(b"a" * 1_000, b"b" * 500))
    save(store, "second", small=b"2", buffers=(b"a" * 1_000,))
    assert store.delete(SHELF, "first") == 501
    assert contents(store, "second") == {"x": [b"2", b"a" * 1_000]}
    assert store.delete(SHELF, "second") == 1_001
    assert blob_files(store) == set()
    assert store.shelves() == ()
    with pytest.raises(BridgeError) as refusal:
        store.delete(SHELF, "second")
    assert refusal.value.code == "no_such_checkpoint"


def test_the_refusal_of_an_unknown_name_names_the_others(store: Store) -> None:
    with pytest.raises(BridgeError, match=r"The notebook has no checkpoint\. Save one"):
        store.manifest(SHELF)
    save(store, "first")
    with pytest.raises(BridgeError, match=r"no checkpoint `second`\. It has: first\."):
        store.manifest(SHELF, "second")


def test_checkpoints_follow_a_renamed_notebook(store: Store) -> None:
    save(store, "first", small=b"1")
    save(store, small=b"2")
    save(store, "first", shelf="new", small=b"3")
    store.rename(SHELF, "new", "/new.ipynb")
    assert store.shelves() == ("new",)
    assert names(store, "new") == ["auto-2", "first"]
    assert {each.notebook for each in store.manifests("new")} == {"/new.ipynb"}
    assert contents(store, "first", "new") == {"x": [b"1"]}
    assert not (store.folder / SHELF).exists()


def test_a_notebook_has_its_shelf_by_its_path_or_its_kernel() -> None:
    assert shelf_of("/a/some notebook.ipynb", "k1").startswith("some_notebook-")
    assert shelf_of("/a/nb.ipynb", "k1") == shelf_of("/a/nb.ipynb", "k2") != shelf_of("/b/nb.ipynb")
    assert shelf_of("", "k1") != shelf_of("", "k2")


def test_the_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_folder().parts[-2:] == ("marimo_kernel_bridge", "checkpoints")
    monkeypatch.setenv("MARIMO_KERNEL_BRIDGE_CHECKPOINTS", str(tmp_path))
    assert Store().folder == tmp_path


def failing(number: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EROFS, "not_writable")],
)
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_is_told_and_earlier_checkpoints_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, code: str, call: str
) -> None:
    save(store, "first", large=LARGE)
    before = {path for path in store.folder.rglob("*") if path.is_file()}
    for data in ({"large": LARGE[1:]}, {"small": b"other"}, {}):  # a blob, the pack, the manifest alone
        with monkeypatch.context() as full:
            full.setattr(os, call, failing(number))
            with pytest.raises(BridgeError) as refusal:
                save(store, "first", **data)  # type: ignore[arg-type]  # bytes by name
        assert refusal.value.code == code
        assert str(store.folder) in refusal.value.message
    assert {path for path in store.folder.rglob("*") if path.is_file()} == before
    assert contents(store, "first")["y"] == [LARGE]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BridgeError, match="MARIMO_KERNEL_BRIDGE_CHECKPOINTS") as refusal:
        Store(tmp_path / "file" / "checkpoints").saving(SHELF, "x", "named")
    assert refusal.value.code == "not_writable"
    assert Store(tmp_path / "file" / "checkpoints").manifests(SHELF) == ()


def test_a_checkpoint_that_cannot_be_deleted_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    save(store, "first")
    monkeypatch.setattr(Path, "unlink", failing(errno.EACCES))
    with pytest.raises(BridgeError, match="cannot be deleted: Permission denied") as refusal:
        store.delete(SHELF, "first")
    assert refusal.value.code == "not_writable"


@pytest.mark.parametrize("deleted", ["blobs/*", "key", "*"])
def test_one_whose_files_are_deleted_while_it_is_written_is_refused_and_not_said_to_be_saved(
    store: Store, deleted: str
) -> None:
    with store.saving(SHELF, "late", "named") as saving:
        groups = (group(saving, "y", large=LARGE),)
        for path in store.folder.glob(deleted):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        with pytest.raises(BridgeError) as refusal:
            saving.commit(manifest(groups))
    assert refusal.value.code == "not_writable"
    assert names(store) == []
    save(store, "after", large=LARGE)
    assert contents(store, "after")["y"] == [LARGE]


def test_one_that_was_begun_with_another_key_is_refused(store: Store) -> None:
    with store.saving(SHELF, "late", "named") as saving:
        (store.folder / "key").unlink()
        save(store, "other")
        with pytest.raises(BridgeError, match="deleted") as refusal:
            saving.commit(manifest())
    assert refusal.value.code == "not_writable"
    assert names(store) == ["other"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_pipes_in_place_of_files_hold_nobody_up(tmp_path: Path) -> None:
    store = Store(tmp_path / "checkpoints")
    save(store, "kept")
    save(store, "going")
    (store.folder / "lock").unlink()
    for name in ("lock", f"{SHELF}/pipe.json"):
        os.mkfifo(store.folder / name, 0o600)
    save(store, "new")
    store.delete(SHELF, "going")
    store.collect()
    assert contents(store, "kept") == {"x": [b"stream"]}
    with pytest.raises(BridgeError) as caught:
        store.manifest(SHELF, "pipe")
    assert caught.value.code == "checkpoint_foreign"
