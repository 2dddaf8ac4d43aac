"""The values of UI elements and of `mo.state` in variables, taken and given back as they were: for checkpoints.

Neither runs callbacks or readers. Which cells make the elements, and when they run, is for the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from marimo._plugins.ui._core.ui_element import UIElement
from marimo._runtime.state import SetFunctor, State

from marimo_kernel_bridge.inspecting.value_text import bases, instance_dict
from marimo_kernel_bridge.protocol.output_log import error_text
from marimo_kernel_bridge.runtime.interface import LiveValue

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACTING: Final = frozenset({"marimo-button", "marimo-download", "marimo-lazy", "marimo-routes"})
"""Elements whose value is an action or that have none: nothing of them is kept."""


def live_values(names: Mapping[str, object]) -> dict[str, LiveValue]:
    """Return the UI elements, states and setters that names hold. Runs no code of the user's classes."""
    found = ((name, _live_value(value)) for name, value in list(names.items()))
    return {name: value for name, value in found if value is not None}


def _live_value(value: object) -> LiveValue | None:
    kinds = bases(type(value))
    if any(kind is UIElement for kind in kinds):
        parts = instance_dict(value)
        acts = parts["_args"].component_name in _ACTING
        return LiveValue("element", None if acts else parts["_value_frontend"])
    if any(kind is State for kind in kinds):
        return LiveValue("state", instance_dict(value)["_value"])
    return LiveValue("setter") if any(kind is SetFunctor for kind in kinds) else None


def set_live_values(
    names: Mapping[str, object], values: Mapping[str, object]
) -> tuple[dict[str, str], list[UIElement[Any, Any]]]:
    """Give elements and states their values. Return the reasons of those that did not take them, and the elements that did."""
    failed: dict[str, str] = {}
    elements: list[UIElement[Any, Any]] = []
    for name, value in values.items():
        holder = names.get(name)
        if isinstance(holder, State):
            holder._value = value
        elif not isinstance(holder, UIElement):
            failed[name] = "is no UI element any more"
        elif value is not None and holder._args.component_name not in _ACTING:
            try:
                holder._update_value(value)
            except Exception as error:  # noqa: BLE001  # options that are gone, or a converter of the user's
                failed[name] = f"does not take its value: {error_text(error)}"
            else:
                elements.append(holder)
    return failed, elements
