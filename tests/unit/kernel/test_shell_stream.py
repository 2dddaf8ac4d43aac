"""The shell channel's socket and its subshells: real sockets and threads in this process, and no kernel."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import zmq
from ipykernel.subshell_manager import UnknownSubshellError
from tornado.ioloop import IOLoop
from zmq.eventloop.zmqstream import ZMQStream

from marimo_kernel_bridge.kernel.messaging.jupyter_session import JupyterSession
from marimo_kernel_bridge.kernel.messaging.shell_stream import ShellStream
from marimo_kernel_bridge.kernel.messaging.subshells import Subshells
from tests.unit.kernel.shell_messages import KEY, frames_of, received

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marimo_kernel_bridge.kernel.messaging.requests import ReceivedFrames, ReceivedMessage

BOUND = 10.0


class Channel:
    """Both ends of a shell channel, and the listener at the kernel's end."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.client = self.context.socket(zmq.DEALER)
        self.client.identity = b"client"
        self.client.rcvtimeo = int(BOUND * 1000)
        router: zmq.Socket[bytes] = self.context.socket(zmq.ROUTER)
        router.bind("inproc://shell-channel")
        self.client.connect("inproc://shell-channel")
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.io_loop = IOLoop.current()
        self.stream = ShellStream.replacing(ZMQStream(router, self.io_loop))
        self.received: list[str | None] = []
        self.read_by: list[str] = []
        self.taken: list[str | None] = []
        self.takes: Callable[[ReceivedFrames], bool] = lambda _: False
        self._routed = threading.Condition()
        self.stream.listen(self)

    # The listener

    def read(self, frames: list[Any]) -> ReceivedFrames:
        return JupyterSession(key=KEY).receive(frames)

    def route(self, frames: ReceivedFrames) -> bool:
        taken = self.takes(frames)
        if taken:
            self.taken.append(frames.msg_id)
        with self._routed:
            self.read_by.append(threading.current_thread().name)
            self._routed.notify_all()
        return taken

    def receive(self, frames: ReceivedFrames) -> None:
        self.received.append(frames.msg_id)

    # The client

    def send(self, *names: str, **header: Any) -> None:
        for name in names:
            frames = frames_of("kernel_info_request", {}, msg_id=name, **header)
            self.client.send_multipart([frame.bytes for frame in frames[1:]])

    def run_until(self, done: Callable[[], object]) -> None:
        async def wait() -> None:
            async with asyncio.timeout(BOUND):
                while not done():  # noqa: ASYNC110  # nothing else tells of it
                    await asyncio.sleep(0.001)

        self.loop.run_until_complete(wait())

    def wait_for_reads(self, count: int) -> None:
        """Wait while the main thread's loop stands still, as it does while a cell runs."""
        with self._routed:
            assert self._routed.wait_for(lambda: len(self.read_by) >= count, BOUND)

    def close(self) -> None:
        self.stream.close()
        self.client.close(0)
        self.io_loop.close()
        asyncio.set_event_loop(None)
        self.context.term()


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel()
    yield channel
    channel.close()


def test_messages_reach_the_main_thread_in_order(channel: Channel) -> None:
    names = [f"m{number}" for number in range(20)]
    channel.send(*names)
    channel.run_until(lambda: len(channel.received) == 20)
    assert channel.received == names
    assert set(channel.read_by) == {"MainThread"}


def test_what_the_listener_takes_does_not_reach_the_main_thread(channel: Channel) -> None:
    channel.takes = lambda frames: frames.msg_id == "theirs"
    channel.send("theirs", "ours")
    channel.run_until(lambda: channel.received)
    assert (channel.taken, channel.received) == (["theirs"], ["ours"])


def test_a_reader_reads_while_the_main_thread_runs_a_cell(channel: Channel) -> None:
    channel.takes = lambda frames: frames.msg_id == "theirs"
    channel.stream.read_beside(wanted=True)
    channel.send("first", "theirs", "second")
    channel.wait_for_reads(3)
    assert set(channel.read_by) == {"Shell reader"}
    assert channel.received == []
    channel.run_until(lambda: len(channel.received) == 2)
    assert (channel.taken, channel.received) == (["theirs"], ["first", "second"])


def test_the_order_is_kept_when_the_reader_comes_and_goes(channel: Channel) -> None:
    channel.send("a")
    channel.stream.read_beside(wanted=True)
    channel.stream.read_beside(wanted=True)
    channel.send("b")
    channel.wait_for_reads(2)
    channel.stream.read_beside(wanted=False)
    channel.stream.read_beside(wanted=False)
    channel.send("c")
    channel.run_until(lambda: len(channel.received) == 3)
    assert channel.received == ["a", "b", "c"]
    assert "Shell reader" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("beside", [False, True])
