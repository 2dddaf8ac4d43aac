"""What a manifest may say: its digests are names of files, in one folder."""

from typing import Any

import msgspec
import pytest

from marimo_kernel_bridge.checkpoints.manifest import BlobStream, SavedBuffer


@pytest.mark.parametrize(
    "digest", ["", "../key", "a\0b", "/etc/passwd", "0" * 31, "0" * 65, "A" * 32, "0" * 32 + "\n"]
)
@pytest.mark.parametrize("kind", [SavedBuffer, BlobStream])
def test_a_digest_is_a_number_in_hex(kind: Any, digest: str) -> None:
    right = {"type": "blob", "digest": "0123456789abcdef" * 2, "size": 1}
    assert msgspec.convert(right, kind).digest == right["digest"]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(right | {"digest": digest}, kind)
