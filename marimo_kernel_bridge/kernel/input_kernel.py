"""`input` and `getpass` in cells: the front end is asked, and the status says so."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ipykernel.ipkernel import IPythonKernel

from marimo_kernel_bridge.kernel.messaging.sigint import on_main_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marimo_kernel_bridge.kernel.status import KernelStatus


class InputKernel(IPythonKernel):
    """A kernel whose requests may ask the person for input."""

    status: KernelStatus

    @contextmanager
    def input_from_front_end(self, *, allowed: bool) -> Iterator[None]:
        """Forward `input` and `getpass` to the front end of the current request, if `allowed`."""
        if not on_main_thread():  # a cell may be running
            yield
            return
        self._forward_input(allowed)
        try:
            yield
        finally:
            self._restore_input()

    def _input_request(self, prompt: str, ident: Any, parent: Any, password: bool = False) -> str:  # noqa: FBT001, FBT002  # ipykernel's signature
        with self.status.asking(prompt):
            answered: str = super()._input_request(prompt, ident, parent, password=password)
        return answered
