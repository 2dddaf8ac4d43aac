"""What a message says of itself is read once, when it arrives."""

from typing import Any

import pytest

from marimo_kernel_bridge.kernel.messaging.jupyter_session import JupyterSession
from marimo_kernel_bridge.kernel.messaging.requests import (
    CellRequest,
    ExecuteRequest,
    LabRequest,
    ReceivedMessage,
)
from marimo_kernel_bridge.protocol.names import METADATA_KEY, Dialect
from tests.unit.kernel.shell_messages import KEY, frames_of, received

CODE = {"code": "x = 1", "silent": False, "store_history": True}


def request_of(content: dict[str, Any], metadata: dict[str, Any]) -> ExecuteRequest | None:
    message = received("execute_request", content, metadata).message
    assert isinstance(message, ReceivedMessage)
    return message.request


def cell_request(content: dict[str, Any], metadata: dict[str, Any]) -> CellRequest:
    request = request_of({**CODE, **content}, metadata)
    assert isinstance(request, CellRequest)
    return request


@pytest.mark.parametrize(
    ("content", "metadata", "dialect"),
    [
        ({"allow_stdin": True}, {"cellId": "5f0e", "deletedCells": []}, "lab"),
        ({"allow_stdin": True}, {"cellId": "vscode-notebook-cell:/n.ipynb#W0"}, "vscode"),
        ({"allow_stdin": False}, {}, "batch"),
        ({"allow_stdin": True}, {}, "terminal"),
        ({}, {}, "terminal"),
        ({"allow_stdin": False}, {METADATA_KEY: {"client": "Claude"}}, "agent"),
        ({"allow_stdin": True}, {"cellId": "5f0e", METADATA_KEY: {"client": "Claude"}}, "agent"),
    ],
)
def test_a_request_for_a_cell_tells_its_front_end(
    content: dict[str, Any], metadata: dict[str, Any], dialect: Dialect
) -> None:
    request = cell_request(content, metadata)
    assert request.address.dialect == dialect
    assert isinstance(request, LabRequest) == (dialect == "lab")
    assert request.notebook_cell_id == metadata.get("cellId")
    assert request.address.parent["msg_id"] == request.msg_id


@pytest.mark.parametrize("hidden", [{"silent": True}, {"store_history": False}])
def test_a_hidden_request_is_for_no_cell(hidden: dict[str, Any]) -> None:
    request = request_of({**CODE, **hidden}, {"cellId": "5f0e", METADATA_KEY: {"client": "Claude"}})
    assert type(request) is ExecuteRequest
    assert (request.code, request.client) == ("x = 1", "Claude")


@pytest.mark.parametrize(
    ("ours", "client", "wants_outcome"),
    [
        ({"client": "Claude", "outcome": True}, "Claude", True),
        ({"client": "", "outcome": 1}, None, False),
        ({"client": 5}, None, False),
        ("Claude", None, False),
        (None, None, False),
    ],
)
def test_what_a_client_says_of_itself_is_taken_only_in_its_own_type(
    ours: object, client: str | None, wants_outcome: bool
) -> None:
    request = cell_request({}, {METADATA_KEY: ours})
    assert (request.client, request.wants_outcome) == (client, wants_outcome)
    assert request.author == (client or "notebook")


@pytest.mark.parametrize(
    ("metadata", "deleted", "sends_bursts"),
    [
        ({"deletedCells": ["a", "b"]}, ("a", "b"), True),
        ({"deletedCells": []}, (), True),
        ({"deletedCells": None}, (), True),
        ({}, None, False),
    ],
)
def test_only_a_front_end_that_names_deleted_cells_sends_bursts(
    metadata: dict[str, Any], deleted: tuple[str, ...] | None, sends_bursts: bool
) -> None:
    request = cell_request({}, metadata)
    assert (request.deleted, request.sends_bursts) == (deleted, sends_bursts)


