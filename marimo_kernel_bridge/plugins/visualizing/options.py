"""The options of a picture, checked."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from marimo_kernel_bridge.plugins import How, Refused

Mark = Literal["bar", "line", "area", "point", "rect", "boxplot", "tick"]
_Name = Annotated[str, Meta(max_length=200)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the caller chooses; what is left out follows from the data."""

    x: _Name | None = None
    y: _Name | None = None
    color: _Name | None = None
    mark: Mark | None = None
    aggregate: How | Literal["none"] | None = None
    title: Annotated[str, Meta(max_length=200)] = ""
    rows: Annotated[int, Meta(ge=1, le=5000)] | None = None
    columns: Annotated[tuple[_Name, ...], Meta(max_length=20)] = ()
    source: _Name | None = None
    target: _Name | None = None
    spec_data: bool = False

    @property
    def chosen(self) -> bool:
        """Whether a chart is described."""
        return bool(self.x or self.y or self.color or self.mark or self.aggregate)


_DECODER: Final = msgspec.json.Decoder(Options)


def parsed(options: dict[str, Any]) -> Options:
    """Return the options of a call. Raises `Refused`."""
    try:
        return _DECODER.decode(msgspec.json.encode(options))
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        names = ", ".join(field.name for field in msgspec.structs.fields(Options))
        raise Refused(f"options: {error}.", f"They are {names}.") from error
