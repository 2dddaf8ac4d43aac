"""The quota of checkpoints, and blobs that none needs any more."""

import shutil
from pathlib import Path

import pytest

from marimo_kernel_bridge.checkpoints import space
from marimo_kernel_bridge.checkpoints.manifest import FORMAT
from marimo_kernel_bridge.checkpoints.store import Store
from tests.unit.checkpoints.saved import SHELF, contents, save, written

fcntl = pytest.importorskip("fcntl", reason="Windows has none")


def names(store: Store) -> list[str]:
    return [each.name for shelf in store.shelves() for each in store.manifests(shelf)]


def limited(store: Store, quota: int) -> Store:
    return Store(store.folder, quota=quota)


def test_the_oldest_automatic_ones_go_first_and_the_newest_of_each_notebook_last(store: Store) -> None:
    for at in (1, 2, 3):
        save(store, shelf="a", small=b"a" * 999 + bytes([at]), at=at)
        save(store, shelf="b", small=b"b" * 999 + bytes([at]), at=at + 10)
    assert limited(store, 6_000).collect() == ()
    (told,) = limited(store, 3_500).collect()
    assert (
        told
        == "Deleted to keep the quota of 0.0 MB: auto-1 of /a.ipynb, auto-2 of /a.ipynb, auto-1 of /b.ipynb."
    )
    assert names(store) == ["auto-3", "auto-3", "auto-2"]
    limited(store, 1_500).collect()
    assert store.manifests("a") == ()
    assert contents(store, shelf="b")["x"] == [b"b" * 999 + b"\3"]


def test_named_ones_are_never_deleted_by_themselves_and_told(store: Store) -> None:
    save(store, "mine", small=b"m" * 2_000_000)
    save(store, small=b"a" * 1_000)
    told = limited(store, 1_000_000).collect()
    assert told[0] == f"Deleted to keep the quota of 1.0 MB: auto-2 of /{SHELF}.ipynb."
    assert told[1].startswith("Named checkpoints take 2.0 MB, more than the quota of 1.0 MB.")
    assert names(store) == ["mine"]
    assert contents(store)["x"] == [b"m" * 2_000_000]


def test_bytes_that_checkpoints_share_count_once(store: Store) -> None:
    for _ in range(3):
        save(store, buffers=(b"x" * 1_000_000,))
    assert limited(store, 1_100_000).collect() == ()


def test_room_is_what_named_ones_leave(store: Store) -> None:
    save(store, "mine", small=b"m" * 1_000)
    save(store, small=b"a" * 500)
    assert limited(store, 5_000).room() == 4_000
    assert limited(store, 500).room() == 0


def test_the_quota_follows_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("usage", (), {"free": 50_000}))
    assert space.quota_of(tmp_path, 10_000) == 6_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("usage", (), {"free": 10**15}))
    assert space.quota_of(tmp_path, 0) == 10_000_000_000
    monkeypatch.undo()
    assert space.quota_of(tmp_path / "none", 0) == 10_000_000_000


def test_what_a_killed_process_left_is_swept(store: Store) -> None:
    save(store, "first")
    orphan = store.folder / "blobs" / ("0" * 64)
    left = [
        store.folder / ".partial-1-x",
        store.folder / "blobs" / ".partial-1-x",
        store.folder / SHELF / ".partial-1-x",
    ]
    for path in [orphan, *left]:
        path.write_bytes(b"x")
    store.collect()
    assert not any(path.exists() for path in [orphan, *left])
    assert contents(store) == {"x": [b"stream"]}


def test_nothing_is_swept_while_anybody_saves_or_restores(store: Store) -> None:
    save(store, "first")
    with store.saving(SHELF, "second", "named") as saving:
        blob = written(saving, b"new")
        assert store.collect() == ()
        assert store.delete(SHELF, "first") == 0
        assert (store.folder / "blobs" / blob.digest).exists()
    with store.saving(SHELF, "second", "named"), store.saving("other", "x", "named"):
        pass  # several save at once
    save(store, "third")
    with store.open(SHELF):
        assert store.delete(SHELF, "third") == 0
    store.collect()
    assert list((store.folder / "blobs").iterdir()) == []


def test_blobs_of_a_manifest_that_cannot_be_read_stay(store: Store) -> None:
    saved = save(store, "first")
    path = store.folder / SHELF / "first.json"
    path.write_bytes(path.read_bytes().replace(f'"format":{FORMAT}'.encode(), b'"format":9'))
    store.collect()
    assert saved.pack is not None
    assert (store.folder / "blobs" / saved.pack.digest).exists()
    assert store.manifests(SHELF) == ()
    assert list(store.refused(SHELF)) == ["first"]


def test_a_disk_without_locks_is_not_swept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(fcntl, "flock", unsupported)
    save(store, "first")
    (store.folder / "blobs" / ("0" * 64)).touch()
    assert store.collect() == ()
    assert contents(store) == {"x": [b"stream"]}
    assert (store.folder / "blobs" / ("0" * 64)).exists()
