"""`%marimo view`: the person's command about views of variables.

It shows an address and opens no browser: the person's may be on another machine than the kernel.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Protocol

from IPython.core.error import UsageError
from IPython.display import display

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.protocol.views import OpenedView, ViewDescription


class Views(Protocol):
    """The views of a kernel's variables."""

    def open(self, name: str) -> OpenedView: ...

    def close(self, name: str) -> int:
        """Close the views of a variable; return how many there were."""
        ...

    def all(self) -> list[ViewDescription]: ...


def view(arguments: Sequence[str], views: Views) -> None:
    """Carry out the command. Raises `UsageError`."""
    try:
        match arguments:
            case ["--list"]:
                _list(views.all())
            case [name, "--close"] | ["--close", name]:
                _close(name, views)
            case [name] if not name.startswith("--"):
                _open(name, views)
            case _:
                raise UsageError("%marimo view NAME, %marimo view NAME --close, or %marimo view --list")
    except BridgeError as error:
        raise UsageError(str(error)) from None


def _open(name: str, views: Views) -> None:
    opened = views.open(name)
    shown = opened.description.shape
    note = f"It works once, on the kernel's machine (port {opened.port})."
    if opened.opened_in == "tab already open":
        note = f"A tab shows it already; this address opens another one. {note}"
    if opened.advice:
        note = f"{note} {opened.advice}"
    link = f'<a href="{html.escape(opened.url)}" target="_blank" rel="noopener">View {html.escape(name)}</a>'
    bundle = {
        "text/plain": f"{opened.url}\n{shown}\n{note}",
        "text/html": f"<p>{link}: {html.escape(shown)}. {html.escape(note)}</p>",
    }
    display(bundle, raw=True)  # type: ignore[no-untyped-call]  # IPython's


def _close(name: str, views: Views) -> None:
    count = views.close(name)
    if not count:
        raise UsageError(f"No view shows {name}. %marimo view --list shows those that are open.")
    print(f"closes {'the view' if count == 1 else f'{count} views'} of {name}")  # noqa: T201  # the magic's answer


def _list(views: Sequence[ViewDescription]) -> None:
    lines = [f"{one.title}: {one.ended or one.shape}" for one in views]
    print("\n".join(lines) or "no view is open")  # noqa: T201
