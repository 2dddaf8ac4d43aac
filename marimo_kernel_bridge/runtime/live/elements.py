"""UI elements as marimo's own front end shows them: their HTML, their values both ways, and calls of their functions.

Which pages there are is `kernel.live`'s; what cells show is in `display.shown_elements`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import marimo
from marimo._ast.app_config import _AppConfig
from marimo._config.manager import get_default_config_manager
from marimo._messaging.msgspec_encoder import encode_json_bytes
from marimo._messaging.notification import (
    ConsumerCapabilities,
    FunctionCallResultNotification,
    HumanReadableStatus,
    KernelCapabilitiesNotification,
    KernelReadyNotification,
)
from marimo._runtime.commands import InvokeFunctionCommand
from marimo._types.ids import RequestId

from marimo_kernel_bridge.runtime.interface import FunctionResult
from marimo_kernel_bridge.runtime.live.assets import FrontEndFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marimo._plugins.ui._core.ui_element import UIElement

    from marimo_kernel_bridge.runtime.display.shown_elements import ShownElements
    from marimo_kernel_bridge.runtime.interface import AssetPack, LiveObserver
    from marimo_kernel_bridge.runtime.marimo_kernel import ReactiveKernel
    from marimo_kernel_bridge.runtime.ui.queue import UiValueQueue

_SERVER: Final = "http://marimo.invalid/"
"""The address of marimo's server for its front end: there is none, and the page answers in its place."""


class MarimoElements:
    """Implements `interface.LiveElements`."""

    def __init__(self, kernel: ReactiveKernel, queue: UiValueQueue, shown: ShownElements) -> None:
        self._kernel, self._queue, self._shown = kernel, queue, shown
        self._files = FrontEndFiles()

    @property
    def observers(self) -> list[LiveObserver]:
        return self._kernel.observers

    @property
    def version(self) -> str:
        return marimo.__version__

    # -- the front end -------------------------------------------------------------------------------------------------

    def fault(self) -> str:
        return self._files.fault()

    def assets(self, names: Sequence[str] | None) -> AssetPack:
        pack = self._files.pack(names)
        return pack if names is not None else replace(pack, mount=self._mount_configuration(), ready=_ready())

    def _mount_configuration(self) -> Mapping[str, object]:
        """Return what marimo's server writes into its page for an app; without the user's secrets, like API keys."""
        settings: Any = get_default_config_manager(current_path=self._kernel.app_metadata.filename)
        config = settings.get_config(hide_secrets=True)
        config["display"]["theme"] = "light"  # the page's own theme decides
        mount: Mapping[str, object] = json.loads(
            encode_json_bytes(
                {
                    "filename": "notebook.py",
                    "mode": "read",
                    "version": self.version,
                    "config": config,
                    "configOverrides": {},
                    "appConfig": {},
                    "view": {"showAppCode": False},
                    "serverToken": "",
                    "session": None,
                    "notebook": None,
                    "runtimeConfig": [{"url": _SERVER, "lazy": False}],
                }
            )
        )
        return mount

    # -- what cells show ------------------------------------------------------------------------------------------------

    def html(self, shown: str, cell_id: str = "") -> str | None:
        found = self._shown.find(shown, cell_id)
        return None if found is None else found.live

    def static(self, shown: str) -> Mapping[str, object] | None:
        found = self._shown.find(shown)
        return found.shown_data if found is not None and found.redrawn else None

    def values(self, object_ids: Iterable[str]) -> dict[str, object]:
        found = {object_id: self._element(object_id) for object_id in object_ids}
        values = {name: element._value_frontend for name, element in found.items() if element is not None}
        decoded: dict[str, object] = json.loads(encode_json_bytes(values))
        return decoded

    def _element(self, object_id: str) -> UIElement[Any, Any] | None:
        """Return an element, also of an app inside the notebook."""
        for context in (self._kernel.context, *self._kernel.context.children):
            reference = context.ui_element_registry._objects.get(object_id)  # type: ignore[call-overload]  # a NewType of str
            if reference is not None:
                element: UIElement[Any, Any] | None = reference()
                return element
        return None

    # -- from the front end ---------------------------------------------------------------------------------------------

    def set_values(self, values: Sequence[tuple[str, object]], source: str) -> None:
        for object_id, value in values:
            element = self._element(object_id)
            if element is not None:
                self._queue.replace(element, value, source)

    async def call(self, namespace: str, name: str, args: Mapping[str, object]) -> FunctionResult:
        command = InvokeFunctionCommand(RequestId(""), namespace, name, dict(args))
        status, value, found = await self._kernel.function_call_request(command)
        message = ": ".join(filter(None, (status.title, status.message)))
        return FunctionResult(value, status.code == "ok", message, found)

    def result_notification(self, call: str, result: FunctionResult) -> bytes:
        status = HumanReadableStatus("ok" if result.ok else "error", None, result.message or None)
        notification = FunctionCallResultNotification(RequestId(call), result.value, status, result.found)
        return encode_json_bytes(notification)


def _ready() -> str:
    """Return the text of the message with which marimo's server begins: no cells, as the notebook is not its."""
    ready = KernelReadyNotification(
        cell_ids=(),
        codes=(),
        names=(),
        layout=None,
        configs=(),
        resumed=False,
        ui_values={},
        last_executed_code={},
        last_execution_time={},
        app_config=_AppConfig(),
        kiosk=False,
        capabilities=KernelCapabilitiesNotification(),
        consumer_capabilities=ConsumerCapabilities.EDITOR,
        auto_instantiated=True,
    )
    return f'{{"op": "{ready.name}", "data": {encode_json_bytes(ready).decode()}}}'
