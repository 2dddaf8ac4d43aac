"""Which hosts a sandbox may reach: a list of names, addresses and `*.` patterns, each with a port or without. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_PORTS: Final = frozenset({80, 443})
"""What an entry without a port allows."""


def allows(listed: Iterable[str], host: str, port: int) -> bool:
    """Return whether a host may be reached at a port."""
    name = _plain(host)
    return any(_is_meant(entry, name, port) for entry in listed)


def may_be_reached_at(listed: Iterable[str], host: str, address: str) -> bool:
    """Return whether a name may lead to an address.

    A name on the list may be another's to point somewhere: to this machine, or to what only its neighbours reach. That is
    allowed only where the list names the address itself, or this machine.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(found, "ipv4_mapped", None) or found
    special = inner.is_loopback or inner.is_link_local or inner.is_multicast or inner.is_unspecified
    if not special:
        return True
    named = {_split(entry)[0] for entry in listed}
    return _plain(host) in named and (_plain(host) == "localhost" or _is_address(host))


def _is_meant(entry: str, name: str, port: int) -> bool:
    listed, listed_port = _split(entry)
    if port not in (_PORTS if listed_port is None else {listed_port}):
        return False
    if listed.startswith("*."):
        return name.endswith(listed[1:]) and not _is_address(name)
    return name == listed


def _split(entry: str) -> tuple[str, int | None]:
    """Return the host and the port of an entry: `example.org`, `example.org:8080`, `[::1]:80`, `::1`."""
    host, colon, port = entry.strip().rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.startswith("[")):
        return _plain(host), int(port)
    return _plain(entry.strip()), None


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(_plain(host))
    except ValueError:
        return False
    return True
