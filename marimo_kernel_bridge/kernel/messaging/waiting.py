"""A request for a cell that was received and not yet handled. A value only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.cells import Address


@dataclass(frozen=True)
class Waiting:
    """An execute_request that was received and not yet handled."""

    notebook_cell_id: str
    code: str
    address: Address

    @property
    def msg_id(self) -> str:
        """The id of the request."""
        return str(self.address.parent["msg_id"])
