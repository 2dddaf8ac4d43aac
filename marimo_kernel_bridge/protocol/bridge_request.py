"""What all requests of the bridge protocol have. The requests are in `messages`, those about views in `view_requests`."""

from __future__ import annotations

from typing import Final

import msgspec

PROTOCOL: Final = 2


class BridgeRequest(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", forbid_unknown_fields=True):
    """A request. `redacted`: texts in the reply have marks in place of secrets."""

    protocol: int = PROTOCOL
    redacted: bool = True
