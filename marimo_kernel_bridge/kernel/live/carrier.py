"""What carries messages between the kernel and pages: the comm of a widget, or one that a page opens.

The widget has no view: the loader is its module, which Jupyter's widget manager runs on each page. A page of JupyterLab with
this project's extension has the loader already, and needs no widget manager.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Final, Protocol

from marimo_kernel_bridge.kernel.live.loader_source import loader_source

if TYPE_CHECKING:
    from collections.abc import Callable

    Receive = Callable[["Carrier", object], None]
    """Takes the data of a message."""


NO_WIDGETS: Final = (
    "marimo's elements have their static form here, because this page shows no widgets. In a VS Code, other cells may wait forever then: "
    "install the extension Jupyter Notebook Renderers (ms-toolsai.jupyter-renderers), or uninstall anywidget from the kernel's environment; "
    "then restart the kernel and reload the window."
)
"""What stands in place of a widget's view where no page has shown it, as in a VS Code without that extension."""


class Carrier(Protocol):
    """A way to pages: to one, or to all that show the notebook."""

    @property
    def closed(self) -> bool: ...

    @property
    def comm_id(self) -> str:
        """The id of the comm, on which the pages' messages come."""
        ...

    def send(self, data: dict[str, Any], buffers: list[bytes] | None = None) -> None: ...


class PageComm:
    """A comm that a page has opened."""

    def __init__(self, comm: Any, receive: Receive, ended: Callable[[Carrier], None]) -> None:
        """Take over a comm that was opened. `ended` is called when the page closes it."""
        self._comm, self._ended = comm, ended
        self.closed = False
        self.comm_id: str = comm.comm_id
        comm.on_msg(lambda message: receive(self, message["content"]["data"]))
        comm.on_close(self._close)

    def _close(self, _message: object) -> None:
        self.closed = True
        self._ended(self)

    def send(self, data: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        self._comm.send(data, buffers=buffers)


class LoaderWidget:
    """A widget without a view, on all pages with a widget manager."""

    def __init__(self, receive: Receive) -> None:
        """Open the widget's comm. Raises `ImportError`."""
        from marimo_kernel_bridge.startup.import_path import own_imports  # noqa: PLC0415  # not used before

        with own_imports():
            import anywidget  # noqa: PLC0415  # an extra, and it takes a third of a second

        class Loader(anywidget.AnyWidget):
            _esm = loader_source()

        self._widget: Any = Loader()
        self.comm_id: str = self._widget.model_id
        self._widget.on_msg(lambda _widget, content, _buffers: receive(self, content))

    @property
    def closed(self) -> bool:
        """Whether user code has closed all widgets."""
        return self._widget.comm is None

    @property
    def view(self) -> dict[str, Any]:
        """The data of an output that shows it."""
        model = {"version_major": 2, "version_minor": 1, "model_id": self.comm_id}
        return {"application/vnd.jupyter.widget-view+json": model, "text/plain": NO_WIDGETS}

    def send(self, data: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        if not self.closed:
            self._widget.send(data, buffers)


def has_widgets() -> bool:
    """Return whether anywidget is installed."""
    return importlib.util.find_spec("anywidget") is not None
