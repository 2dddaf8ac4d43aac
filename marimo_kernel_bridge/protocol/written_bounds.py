"""The bounds of a kernel as people and agents write them: sizes like "2GB", times like "30s", JSON or `name=value, ...`.

What cannot be read is refused with a sentence that says how to write it. `bounds` has the values.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.bounds import (
    COUNTED,
    IN_BYTES,
    IN_SECONDS,
    Bounds,
    Limits,
    Sandbox,
    amount_text,
)

LONGEST: Final = 20_000
"""Characters of one argument."""
_LEAST: Final = {**IN_BYTES, **IN_SECONDS, **COUNTED}
_KINDS: Final = {
    **dict.fromkeys(IN_BYTES, ("size", '"2GB" or "500 MB"')),
    **dict.fromkeys(IN_SECONDS, ("time", '"30s" or "2h"')),
    **dict.fromkeys(COUNTED, ("number", "256")),
}
_SIZE: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,6})?) ?([a-z]{0,3})")
_UNITS: Final = {"": 1, "b": 1} | {
    f"{letter}{rest}": (1024 if rest == "ib" else 1000) ** power
    for power, letter in enumerate("kmgt", 1)
    for rest in ("", "b", "ib")
}
_TIME: Final = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,6})?) ?(ms|min|s|m|h|d)")
_TIMES: Final = re.compile(rf"{_TIME.pattern}(?: ?{_TIME.pattern})*")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_AMOUNT: Final = 40
_LIMITS_EXAMPLE: Final = 'memory=2GB,cell_seconds=30s, or {"memory": "2GB"}'
_SANDBOX_EXAMPLE: Final = 'strict, or network=all,files=read, or {"network": ["pypi.org"]}'
# Made at the import, by one thread: msgspec crashes if two look at a class for the first time.
_SANDBOX: Final = msgspec.json.Decoder(Sandbox)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


def bounds_of(limits: object = None, sandbox: object = None) -> Bounds:
    """Return the bounds that somebody has written. Raises `BridgeError`: bad_request."""
    return Bounds(limits_of(limits), sandbox_of(sandbox))


def limits_of(given: object) -> Limits:
    """Return limits from JSON, from `name=value, ...`, or from an object. Raises `BridgeError`: bad_request."""
    if given is None or given == "":
        return Limits()
    fields = _fields("limits", given, _LIMITS_EXAMPLE)
    return msgspec.convert(
        {name: _amount(name, value) for name, value in fields.items() if value is not None}, Limits
    )


def sandbox_of(given: object) -> Sandbox | None:
    """Return a sandbox from JSON, `name=value, ...`, an object, "strict" or True; None for none. Raises `BridgeError`: bad_request."""
    if given is None or given is False or given == "":
        return None
    if given is True or given == "strict":
        return Sandbox()
    fields = _fields("sandbox", given, _SANDBOX_EXAMPLE)
    if isinstance(given, str) and not _is_json(given):
        fields = {name: _listed(name, text) for name, text in fields.items()}
    try:
        return _SANDBOX.decode(msgspec.json.encode(fields))
    except (ValueError, TypeError, RecursionError) as error:
        raise BridgeError(
            "bad_request", f"The sandbox cannot be read: {error}.", f"Write it such as {_SANDBOX_EXAMPLE}."
        ) from error


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")


def _fields(what: str, given: object, example: str) -> dict[str, Any]:
    """Return the fields of an object, of its JSON, or of `name=value, ...`."""
    if isinstance(given, dict):
        return {str(name): value for name, value in given.items()}
    wrong = BridgeError(
        "bad_request", f"The {what} cannot be read: {str(given)[:100]!r}.", f"Write it such as {example}."
    )
    if not isinstance(given, str) or len(given) > LONGEST:
        raise wrong
    if _is_json(given):
        try:
            return _OBJECT.decode(given)
        except (ValueError, RecursionError):
            raise wrong from None
    pairs = [pair.partition("=") for pair in given.split(",")]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        raise wrong
    return {name.strip(): value.strip() for name, _, value in pairs}


def _listed(name: str, text: str) -> object:
    """Return a value of a sandbox that was written as text; a list has spaces between its parts."""
    if name == "packages":
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    if name in {"writable", "environment"} or (name == "network" and text not in {"none", "all"}):
        return text.split()
    return text


def _amount(name: str, given: object) -> float:
    """Return the value of a limit. Raises `BridgeError`: bad_request."""
    if name not in _LEAST:
        raise BridgeError(
            "bad_request", f"There is no limit {name[:100]!r}.", f"There are {', '.join(_LEAST)}."
        )
    value = _number(name, given)
    kind, example = _KINDS[name]
    if value is None or not 0 < value <= (
        1e9 if name in IN_SECONDS else 1 << 30 if name in COUNTED else 1 << 60
    ):
        raise BridgeError(
            "bad_request", f"{name}: {str(given)[:100]!r} is no {kind}.", f"Write it such as {example}."
        )
    if value < _LEAST[name]:
        raise BridgeError(
            "bad_request",
            f"{name}: {amount_text(name, value)} is less than a kernel needs.",
            f"At least {amount_text(name, _LEAST[name])}.",
        )
    return float(value) if name in IN_SECONDS else int(value)


def _number(name: str, given: object) -> float | None:
    """Return an amount as bytes, seconds or a number; None if it is none."""
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        whole = isinstance(given, int) or (math.isfinite(given) and given == int(given))
        return given if whole or (name in IN_SECONDS and math.isfinite(given)) else None
    text = given.strip().lower() if isinstance(given, str) else ""
    if not text or len(text) > _LONGEST_AMOUNT:
        return None
    if name in IN_BYTES:
        size = _SIZE.fullmatch(text)
        return None if size is None or size[2] not in _UNITS else float(size[1]) * _UNITS[size[2]]
    try:
        return int(text) if name in COUNTED else float(text)
    except ValueError:
        if name in COUNTED or not _TIMES.fullmatch(text):
            return None
        return sum(float(number) * _SECONDS[unit] for number, unit in _TIME.findall(text))


def told_of(limits: str, sandbox: str) -> str:
    """Return in words the bounds that a kernel says it is held to; "" if they cannot be read."""
    try:
        return bounds_of(limits, sandbox).told()
    except BridgeError:  # of another version
        return ""
