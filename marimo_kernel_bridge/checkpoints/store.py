r"""A folder of checkpoints: signed manifests by notebook, and the blobs that they share.

    <folder>/            0700
      key                32 bytes, 0600: one for each user
      lock               held by who saves or reads (shared), and by who sweeps (alone)
      blobs/<digest>     0600, never changed once it has this name
      <stem>-<hash of the notebook's path>/NAME.json   "<hmac>\n<json>"

Nothing that a file says is used before its owner, its mode and its signature or hash are right. Does not pickle: what it
gives are bytes that this user has written.
"""

from __future__ import annotations

import functools
import hashlib
import re
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from marimo_kernel_bridge.checkpoints import space
from marimo_kernel_bridge.checkpoints.open_checkpoint import OpenCheckpoint
from marimo_kernel_bridge.checkpoints.own_files import deleted_meanwhile, judge_folder, refusing, write_whole
from marimo_kernel_bridge.checkpoints.places import FOLDER_VARIABLE, default_folder
from marimo_kernel_bridge.checkpoints.saving import AUTOMATIC_NAME, Saving
from marimo_kernel_bridge.checkpoints.signing import key_at, seed_of, signed, verified
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from marimo_kernel_bridge.checkpoints.manifest import Kind, Manifest

__all__ = [
    "AUTOMATIC",
    "FOLDER_VARIABLE",
    "OpenCheckpoint",
    "Saving",
    "Store",
    "default_folder",
    "shelf_of",
]

AUTOMATIC: Final = 3
"""How many automatic checkpoints of a notebook are kept."""
_NAME: Final = re.compile(r"\w[\w .,+-]{0,99}")


def shelf_of(notebook: str, kernel_id: str = "") -> str:
    """Return the name of the folder of a notebook's checkpoints: by its absolute path, else by the kernel's id."""
    stem = re.sub(r"[^\w-]+", "_", Path(notebook).stem)[:60] if notebook else "kernel"
    return f"{stem}-{hashlib.sha256((notebook or kernel_id).encode()).hexdigest()[:16]}"


