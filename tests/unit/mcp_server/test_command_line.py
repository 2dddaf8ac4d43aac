"""The reports of our own command line, parsed."""

import json

import msgspec
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.files import CellDifference, ImportedCell
from marimo_kernel_bridge.mcp_server.views.command_line import ExportReport, ImportReport, parse_report

IMPORTED = {
    "notebook": "a.ipynb",
    "output": "a.py",
    "written": True,
    "complete": True,
    "cells": [{"position": 1, "cell_id": "x", "kind": "code", "fate": "changed", "notes": ["a becomes b"]}],
    "added": ["import os"],
    "marimo_check": {"passes": True, "findings": []},
}


def test_an_import_is_reported_with_its_cells_and_without_a_comparison() -> None:
    report = parse_report(ImportReport, json.dumps(IMPORTED).encode())
    assert report.cells == (ImportedCell(1, "x", "changed", ("a becomes b",)),)
    assert report.verified is None


def test_a_comparison_of_outputs_is_reported() -> None:
    difference = {"cells": [1, 2], "what": "text", "before": "1", "after": "2"}
    verified = {"same": False, "differences": [difference], "compared": 3}
    report = parse_report(ImportReport, json.dumps(IMPORTED | {"verified": verified}).encode())
    assert report.verified is not None
    assert report.verified.differences == (CellDifference((1, 2), "text", "1", "2"),)


@pytest.mark.parametrize(
    ("code", "kept"), [("output_exists", "output_exists"), ("of_a_later_version", "bad_request")]
)
def test_a_refusal_is_raised_with_a_code_that_is_known(code: str, kept: str) -> None:
    printed = json.dumps({"refused": "It exists.", "code": code, "hint": "Name another."}).encode()
    with pytest.raises(BridgeError, match="It exists") as refusal:
        parse_report(ExportReport, printed)
    assert (refusal.value.code, refusal.value.hint) == (kept, "Name another.")


@pytest.mark.parametrize("printed", [b"", b"Traceback ...", b'{"cells": "many"}', b"[]"])
def test_what_is_no_report_is_told_apart(printed: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        parse_report(ExportReport, printed)
