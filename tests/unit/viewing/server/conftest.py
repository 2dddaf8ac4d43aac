"""A server of views on this event loop, whose port is real and whose browser is a client in this process."""

from collections.abc import AsyncIterator

import pytest

from marimo_kernel_bridge.viewing.server.serving import ViewServer
from tests.unit.viewing.server.view_browser import Browser


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server() -> AsyncIterator[ViewServer]:
    server = ViewServer()
    yield server
    await server.close()


@pytest.fixture
async def browser(server: ViewServer) -> AsyncIterator[Browser]:
    browser = Browser(server.port)
    yield browser
    browser.close()
