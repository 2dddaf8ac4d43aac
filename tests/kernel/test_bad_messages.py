"""Messages that are wrong on the wire: the kernel survives each, and answers whatever has a header it can answer.

Stock ipykernel logs most of these and never answers, so a client waits for ever.
"""

import json

import pytest
from front_end import BOUND, FrontEnd

from marimo_kernel_bridge.protocol import messages as wire

CHANNELS = ("shell", "control")


def frames(front_end: FrontEnd, msg_type: str, content: object = None, **parts: object) -> list[bytes]:
    """A signed message as it goes over the socket; `parts` replaces `metadata` or fields of the `header`."""
    session = front_end.client.session
    message = session.msg(msg_type, {})
    message["content"] = json.dumps({} if content is None else content).encode()
    message["metadata"] = parts.get("metadata", {})
    message["header"] |= parts.get("header", {})
    return session.serialize(message)


def send(front_end: FrontEnd, channel: str, raw: list[bytes]) -> None:
    getattr(front_end.client, f"{channel}_channel").socket.send_multipart(raw)


def assert_responsive(front_end: FrontEnd, after: str = "") -> None:
    """A cell, a hidden request and a control request are answered."""
    assert front_end.run("probe", "probe = 40 + 2\nprobe").text == "42", after
    assert front_end.run(None, "probe", store_history=False).text == "42", after
    assert front_end.ask(wire.Describe())["status"] == "ok", after


def signed(front_end: FrontEnd, parts: list[bytes]) -> list[bytes]:
    return [b"<IDS|MSG>", front_end.client.session.sign(parts), *parts]


def header(**fields: object) -> bytes:
    known = {"msg_id": "m", "msg_type": "execute_request", "session": "s", "username": "u", "version": "5.3"}
    return json.dumps(known | fields).encode()


BROKEN = {
    "no frame but the delimiter": lambda _: [b"<IDS|MSG>"],
    "no delimiter": lambda _: [b"hello"],
    "an empty frame": lambda _: [b""],
    "truncated after the header": lambda front_end: frames(front_end, "execute_request")[:3],
    "no content": lambda front_end: frames(front_end, "execute_request", {"code": "1"})[:-1],
    "a bad signature": lambda front_end: [
        b"<IDS|MSG>",
        b"0" * 64,
        *frames(front_end, "execute_request", {"code": "bad = 1"})[2:],
    ],
    "no signature": lambda front_end: [b"<IDS|MSG>", b"", *frames(front_end, "execute_request")[2:]],
    "content that is not JSON": lambda front_end: signed(
        front_end, [header(), b"{}", b"{}", b"\xff{no json"]
    ),
    "a header that is not JSON": lambda front_end: signed(front_end, [b"nonsense", b"{}", b"{}", b"{}"]),
    "a header that is a list": lambda front_end: signed(front_end, [b"[]", b"{}", b"{}", b"{}"]),
    "a header without a message id": lambda front_end: signed(
        front_end, [b'{"msg_type": "execute_request"}', b"{}", b"{}", b"{}"]
    ),
    "a subshell's header that is a list": lambda front_end: signed(
        front_end, [b'["subshell_id"]', b"{}", b"{}", b"{}"]
    ),
    "a subshell's header without a message id": lambda front_end: signed(
        front_end, [b'{"msg_type": "execute_request", "subshell_id": "x"}', b"{}", b"{}", b"{}"]
    ),
    "a comm message to a subshell without content": lambda front_end: signed(
        front_end, [header(msg_type="comm_msg", subshell_id="x"), b"{}", b"{}", b"[5"]
    ),
    "a message type that is a list": lambda front_end: signed(
        front_end, [header(msg_type=["execute_request"]), b"{}", b"{}", b"{}"]
    ),
    "100 MB that nobody signed": lambda _: [b"<IDS|MSG>", b"0" * 64, b"x" * 100_000_000],
}


@pytest.mark.parametrize("channel", CHANNELS)
def test_frames_that_are_no_message_are_dropped_and_the_next_message_is_answered(lab, channel):
    lab.run("one", "a = 1")
    for what, make in BROKEN.items():
        send(lab, channel, make(lab))
        send(lab, channel, frames(lab, "no_such_message"))
        assert_responsive(lab, what)
    assert lab.run(None, "a", store_history=False).text == "1"


