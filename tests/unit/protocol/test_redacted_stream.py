"""Secrets in a text that arrives in pieces, cut at any place."""

import time

import pytest

from marimo_kernel_bridge.protocol.inspection import Secret
from marimo_kernel_bridge.protocol.redacted_stream import RedactedStream
from marimo_kernel_bridge.protocol.redaction import Redactor

L = "aZ3b" * 12
BODY = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"] * 3)
REDACTOR = Redactor([Secret("PHRASE", "correct horse\nbattery staple"), Secret("PIN_TOKEN", "12-34-56-78")])
TEXTS = [
    f"a key: ghp_{L[:40]} and more\n",
    "pin 12-34-56-78, 12-34\n",
    "it is correct horse\nbattery staple, correct horse\n",
    f"Authorization: Bearer {L}\nnext\n",
    "see postgresql://ada:hush-hush@host/db here",
    f"x\n-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----\ny\n",
    f"-----BEGIN PRIVATE KEY-----\n{BODY}",
    f"'x-api-key': '{L[:20]}'\nPrivate-Token: {L[:20]} x\n",
    f"Cookie: a={L[:20]}; b=c\nx",
    f"curl -u ada:{L[:20]} https://example.org",
    f'{{"access_token": "{L[:20]}"}}',
    f"aws_secret_access_key = {L[:40]}\n",
    "\x1b[31mplain\x1b[0m words, no secrets;\r progress 10 %\r progress 20 %\n",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_in_pieces_is_redacted_as_the_whole_text_is(text: str) -> None:
    whole = REDACTOR.text(text)
    for size in (1, 2, 3, 7, 16, 1000):
        stream = RedactedStream()
        pieces = [stream.add(text[start : start + size], REDACTOR) for start in range(0, len(text), size)]
        assert "".join([*pieces, stream.flush(REDACTOR)]) == whole, size
    for cut in range(len(text)):
        stream = RedactedStream()
        pieces = [stream.add(text[:cut], REDACTOR), stream.add(text[cut:], REDACTOR)]
        assert "".join([*pieces, stream.flush(REDACTOR)]) == whole, cut


def test_a_long_value_waits_until_it_is_over() -> None:
    value = "0123456789" * 600
    redactor = Redactor([Secret("LONG_TOKEN", value)])
    for written in (value, value.encode().hex()):
        stream = RedactedStream()
        text = f"a {written} b"
        pieces = [stream.add(text[start : start + 30], redactor) for start in range(0, len(text), 30)]
        assert "".join([*pieces, stream.flush(redactor)]) == "a <<redacted:LONG_TOKEN>> b"


def test_complete_lines_do_not_wait() -> None:
    stream = RedactedStream()
    assert stream.add("one\ntwo", REDACTOR) == "one\n"
    assert stream.add(" three\n", REDACTOR) == "two three\n"
    assert stream.add("-----BEGIN PRIVATE KEY-----\n", REDACTOR) == ""
    assert stream.add("MIIEvQIBADANBgkqhkiG\n" * 4000, REDACTOR).startswith("<<redacted:private key>>")


@pytest.mark.parametrize(
    "piece", ["a", "-----BEGIN ", "password ", "c", "://", "-----BEGIN PRIVATE KEY-----\n"]
)
def test_each_piece_takes_the_same_time(piece: str) -> None:
    stream = RedactedStream()
    before = time.process_time()
    for _ in range(2000):
        stream.add(piece, REDACTOR)
    assert time.process_time() - before < 10.0
