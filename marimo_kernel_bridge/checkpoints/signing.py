"""The user's key and signed manifests: an HMAC over a line of JSON, compared before anything of it is used."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from marimo_kernel_bridge.checkpoints.manifest import FORMAT, Manifest
from marimo_kernel_bridge.checkpoints.own_files import broken, foreign, read_own, write_whole

if TYPE_CHECKING:
    from pathlib import Path

_PURPOSE: Final = b"marimo-kernel-bridge checkpoint\n"
_KEY_BYTES: Final = 32


class _Outline(msgspec.Struct):
    """What every format of manifests has."""

    format: int = 0
    key_id: str = ""


# Made at the import, by one thread: msgspec crashes if two look at a class for the first time.
_OUTLINE: Final = msgspec.json.Decoder(_Outline)
_MANIFEST: Final = msgspec.json.Decoder(Manifest)


def key_at(path: Path, *, create: bool = False) -> bytes:
    """Return this user's key; if there is none, a new one or, not to `create` it, nothing."""
    try:
        key = read_own(path)
    except FileNotFoundError:
        if not create:
            return b""
        with suppress(FileExistsError):  # another process was faster
            write_whole(path, secrets.token_bytes(_KEY_BYTES), replace=False)
        key = read_own(path)
    if len(key) != _KEY_BYTES:
        raise broken(path, "it is not a key")
    return key


def seed_of(key: bytes) -> int:
    """Return the seed of the digests of raw data, which only who has the key knows."""
    return int.from_bytes(hashlib.sha256(_PURPOSE + b"raw data\n" + key).digest()[:8])


def signed(manifest: Manifest, key: bytes) -> bytes:
    """Return the content of a manifest's file."""
    body = msgspec.json.encode(msgspec.structs.replace(manifest, key_id=_id_of(key)))
    return _signature(key, body) + b"\n" + body


def verified(path: Path, key: bytes) -> Manifest:
    """Return the manifest in a file. Raises `BridgeError` as `open_own` does; `FileNotFoundError`."""
    signature, _, body = read_own(path).partition(b"\n")
    if not key or not hmac.compare_digest(signature, _signature(key, body)):
        raise _unsigned(path, body, key)
    try:
        if (found := _OUTLINE.decode(body).format) != FORMAT:
            raise broken(path, f"it has format {found}, and this version reads {FORMAT}")
        manifest = _MANIFEST.decode(body)
    except (ValueError, RecursionError) as error:
        raise broken(path, str(error)) from error
    if manifest.name != path.stem:
        raise broken(path, f"it is the checkpoint `{manifest.name}` under another name")
    return manifest


def _signature(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, _PURPOSE + body, "sha256").hexdigest().encode()


def _id_of(key: bytes) -> str:
    """Return the name of a key, which does not give it away."""
    return hashlib.sha256(_PURPOSE + key).hexdigest()[:16]


def _unsigned(path: Path, body: bytes, key: bytes) -> Exception:
    try:
        signer = _OUTLINE.decode(body).key_id
    except (ValueError, RecursionError):
        signer = ""
    if signer and signer != (_id_of(key) if key else None):
        return foreign(path, "it was signed with another key")
    return broken(path, "it was changed after it was saved")