MALFORMED = {
    "shell": [
        ("execute_request", {}),
        ("execute_request", {"code": 5}),
        ("execute_request", {"code": None, "silent": True}),
        ("execute_request", []),
        ("execute_request", {"code": "1", "user_expressions": 3}),
        ("complete_request", {}),
        ("complete_request", {"code": "zi", "cursor_pos": "two"}),
        ("inspect_request", {"code": "zip"}),
        ("history_request", {}),
        ("is_complete_request", {}),
        ("comm_info_request", "all"),
        ("shutdown_request", {"restart": "no"}),
        ("no_such_request", {}),
        (wire.REQUEST, []),
    ],
    "control": [
        ("shutdown_request", {}),
        ("delete_subshell_request", {"subshell_id": "x"}),
        ("delete_subshell_request", {}),
        ("no_such_request", {}),
        (wire.REQUEST, {"op": "no such operation"}),
    ],
}


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_request_that_cannot_be_handled_gets_an_error_reply(lab, channel):
    socket = getattr(lab.client, f"{channel}_channel")
    for msg_type, content in MALFORMED[channel]:
        send(lab, channel, frames(lab, msg_type, content, header={"msg_id": f"{msg_type} {content}"}))
        reply = lab._reply(f"{msg_type} {content}", socket)
        assert reply["msg_type"] == msg_type.replace("request", "reply")
        assert reply["content"]["status"] == "error"
        assert reply["content"]["evalue"]
        if (channel, msg_type) != ("control", wire.REQUEST):  # no status: Lab would take it for the cells'
            lab.wait_idle(f"{msg_type} {content}")
    assert_responsive(lab)


def test_metadata_of_the_wrong_shape_is_refused(lab):
    lab.run("one", "a = 1")
    for metadata in (
        [],
        "x",
        {"cellId": 5},
        {"cellId": ["a"]},
        {"deletedCells": "one"},
        {"deletedCells": [["one"]]},
    ):
        send(lab, "shell", frames(lab, "execute_request", {"code": "b = 2"}, metadata=metadata))
        assert lab.client.get_shell_msg(timeout=BOUND)["content"]["status"] == "error", metadata
    assert lab.run("two", "'b' in globals(), a").text == "(False, 1)"


def test_a_request_to_a_subshell_gets_an_error_reply(lab):
    raw = frames(lab, "execute_request", {"code": "a = 1"}, header={"subshell_id": "gone"})
    send(lab, "shell", raw)
    content = lab.client.get_shell_msg(timeout=BOUND)["content"]
    assert "subshell" in content["evalue"]
    assert lab.run(None, "'a' in globals()", store_history=False).text == "False"


def test_a_malformed_request_in_the_queue_does_no_harm_to_the_others(lab):
    lab.run("one", "a = 1")
    lab.run("two", "print(a)")
    pending = [lab.send("slow", "import time; time.sleep(0.2)"), lab.send("one", "a = 2")]
    for content in ([], {"code": 5}, {}):
        for metadata in ([], {"cellId": ["x"]}, {}):
            send(lab, "shell", frames(lab, "execute_request", content, metadata=metadata))
    pending.append(lab.send("three", "print('three', a)"))
    assert all(lab.finish(msg_id).ok for msg_id in pending)
    assert (lab.text("two"), lab.text("three")) == ("2", "three 2")


def test_a_replayed_message_runs_once(lab):
    lab.run("runs", "runs = []")
    raw = frames(lab, "execute_request", {"code": "runs.append(1)"})
    for _ in range(3):
        send(lab, "shell", raw)
    assert lab.run(None, "runs", store_history=False).text == "[1]"


def test_comm_messages_to_nobody_are_dropped(lab):
    for msg_type, content in [
        ("comm_open", {}),
        ("comm_open", {"comm_id": "a", "target_name": "nobody", "data": {}}),
        ("comm_msg", {"comm_id": "nobody", "data": {}}),
        ("comm_msg", []),
        ("comm_close", {}),
    ]:
        send(lab, "shell", frames(lab, msg_type, content))
    assert_responsive(lab)


def test_a_message_of_100_megabytes_is_handled(lab):
    comm = "from comm import create_comm\nbig = create_comm(target_name='t')\nbig.on_msg(lambda m: got.append(len(m['buffers'][0])))\ngot = []\nbig.comm_id"
    comm_id = lab.run("one", comm).text.strip("'")
    raw = frames(lab, "comm_msg", {"comm_id": comm_id, "data": {}})
    send(lab, "shell", [*raw, b"x" * 100_000_000])
    assert lab.run(None, "got", store_history=False).text == "[100000000]"
