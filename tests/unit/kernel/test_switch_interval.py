"""The thread that answers waits less for the one that computes, while requests come, and only then."""

import asyncio
import sys
from collections.abc import Iterator

import pytest

from marimo_kernel_bridge.kernel.messaging.switch_interval import ShortSwitchInterval


@pytest.fixture
def interval() -> Iterator[float]:
    """Python's own, whatever a test makes of it."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield 0.005
    sys.setswitchinterval(usual)


async def restored(switches: ShortSwitchInterval) -> None:
    """Wait until it has given the interval back: timers of a loop keep their order."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    assert switches._end is not None
    loop.call_at(switches._end.when() + 0.001, over.set_result, None)
    await over


def test_the_interval_is_short_from_the_first_request_on_and_as_before_some_time_after_the_last(
    interval: float,
) -> None:
    async def requests() -> None:
        switches = ShortSwitchInterval(linger=0.02)
        switches.keep()
        first = switches._end
        switches.keep()
        assert sys.getswitchinterval() == 0.001
        assert first is not None
        assert first.cancelled()
        await restored(switches)
        assert sys.getswitchinterval() == interval
        switches.keep()
        assert sys.getswitchinterval() == 0.001
        await restored(switches)

    asyncio.run(requests())
    assert sys.getswitchinterval() == interval


@pytest.mark.parametrize("chosen", [0.0001, 0.05])
def test_what_user_code_chooses_meanwhile_stays(interval: float, chosen: float) -> None:
    async def request() -> None:
        switches = ShortSwitchInterval(linger=0)
        switches.keep()
        sys.setswitchinterval(chosen)
        await restored(switches)

    asyncio.run(request())
    assert sys.getswitchinterval() == pytest.approx(chosen)


def test_a_shorter_interval_is_left_alone(interval: float) -> None:
    async def request() -> None:
        switches = ShortSwitchInterval(linger=0)
        sys.setswitchinterval(0.0005)
        switches.keep()
        assert sys.getswitchinterval() == pytest.approx(0.0005)
        await restored(switches)

    asyncio.run(request())
    assert sys.getswitchinterval() == pytest.approx(0.0005)
