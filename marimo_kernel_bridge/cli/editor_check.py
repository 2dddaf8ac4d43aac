"""Whether a kernel opens in marimo's own editor: `%marimo open` is run, and the page of its address fetched."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.lines import split_lines

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.front_end import FrontEnd

_ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:\d+/\?[\w=&.~-]+")
_PAGE: Final = "<marimo-filename"
_BOUND: Final = 60.0  # seconds
_LARGEST: Final = 10_000_000  # bytes


async def state(person: FrontEnd) -> tuple[Literal["ok", "FAILED"], str]:
    """Return whether the editor opens, and how or why not."""
    try:
        shown = (await person.run("editor", "%marimo open")).text
    except BridgeError as error:
        return "FAILED", str(error)
    address = _ADDRESS.search(shown)
    if address is None:
        lines = split_lines(shown.strip()) or ["nothing"]
        return "FAILED", f"`%marimo open` shows no address, but: {lines[-1]}"
    try:
        page = await asyncio.to_thread(_page, address[0])
    except OSError as error:
        return "FAILED", f"the address that `%marimo open` shows does not answer: {error}"
    if _PAGE not in page:
        return "FAILED", "the address that `%marimo open` shows is not that of marimo's editor"
    return "ok", "%marimo open shows an address, which opens marimo's editor on the kernel"


def _page(address: str) -> str:
    """Return the page at an address on this machine, which sets a cookie first."""
    direct = urllib.request.ProxyHandler({})
    opener = urllib.request.build_opener(direct, urllib.request.HTTPCookieProcessor(CookieJar()))
    with opener.open(address, timeout=_BOUND) as response:
        content: bytes = response.read(_LARGEST)
    return content.decode("utf-8", "replace")
