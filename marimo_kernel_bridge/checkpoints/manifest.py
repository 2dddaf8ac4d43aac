"""What a checkpoint says of itself: a manifest of frozen values, in JSON.

Owns the format and its number. Does not read files or check signatures (`store`), and does not say how a value becomes
bytes (`kernel.checkpoints.pickling`). A field that is added has a default, so that older manifests stay readable; a
change that older versions of this package would misread raises `FORMAT`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

FORMAT: Final = 2
"""The format of manifests and streams that this version writes, and the only one that it reads."""

Kind = Literal["named", "automatic"]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32,64}\Z")]
"""In hex; also the name of a file."""


class SavedBuffer(msgspec.Struct, frozen=True):
    """A blob: the digest of its bytes (`blobs`), and their number."""

    digest: Digest
    size: int


class PackedStream(msgspec.Struct, frozen=True, tag="packed"):
    """A small stream: a part of the checkpoint's pack, which is one blob for all of them."""

    offset: int
    size: int


class BlobStream(msgspec.Struct, frozen=True, tag="blob"):
    """A stream that is a blob of its own."""

    digest: Digest
    size: int


class SavedGroup(msgspec.Struct, frozen=True):
    """Names whose values share mutable objects: one stream, restored as a whole or not at all.

    `buffers` are the large buffers (of arrays, columns) that the stream refers to, in its order. `code`: the stream
    contains bytecode, which another minor version of Python cannot read. `verified`: the digests of the buffers are SHA-256 and compared
    whenever they are read, because they hold offsets; else the buffers are raw data. `keys` are the keys of the cells that defined
    or changed the values, as of the moment of the save.
    """

    names: tuple[str, ...]
    stream: PackedStream | BlobStream
    buffers: tuple[SavedBuffer, ...] = ()
    code: bool = False
    verified: bool = False
    keys: tuple[str, ...] = ()


class Lost(msgspec.Struct, frozen=True):
    """A value that is not in the checkpoint.

    `kind` is its type (`sqlite3.Connection`), `path` where inside of it the obstacle is (`['db'].connection`; empty: the
    value itself), `reason` a clause (`a connection cannot be kept`), `cell_id` the cell that makes it.
    """

    name: str
    kind: str
    reason: str
    path: str = ""
    cell_id: str = ""


class SavedCell(msgspec.Struct, frozen=True):
    """A cell at the moment of the save.

    `key` is the Merkle key of its code and of what it read; empty if it was not fresh. `notebook_id` is its id in the
    notebook's file, `count` its execution count, `seconds` how long its last run took, `at` when that began (seconds
    since the epoch). `defines` are the names that it bound. `why` says why it was not fresh, `live` that its values are made
    again by running it (UI elements), which then get `inputs`, by name; `texts` are those of its elements and states in keys. `expects` names the exception after which the cells below run nevertheless. `observed` is what its run has shown.
    """

    cell_id: str
    code: str
    key: str = ""
    notebook_id: str = ""
    dialect: str = ""
    status: str = ""
    count: int | None = None
    seconds: float | None = None
    at: float | None = None
    defines: tuple[str, ...] = ()
    author: str = ""
    why: str = ""
    live: bool = False
    inputs: dict[str, Any] = {}  # values of JSON
    texts: dict[str, str] = {}
    observed: dict[str, Any] = {}  # values of JSON
    error: dict[str, Any] | None = None  # of JSON
    expects: str = ""
    stopped: bool = False
    once: bool = False


class Extras(msgspec.Struct, frozen=True):
    """What is kept besides cells and values.

    `options` are those of libraries that differ from their defaults, by library. `outputs` is a blob with the outputs of
    cells, as JSON. `file` tells the notebook's file as it was then from what it is after another save; None: an older version
    has written the manifest.
    """

    cwd: str = ""
    options: dict[str, dict[str, Any]] = {}  # values of JSON
    outputs: SavedBuffer | None = None
    file: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint of one notebook.

    `at` is in seconds since the epoch; `number` counts the checkpoints of a notebook and is what orders them, because
    clocks jump. `python` is the full version, `packages` the versions of imported packages by module name. `notebook` is
    the absolute path of the file, empty if there is none. `key_id` names the key that signed; `sandbox` the sandbox of
    the kernel that saved, None without one. `absent` and `spent` are names of the session's state of versions. `superseded` are cells
    that ran and lost a name to another one, each by its place among all cells.
    """

    name: str
    kind: Kind
    at: float
    number: int = 0
    format: int = FORMAT
    notebook: str = ""
    kernel_id: str = ""
    python: str
    platform: str = ""
    packages: dict[str, str] = {}
    key_id: str = ""
    sandbox: str | None = None
    mode: str = ""
    strict: bool = False
    cells: tuple[SavedCell, ...] = ()
    superseded: dict[int, SavedCell] = {}
    groups: tuple[SavedGroup, ...] = ()
    pack: SavedBuffer | None = None
    lost: tuple[Lost, ...] = ()
    absent: tuple[str, ...] = ()
    spent: tuple[str, ...] = ()
    extras: Extras = Extras()

    def blobs(self) -> frozenset[SavedBuffer]:
        """Return all blobs that the checkpoint refers to."""
        return frozenset(
            {
                *(buffer for group in self.groups for buffer in group.buffers),
                *(
                    SavedBuffer(group.stream.digest, group.stream.size)
                    for group in self.groups
                    if isinstance(group.stream, BlobStream)
                ),
                *(blob for blob in (self.pack, self.extras.outputs) if blob is not None),
            }
        )

    def size(self) -> int:
        """Return the bytes of its blobs, which other checkpoints may share."""
        return sum(blob.size for blob in self.blobs())