def test_all_that_has_arrived_is_handed_over_at_once(channel: Channel, *, beside: bool) -> None:
    channel.stream.read_beside(wanted=beside)
    channel.send("a", "b")
    if beside:
        channel.wait_for_reads(2)
    channel.stream.flush()
    assert channel.received == ["a", "b"]


@pytest.mark.parametrize("beside", [False, True])
def test_any_thread_may_reply_and_takes_no_message_away(channel: Channel, *, beside: bool) -> None:
    channel.stream.read_beside(wanted=beside)

    def reply() -> None:
        for number in range(50):
            channel.stream.send_multipart([b"client", str(number).encode()])

    threads = [threading.Thread(target=reply) for _ in range(3)]
    for thread in threads:
        thread.start()
    channel.send(*(f"m{number}" for number in range(20)))
    for thread in threads:
        thread.join(BOUND)
    channel.run_until(lambda: len(channel.received) == 20)
    assert channel.received == [f"m{number}" for number in range(20)]
    replies = [int(channel.client.recv_multipart()[0]) for _ in range(150)]
    assert sorted(replies) == sorted([*range(50)] * 3)


def test_event_loops_of_guis_watch_what_wakes_the_main_thread(channel: Channel) -> None:
    channels_own = channel.stream.getsockopt(zmq.FD)
    channel.stream.read_beside(wanted=True)
    assert channel.stream.getsockopt(zmq.FD) != channels_own
    assert channel.stream.getsockopt(zmq.TYPE) == zmq.ROUTER
    channel.stream.read_beside(wanted=False)
    assert channel.stream.getsockopt(zmq.FD) == channels_own


# Subshells


class Handler:
    """Handles the messages of subshells, each as long as the test wants."""

    def __init__(self) -> None:
        self.handled: list[tuple[str, str | None, bool]] = []
        """The message's id, the subshell of the thread, and whether it was aborted."""
        self.held: dict[str, threading.Event] = {}
        self.unknown: list[str] = []
        self.subshells: Subshells

    async def handle(self, subshell_id: str, frames: ReceivedFrames) -> None:
        msg_id = str(frames.msg_id)
        async with self.subshells.get_subshell_asyncio_lock(subshell_id):
            self.subshells.dequeue(subshell_id, frames)
            if msg_id in self.held:
                await asyncio.to_thread(self.held[msg_id].wait, BOUND)
            if msg_id == "fails":
                self.subshells.note_waiting()
                self.subshells.abort(subshell_id, within=0.0)
            thread = threading.current_thread().name.removeprefix("subshell-")
            aborting = self.subshells.get_subshell_aborting(subshell_id)
            self.handled.append((msg_id, thread, aborting))

    def reply_unknown(self, _ident: Any, message: ReceivedMessage, error: UnknownSubshellError) -> None:
        self.unknown.append(f"{message['header']['msg_id']}: {error}".replace('"', ""))


class Comm:
    """A comm on which code of a subshell waits."""

    def __init__(self, subshell_id: str) -> None:
        self._subshell_id = subshell_id

    def _reply_subshell_for(self, _data: Any, _buffers: Any) -> str:
        return self._subshell_id


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def comms() -> dict[str, Any]:
    return {}


@pytest.fixture
def subshells(channel: Channel, handler: Handler, comms: dict[str, Any]) -> Iterator[Subshells]:
    session = JupyterSession(key=KEY)
    subshells = Subshells(channel.stream, session, handler.handle, handler.reply_unknown, comms)
    handler.subshells = subshells
    channel.takes = subshells.route
    yield subshells
    subshells.close()


def thread_of(subshell: str) -> threading.Thread:
    (thread,) = (each for each in threading.enumerate() if each.name == f"subshell-{subshell}")
    return thread


def test_a_subshell_handles_its_messages_in_its_thread_while_the_main_thread_runs_a_cell(
    channel: Channel, handler: Handler, subshells: Subshells
) -> None:
    subshell = subshells.create()
    channel.send("a", "b", subshell_id=subshell)
    channel.send("ours")
    channel.wait_for_reads(3)
    channel.run_until(lambda: len(handler.handled) == 2 and channel.received)
    assert handler.handled == [("a", subshell, False), ("b", subshell, False)]
    assert channel.received == ["ours"]


