"""What pages rely on in marimo's front end beyond its files: names in the text of its modules.

Any release of marimo may change them. Elements then keep their static forms, and `doctor` says which name is gone.
"""

from __future__ import annotations

from typing import Final

from marimo_kernel_bridge.runtime.live.assets import FrontEndFiles

RELIED_ON: Final[dict[str, str]] = {
    "_marimo_private_UIElementRegistry": "the registry of elements, which gets their present values",
    "__MARIMO_MOUNT_CONFIG__": "the configuration that the front end starts with",
    "marimo-filename": "the element without which it does not start",
    "marimo-ui-element": "the element around each element of mo.ui",
    "data-vscode-output-container": "the mark of the place where popovers open",
    "vscodeThemeKind": "the switch of the theme",
    "/api/kernel/set_ui_element_value": "the request with a value that a person sets",
    "/api/kernel/function_call": "the request for a call of an element's function",
    "marimo-value-ready": "the event of an element that a person has set",
    "marimo-ui-value-update": "the message with a value that an element shows",
    "kernel-ready": "the message of a server that is ready",
    "function-call-result": "the message with the result of a call",
    "remove-ui-elements": "the message about elements that begin again",
    "send-ui-element-message": "the message to one element",
}


def missing(files: FrontEndFiles | None = None) -> list[str]:
    """Return what the installed marimo's front end lacks, as readable lines."""
    files = files or FrontEndFiles()
    if fault := files.fault():
        return [fault]
    try:
        text = "\n".join(files.text(name) for name in files.base)
    except OSError as error:
        return [f"a module of its front end imports one that is missing: {error}"]
    return [f"{name} ({meaning})" for name, meaning in RELIED_ON.items() if name not in text]
