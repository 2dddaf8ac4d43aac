"""Views in a kernel's process: its sockets are files, and its own thread serves the pages."""

import asyncio
import itertools

import pytest

from tests.unit.viewing.server.view_browser import Browser, Tab

FRAME = """
import time
frame = {f"c{n}": [n * row for row in range(200_000)] for n in range(15)}

def computed(seconds):
    '''Compute for so long; return which part of the time the other threads of the kernel have computed.'''
    begun, own, all_threads = time.monotonic(), time.thread_time(), time.process_time()
    while time.thread_time() - own < seconds:
        sum(range(1000))
    others = time.process_time() - all_threads - (time.thread_time() - own)
    return others / (time.monotonic() - begun)
"""


@pytest.mark.long  # `make bench` has the ratio
def test_a_tab_scrolls_while_a_cell_computes_and_the_cell_is_hardly_slower(lab):
    """Python runs one thread at a time: while the others compute, the cell waits."""
    lab.run("frame", FRAME)
    alone = float(lab.run("alone", "computed(1.0)").text)
    address = lab.run("view", "%marimo view frame").text.split("\n")[0]
    with asyncio.Runner() as browser:
        tab = browser.run(_opened(address))
        running = lab.send("computing", "print('begun', flush=True)\ncomputed(6.0) + 0 * len(frame)")
        lab.wait_for("computing", "begun")
        assert browser.run(_scroll(tab)) > 4
        lab.finish(running)
    assert float(lab.text("computing").split("\n")[-1]) - alone < 0.03


async def _opened(address: str) -> Tab:
    browser = Browser(int(address.split(":")[2].partition("/")[0]))
    page = await browser.visit(address)
    return await browser.connect(page.effective_url.rstrip("/").rpartition("/")[2])


async def _scroll(tab: Tab) -> int:
    """Ask for one screen after another, as soon as the one before is there, until the cell has ended; return how many."""
    for page in itertools.count():
        answer = await tab.ask("rows", start=page * 100, count=100, columns=list(range(15)), version=1)
        if "error" in answer:  # the cell has ended, and the view was brought up to date
            assert answer["error"]["code"] in {"data_changed", "cancelled"}, answer
            return page
        assert answer["rows"][0][1] == page * 100
        if "unsettled" not in answer:
            return page
    raise AssertionError