def test_a_message_for_no_subshell_is_answered_as_such(
    channel: Channel, handler: Handler, subshells: Subshells
) -> None:
    subshells.create()
    channel.send("lost", subshell_id="nosuch")
    channel.send("odd", subshell_id=3)
    channel.send("ours", subshell_id=None)
    channel.run_until(lambda: channel.received)
    assert handler.unknown == ["lost: Unknown subshell_id 'nosuch'", "odd: Unknown subshell_id 3"]
    assert channel.received == ["ours"]


def test_a_deleted_subshell_answers_what_it_had_received(
    channel: Channel, handler: Handler, subshells: Subshells
) -> None:
    subshell = subshells.create()
    handler.held["a"] = threading.Event()
    channel.send("a", "b", subshell_id=subshell)
    channel.wait_for_reads(2)
    thread = thread_of(subshell)
    subshells.delete(subshell)
    channel.send("late", subshell_id=subshell)
    channel.run_until(lambda: handler.unknown or channel.received)
    handler.held["a"].set()
    thread.join(BOUND)
    assert not thread.is_alive()
    assert [msg_id for msg_id, _, _ in handler.handled] == ["a", "b"]
    assert handler.unknown == [f"late: Unknown subshell_id {subshell!r}"]


def test_an_error_aborts_what_waits_in_its_subshell_alone(
    channel: Channel, handler: Handler, subshells: Subshells
) -> None:
    failing, other = subshells.create(), subshells.create()
    handler.held["fails"] = threading.Event()
    channel.send("fails", "next", subshell_id=failing)
    channel.send("beside", subshell_id=other)
    channel.wait_for_reads(3)
    handler.held["fails"].set()
    channel.run_until(lambda: len(handler.handled) == 3)
    assert {msg_id: aborting for msg_id, _, aborting in handler.handled} == {
        "fails": False,
        "next": True,
        "beside": False,
    }


def test_comm_messages_go_to_the_main_thread_unless_a_subshell_s_code_waits_for_them(
    handler: Handler, subshells: Subshells, comms: dict[str, Any]
) -> None:
    subshell = subshells.create()
    comms["waiting"], comms["gone"] = Comm(subshell), Comm("nosuch")
    routed = {
        comm_id: subshells.route(
            received("comm_msg", {"comm_id": comm_id, "data": {}}, msg_id=comm_id, subshell_id=subshell)
        )
        for comm_id in ("waiting", "gone", "unknown")
    }
    assert routed == {"waiting": True, "gone": False, "unknown": False}
    assert not subshells.route(received("comm_msg", [], subshell_id=subshell))
    thread = thread_of(subshell)
    subshells.close()
    thread.join(BOUND)
    assert [msg_id for msg_id, _, _ in handler.handled] == ["waiting"]


def test_threads_are_told_apart(subshells: Subshells) -> None:
    first, second = subshells.create(), subshells.create()
    idents = {thread.name: thread.ident for thread in threading.enumerate()}
    for subshell in (first, second):
        assert subshells.subshell_id_from_thread_id(idents[f"subshell-{subshell}"] or 0) == subshell
    assert subshells.subshell_id_from_thread_id(threading.get_ident()) is None
    with pytest.raises(RuntimeError, match="no subshell"):
        subshells.subshell_id_from_thread_id(-1)
    with pytest.raises(UnknownSubshellError):
        subshells.get_subshell_asyncio_lock("nosuch")


def test_subshells_are_made_listed_and_ended_by_requests(channel: Channel, subshells: Subshells) -> None:
    def ask(verb: str, **content: Any) -> dict[str, Any]:
        request = received(f"{verb}_subshell_request", content)
        subshells.handlers[f"{verb}_subshell_request"](channel.stream, [b"client"], request.message)  # type: ignore[arg-type]  # it is well-formed
        session = JupyterSession(key=KEY)
        _, frames = session.feed_identities(channel.client.recv_multipart())
        reply = session.deserialize(frames)
        assert reply["msg_type"] == f"{verb}_subshell_reply"
        return dict(reply["content"])

    made = ask("create")["subshell_id"]
    assert ask("list") == {"status": "ok", "subshell_id": [made]}
    assert ask("delete", subshell_id=made) == {"status": "ok"}
    assert ask("list")["subshell_id"] == []
    again = ask("delete", subshell_id=made)
    assert (again["status"], again["ename"], made in again["evalue"]) == (
        "error",
        "UnknownSubshellError",
        True,
    )


def test_guis_are_told_the_socket_that_requests_to_the_main_thread_come_through(
    channel: Channel, subshells: Subshells
) -> None:
    assert subshells.get_shell_channel_to_subshell_pair(None).to_stream is channel.stream
    assert subshells.get_subshell_to_shell_channel_socket(None) is channel.stream
