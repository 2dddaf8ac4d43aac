"""Streams send all that is written, and make nobody wait where nothing was."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from ipykernel.iostream import IOPubThread
from jupyter_client.session import Session

from marimo_kernel_bridge.kernel.messaging.output_streams import CellStream


class RecordingSession(Session):
    """Keeps texts in place of sending them; `gate` holds a send up."""

    def __init__(self) -> None:
        super().__init__(key=b"")
        self.texts: list[str] = []
        self.begun, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def send(self, _stream: object, msg: Any, **_options: object) -> None:  # type: ignore[override]
        self.begun.set()
        assert self.gate.wait(60)
        self.texts.append(msg["content"]["text"])


@pytest.fixture
def session() -> RecordingSession:
    return RecordingSession()


@pytest.fixture(scope="module")
def sender() -> Iterator[IOPubThread]:
    context = zmq.Context()
    thread = IOPubThread(context.socket(zmq.PUB))
    thread.start()
    yield thread
    thread.stop()
    thread.close()
    context.term()


@pytest.fixture
def stream(session: RecordingSession, sender: IOPubThread) -> Iterator[CellStream]:
    yield CellStream(session, sender, "stdout", watchfd=False)
    session.gate.set()


@pytest.fixture
def schedules(stream: CellStream, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the thread that sends is asked to do."""
    asked, schedule = [], stream.pub_thread.schedule
    monkeypatch.setattr(stream.pub_thread, "schedule", lambda work: asked.append(work) or schedule(work))
    return asked


def test_what_is_written_is_sent_when_flush_returns(stream: CellStream, session: RecordingSession) -> None:
    for number in range(200):
        print(number, file=stream)
        stream.flush()
        assert "".join(session.texts).endswith(f"{number}\n")


def test_flush_asks_for_nothing_where_nothing_was_written(
    stream: CellStream, session: RecordingSession, schedules: list[object]
) -> None:
    stream.flush()
    assert schedules == []
    stream.write("text")
    stream.flush()
    before = len(schedules)
    for _ in range(10):
        stream.flush()
    assert (len(schedules) - before, session.texts) == (0, ["text"])


def test_flush_waits_for_a_text_that_another_flush_is_sending(
    stream: CellStream, session: RecordingSession
) -> None:
    session.gate.clear()
    stream.write("slow")
    first = threading.Thread(target=stream.flush)
    first.start()
    assert session.begun.wait(60)
    second_done = threading.Event()
    second = threading.Thread(target=lambda: (stream.flush(), second_done.set()))
    second.start()
    assert not second_done.wait(0.1)
    session.gate.set()
    assert second_done.wait(60)
    assert session.texts == ["slow"]
    first.join()
    second.join()


def test_many_threads_lose_nothing(stream: CellStream, session: RecordingSession) -> None:
    def write(letter: str) -> None:
        for _ in range(300):
            stream.write(letter)
            stream.flush()

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stream.flush()
    text = "".join(session.texts)
    assert [text.count(letter) for letter in "abcd"] == [300] * 4


def test_a_stream_was_used_if_something_was_sent_or_waits(stream: CellStream) -> None:
    assert not stream.was_used()
    stream.write("waits")
    assert stream.was_used()
    stream.flush()
    assert stream.was_used()
    assert not stream.was_used()
