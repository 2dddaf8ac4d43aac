"""Tool answers that MCP clients would not take over HTTP are made to fit."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.size_limit import MAX_ANSWER_BYTES, fit
from marimo_kernel_bridge.mcp_server.guard import _require_size


def answer(text: str = "", images: Sequence[str] = ()) -> dict[str, Any]:
    pictures = [{"type": "image", "data": data, "mimeType": "image/png"} for data in images]
    return {
        "content": [{"type": "text", "text": text}, *pictures],
        "structuredContent": {"outputs": text},
        "isError": False,
    }


def test_an_answer_that_fits_is_left_alone() -> None:
    small = answer("hi", ["x" * 1000])
    assert fit(small) is small


def test_images_go_first_and_the_answer_says_so() -> None:
    fitted = fit(answer("hi", ["x" * MAX_ANSWER_BYTES, "x"]))
    assert fitted["structuredContent"] == {"outputs": "hi"}
    first, note = fitted["content"]
    assert first["text"] == "hi"
    assert note["text"].startswith("2 image(s) left out")


def test_an_answer_that_is_too_large_without_images_is_an_error_that_says_what_to_do() -> None:
    for images in ((), ("x",)):
        fitted = fit(answer("\N{SNAKE}" * (MAX_ANSWER_BYTES // 8), images))
        assert fitted["isError"] is True
        assert "structuredContent" not in fitted
        (block,) = fitted["content"]
        assert "max_chars" in block["text"]


def test_what_is_no_unicode_does_not_stop_it() -> None:
    assert fit(answer("\ud800" * MAX_ANSWER_BYTES))["isError"] is True


@pytest.mark.parametrize(
    ("content", "over_http", "refused"),
    [
        ("x" * 900_000, True, False),
        ("x" * 1_100_000, True, True),
        ("x" * 1_100_000, False, False),
        (b"x" * 900_000, True, True),  # in base64
        (b"x" * 40_000_000, False, True),
    ],
)
def test_a_resource_that_clients_would_drop_the_connection_for_is_refused(
    content: str | bytes, over_http: bool, refused: bool
) -> None:
    ctx: Any = SimpleNamespace(request_context=SimpleNamespace(request=object() if over_http else None))
    if not refused:
        _require_size(ctx, content)
        return
    with pytest.raises(BridgeError) as refusal:
        _require_size(ctx, content)
    assert refusal.value.code == "too_large"
    assert "export_notebook writes a file" in refusal.value.hint
