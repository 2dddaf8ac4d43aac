"""What `doctor` says of tables: a view is opened, and what is missing is named."""

import importlib.util

import pytest

from marimo_kernel_bridge.cli import tables
from marimo_kernel_bridge.viewing.server import serving
from marimo_kernel_bridge.viewing.server.rules import Rules


def test_where_all_is_there_a_view_was_opened() -> None:
    assert tables.state() == ("ok", "tables of the kernel and of files are shown", "")


def test_without_duckdb_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    verdict, detail, hint = tables.state()
    assert (verdict, hint) == ("skipped", "Run: pip install 'marimo-kernel-bridge[view]'")
    assert "those of files are not" in detail


def test_where_nothing_may_listen_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(serving, "bind_sockets", refuse)
    verdict, detail, hint = tables.state()
    assert (verdict, "Operation not permitted" in detail) == ("FAILED", True)
    assert "sandbox" in hint


def test_an_address_that_does_not_answer_as_it_should_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rules, "refuses", lambda *_, **__: True)
    assert tables.state()[:2] == ("FAILED", "The address of a view answers with 403.")
