"""Who may ask this server for what, by the head of a request alone.

Rule 1: `Host` is this server's own, so that no name that resolves to it later reaches it (DNS rebinding).
Rule 2: who comes from a page comes from one of ours; a socket always says where it comes from.
Rule 3: a page is shown alone, loads nothing, sends nothing elsewhere and runs only our script.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ADDRESS: Final = "127.0.0.1"

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer."""


@dataclass(frozen=True)
class Rules:
    """The rules of the server on a port."""

    port: int

    def refuses(self, host: str | None, origin: str | None, *, is_socket: bool = False) -> bool:
        """Return whether a request with these headers is refused; None: it has no such header."""
        if host not in {f"{ADDRESS}:{self.port}", f"localhost:{self.port}"}:
            return True
        return is_socket if origin is None else origin != f"http://{host}"

    def page_policy(self, host: str, nonce: str) -> str:
        """Return the policy of a page whose script and style have a nonce."""
        return "; ".join(
            (
                "default-src 'none'",
                f"script-src 'nonce-{nonce}'",
                f"style-src 'nonce-{nonce}'",
                "img-src data:",
                f"connect-src 'self' ws://{host}",
                *(f"{directive} 'none'" for directive in ("base-uri", "form-action", "frame-ancestors")),
            )
        )


def cookie_name(view_id: str) -> str:
    """Return the name of the cookie of a view: browsers share cookies between the ports of a machine."""
    return f"marimo-view-{view_id}"