@pytest.mark.parametrize(
    ("msg_type", "content", "metadata", "refusal"),
    [
        ("execute_request", {}, {}, "`code` is missing or not a str"),
        ("execute_request", {"code": 5}, {}, "`code` is missing or not a str"),
        ("execute_request", {"code": "", "user_expressions": []}, {}, None),
        ("execute_request", {"code": "", "user_expressions": [1]}, {}, "`user_expressions` is not a dict"),
        ("execute_request", {"code": ""}, {"cellId": 5}, "`cellId` is not a string"),
        ("execute_request", {"code": ""}, {"deletedCells": [5]}, "`deletedCells` is not a list of strings"),
        ("execute_request", {"code": ""}, ["a"], "its metadata is not an object"),
        ("execute_request", ["a"], {}, "its content is not an object"),
        ("complete_request", {"code": "x"}, {}, "`cursor_pos` is missing or not a int"),
        ("history_request", {}, {}, None),
    ],
)
def test_what_a_request_lacks_is_said(
    msg_type: str, content: Any, metadata: Any, refusal: str | None
) -> None:
    message = received(msg_type, content, metadata).message
    assert message is not None
    assert message.refusal == refusal
    assert (message.request is not None) == (msg_type == "execute_request" and refusal is None)


def test_a_message_is_read_once_and_handed_to_ipykernel_as_it_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = JupyterSession(key=KEY)
    read: list[bytes] = []
    unpack = session.unpack
    monkeypatch.setattr(session, "unpack", lambda part: read.append(part) or unpack(part))
    frames = session.receive(frames_of("execute_request", CODE))
    assert len(read) == 4
    idents, parts = session.feed_identities(frames, copy=False)
    assert idents == [b"client"]
    assert session.deserialize(parts, content=False, copy=False) is frames.message
    assert session.deserialize(parts, content=True, copy=False) is frames.message
    assert len(read) == 4


def test_a_message_that_was_sent_twice_is_refused_the_second_time() -> None:
    session = JupyterSession(key=KEY)
    sent = frames_of("execute_request", CODE)
    assert session.receive(sent).message is not None
    again = session.receive(sent)
    assert again.message is None
    with pytest.raises(ValueError, match="Duplicate Signature"):
        session.deserialize(session.feed_identities(again, copy=False)[1], copy=False)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda frames: frames[:3],
        lambda frames: [frame for frame in frames if bytes(frame) != b"<IDS|MSG>"],
        lambda frames: [*frames[:-1], type(frames[0])(b"{")],
        lambda _frames: [],
    ],
)
def test_a_malformed_message_is_kept_with_its_error(spoil: Any) -> None:
    session = JupyterSession(key=KEY)
    frames = session.receive(spoil(frames_of("execute_request", CODE)))
    assert (frames.message, frames.cell_request, frames.msg_id, frames.session) == (None, None, None, None)
    with pytest.raises(ValueError, match=r"."):
        session.deserialize(session.feed_identities(frames, copy=False)[1], copy=False)


def test_a_comm_message_goes_without_the_subshell_that_ipykernel_would_refuse() -> None:
    message = received("comm_msg", {"comm_id": "w"}, subshell_id="s").message
    assert message is not None
    assert message.names_subshell
    assert "subshell_id" not in message["header"]


@pytest.mark.parametrize(
    ("data", "sets"),
    [
        ({"method": "update", "state": {"value": 3}}, True),  # a widget of Jupyter's
        ({"method": "custom", "content": {"type": "set", "values": []}}, True),
        ({"type": "set", "values": []}, True),  # a page with our extension
        ({"type": "call"}, False),
        ({"type": "get"}, False),
        ({"method": "custom", "content": {"event": "click"}}, False),
        ({"method": "custom", "content": ["set"]}, False),
        ("set", False),
        (None, False),
    ],
)
def test_messages_that_only_set_an_element_or_a_widget_are_known(data: object, *, sets: bool) -> None:
    assert received("comm_msg", {"comm_id": "c", "data": data}).sets_value is sets
    assert not received("comm_open", {"comm_id": "c", "data": data}).sets_value