class Store:
    """The checkpoints below a folder, which is made when something is saved.

    Raises `BridgeError`: `no_such_checkpoint`, `checkpoint_foreign` (another's file or key, or others can read or write
    it), `checkpoint_broken` (changed, partial, or of another format), `disk_full`, `not_writable`, `bad_request` (a name).
    """

    def __init__(self, folder: Path | None = None, *, quota: int | None = None) -> None:
        """`quota`: the most bytes of all checkpoints; None: 10 GB, or a tenth of what is free on the disk if that is less."""
        self.folder = folder or default_folder()
        self._quota = quota

    @property
    def _blobs(self) -> Path:
        return self.folder / "blobs"

    @property
    def _key(self) -> Path:
        return self.folder / "key"

    def shelves(self) -> tuple[str, ...]:
        """Return the notebooks that have checkpoints."""
        return tuple(sorted({path.parent.name for path in self.folder.glob("*/*.json")}))

    def manifests(self, shelf: str) -> tuple[Manifest, ...]:
        """Return the checkpoints of a notebook, newest first, without those that cannot be trusted."""
        found = []
        for path in self._paths(shelf):
            with suppress(BridgeError):
                found.append(self._read(path))
        return tuple(sorted(found, key=lambda manifest: (manifest.number, manifest.at), reverse=True))

    def refused(self, shelf: str) -> dict[str, BridgeError]:
        """Return the names of files that are no checkpoints that can be trusted, each with the refusal."""
        refused = {}
        for path in self._paths(shelf):
            try:
                self._read(path)
            except BridgeError as error:
                if error.code != "no_such_checkpoint":  # deleted meanwhile
                    refused[path.stem] = error
        return refused

    def manifest(self, shelf: str, name: str | None = None) -> Manifest:
        """Return a checkpoint (None: the newest), of which the signature is right."""
        if name is not None:
            return self._read(self._path(shelf, name))
        if not (manifests := self.manifests(shelf)):
            refused = next(iter(self.refused(shelf).values()), None)
            raise refused or self._missing(shelf, None)
        return manifests[0]

    def open(self, shelf: str, name: str | None = None, *, verify_buffers: bool = False) -> OpenCheckpoint:
        """Return a checkpoint to restore from, all of whose streams have the hashes that were signed.

        A context manager; what it has mapped outlives it. Buffers are checked for size, owner and mode; for their hashes
        only if `verify_buffers`, or if their group says so: an array's bytes hold no pointers and run no code.
        """
        with ExitStack() as working:
            working.enter_context(space.at_work(self.folder))
            manifest, seed = self.manifest(shelf, name), seed_of(key_at(self._key))
            opened = OpenCheckpoint(self._blobs, manifest, seed, verify_buffers=verify_buffers)
            opened.until_closed(working.pop_all())
            return opened

    def verify(self, shelf: str) -> dict[str, BridgeError | None]:
        """Compare everything of a notebook's checkpoints with what was signed. Return why each cannot be used, None if it can."""
        found: dict[str, BridgeError | None] = {}
        for manifest in self.manifests(shelf):
            try:
                with self.open(shelf, manifest.name, verify_buffers=True):
                    found[manifest.name] = None
            except BridgeError as refusal:
                found[manifest.name] = refusal
        return {**found, **self.refused(shelf)}

    def saving(self, shelf: str, name: str, kind: Kind) -> Saving:
        """Return a checkpoint that is being written. A context manager: what is not committed leaves nothing.

        An automatic one gets its name (`auto-7`) and replaces the oldest beyond `AUTOMATIC`; give "" for its name.
        A named one replaces that of the same name, when it is committed.
        """
        if kind == "named":
            _require_name(name)
        with ExitStack() as working:
            with refusing(self.folder):
                judge_folder(self.folder)
                for folder in (self.folder, self._blobs):
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                seed = seed_of(key_at(self._key, create=True))
            working.enter_context(space.at_work(self.folder))
            earlier = self.manifests(shelf)
            write = functools.partial(self._write, shelf, seed=seed)
            saving = Saving(self._blobs, name, kind, earlier, write, seed=seed)
            saving.until_closed(working.pop_all())
            return saving

    def delete(self, shelf: str, name: str) -> int:
        """Delete a checkpoint, and the blobs that no other one needs. Returns the bytes that became free.

        Blobs stay while anyone saves or restores; `collect` deletes them later.
        """
        path = self._path(shelf, name)
        try:
            path.unlink()
        except FileNotFoundError as error:
            raise self._missing(shelf, name) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise BridgeError("not_writable", f"{path} cannot be deleted: {reason}.") from error
        with suppress(OSError):  # others are there
            path.parent.rmdir()
        with space.at_work(self.folder, alone=True) as alone:
            return space.sweep(self.folder, self._needed()) if alone else 0

    def rename(self, old: str, new: str, notebook: str) -> None:
        """Give the checkpoints of a notebook to it under its new path. Those of the same name there are replaced."""
        if old == new or not (moving := self.manifests(old)):
            return
        with refusing(self.folder), space.at_work(self.folder):
            first = 1 + max((each.number for each in self.manifests(new)), default=0)
            for number, manifest in enumerate(reversed(moving), first):
                moved = msgspec.structs.replace(manifest, notebook=notebook, number=number)
                self._write(new, moved)
                self._path(old, manifest.name).unlink(missing_ok=True)
            with suppress(OSError):  # what cannot be trusted stays
                (self.folder / old).rmdir()

    def collect(self) -> tuple[str, ...]:
        """Keep the quota: delete the oldest automatic checkpoints beyond it, and blobs that none refers to.

        Returns what the person must be told: what was deleted, and by how much named ones, which are never deleted, exceed
        the quota. Does nothing while anyone saves or restores. Reads all manifests: call it after a save, on any thread.
        """
        with space.at_work(self.folder, alone=True) as alone:
            if not alone:
                return ()
            shelves = {shelf: self.manifests(shelf) for shelf in self.shelves()}
            quota = self._quota_of(space.bytes_of(each for found in shelves.values() for each in found))
            going = space.superfluous(shelves, quota)
            for shelf, manifest in going:
                with suppress(OSError):  # it stays, and is told of again
                    self._path(shelf, manifest.name).unlink(missing_ok=True)
            space.sweep(self.folder, self._needed())
        named = space.bytes_of(each for found in shelves.values() for each in found if each.kind == "named")
        return tuple(self._told(going, quota, named))

    def room(self) -> int:
        """Return how many bytes an automatic checkpoint may take, if all other automatic ones give way."""
        every = [each for shelf in self.shelves() for each in self.manifests(shelf)]
        named = space.bytes_of(each for each in every if each.kind == "named")
        return max(0, self._quota_of(space.bytes_of(every)) - named)

    def _told(self, going: list[tuple[str, Manifest]], quota: int, named: int) -> list[str]:
        told = []
        if going:
            names = ", ".join(f"{each.name} of {each.notebook or shelf}" for shelf, each in going)
            told.append(f"Deleted to keep the quota of {_gigabytes(quota)}: {names}.")
        if named > quota:
            told.append(
                f"Named checkpoints take {_gigabytes(named)}, more than the quota of {_gigabytes(quota)}. They are never "
                "deleted by themselves: `marimo-kernel-bridge checkpoints` lists and deletes them."
            )
        return told

    def _quota_of(self, taken: int) -> int:
        return self._quota if self._quota is not None else space.quota_of(self.folder, taken)

    def _paths(self, shelf: str) -> list[Path]:
        return sorted((self.folder / shelf).glob("*.json"))

    def _path(self, shelf: str, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise self._missing(shelf, name)
        return self.folder / shelf / f"{name}.json"

    def _missing(self, shelf: str, name: str | None) -> BridgeError:
        names = ", ".join(path.stem for path in self._paths(shelf))
        return BridgeError(
            "no_such_checkpoint",
            "The notebook has no checkpoint."
            if name is None
            else f"The notebook has no checkpoint `{name}`.",
            f"It has: {names}." if names else "Save one: `%marimo save`.",
        )

    def _needed(self) -> frozenset[str]:
        """Return the digests that any manifest mentions, whoever wrote it and in whatever format."""
        needed: set[str] = set()
        for path in self.folder.glob("*/*.json"):
            with suppress(FileNotFoundError):
                if path.is_file():  # a pipe would be waited for
                    needed |= space.mentioned(path.read_bytes())
        return frozenset(needed)

    def _read(self, path: Path) -> Manifest:
        judge_folder(self.folder)
        try:
            return verified(path, key_at(self._key))
        except FileNotFoundError as error:
            raise self._missing(path.parent.name, path.stem) from error

    def _write(self, shelf: str, manifest: Manifest, *, seed: int | None = None) -> None:
        """Write a manifest, and delete the oldest automatic ones of the notebook beyond `AUTOMATIC`.

        `seed`: that of the key with which its data was written, which must still be there.
        """
        with refusing(self.folder):
            key = key_at(self._key)
            if not key or seed not in {None, seed_of(key)}:
                raise deleted_meanwhile(self.folder)
            (self.folder / shelf).mkdir(mode=0o700, exist_ok=True)
            write_whole(self._path(shelf, manifest.name), signed(manifest, key))
            automatic = [each for each in self.manifests(shelf) if each.kind == "automatic"]
            for old in automatic[AUTOMATIC:]:
                self._path(shelf, old.name).unlink(missing_ok=True)


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name.startswith(AUTOMATIC_NAME):
        raise BridgeError(
            "bad_request",
            f"`{name}` cannot be the name of a checkpoint.",
            f"Use up to 100 letters, digits, blanks and .,+-_ that do not begin with `{AUTOMATIC_NAME}`.",
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004  # from 0.1 GB on
