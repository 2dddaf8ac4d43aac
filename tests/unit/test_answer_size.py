"""Tool answers that MCP clients would not take over HTTP are made to fit."""

from marimo_kernel_bridge.mcp_answer_size import MAX_ANSWER_BYTES, fit


def answer(text="", images=()):
    pictures = [{"type": "image", "data": data, "mimeType": "image/png"} for data in images]
    return {
        "content": [{"type": "text", "text": text}, *pictures],
        "structuredContent": {"outputs": text},
        "isError": False,
    }


def test_an_answer_that_fits_is_left_alone():
    small = answer("hi", ["x" * 1000])
    assert fit(small) is small


def test_images_go_first_and_the_answer_says_so():
    fitted = fit(answer("hi", ["x" * MAX_ANSWER_BYTES, "x"]))
    assert fitted["structuredContent"] == {"outputs": "hi"}
    first, note = fitted["content"]
    assert first["text"] == "hi"
    assert note["text"].startswith("2 image(s) left out")


def test_an_answer_that_is_too_large_without_images_is_an_error_that_says_what_to_do():
    for images in ((), ("x",)):
        fitted = fit(answer("\N{SNAKE}" * (MAX_ANSWER_BYTES // 8), images))
        assert fitted["isError"] is True
        assert "structuredContent" not in fitted
        (block,) = fitted["content"]
        assert "max_chars" in block["text"]


def test_what_is_no_unicode_does_not_stop_it():
    assert fit(answer("\ud800" * MAX_ANSWER_BYTES))["isError"] is True
