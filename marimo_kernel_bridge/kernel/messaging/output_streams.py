"""stdout and stderr with a `flush` that does not wait if nothing was printed.

ipykernel flushes both streams after each request and before each display; each time the main thread waits for the
thread that sends, and then 0.5 ms for clients to receive it. This module only knows when there is nothing to wait for;
buffers and sending are ipykernel's.
"""

from __future__ import annotations

from ipykernel.iostream import OutStream


class CellStream(OutStream):
    """An `OutStream` with a `flush` that returns immediately if everything has been sent."""

    _sending = _sent = False

    def was_used(self) -> bool:
        """Return whether something was sent since the last call, or waits to be sent."""
        used = self._flush_pending or self._sending or self._sent
        self._sent = False
        return used

    def flush(self) -> None:
        """Send what is written, and wait until it is sent."""
        # In this order: `_flush` begins to send before it says that nothing is pending.
        if self._flush_pending or self._sending:
            super().flush()

    def _flush(self) -> None:
        self._sending = self._sent = True
        try:
            super()._flush()
        finally:
            self._sending = False


# Libraries ask for the name of the class of sys.stdout to know that they are in a notebook.
CellStream.__name__ = CellStream.__qualname__ = OutStream.__name__
CellStream.__module__ = OutStream.__module__
