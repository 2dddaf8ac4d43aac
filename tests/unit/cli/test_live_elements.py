"""What `doctor` says about live elements: where they are live, and what is missing where they are not."""

import importlib.util
from pathlib import Path

import pytest

from marimo_kernel_bridge.cli import lab_extension, live_elements, vscode
from marimo_kernel_bridge.runtime.live import release_check

MANAGER = ("@jupyter-widgets/jupyterlab-manager", "anywidget")


@pytest.mark.parametrize(
    ("extension", "widgets", "manager", "verdict", "says"),
    [
        (True, True, True, "ok", "live in JupyterLab, by the extension and VS Code"),
        (True, False, False, "ok", "live in JupyterLab, by the extension"),
        (False, True, True, "ok", "live in JupyterLab, by its widget manager and VS Code"),
        (False, True, False, "ok", "live in VS Code; JupyterLab here has no widget manager"),
        (False, False, False, "skipped", "neither anywidget nor the extension for JupyterLab is installed"),
    ],
)
def test_doctor_says_where_elements_are_live(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    extension: bool,
    widgets: bool,
    manager: bool,
    verdict: str,
    says: str,
) -> None:
    for name in MANAGER if manager else ():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "package.json").write_text("{}")
    monkeypatch.setattr(live_elements, "jupyter_path", lambda _: [str(tmp_path)])
    monkeypatch.setattr(lab_extension, "problem", lambda: ("", "") if extension else ("none", ""))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object() if widgets else None)
    monkeypatch.setattr(release_check, "missing", list)
    monkeypatch.setattr(vscode, "without_widgets", list)
    found, detail, hint = live_elements.state({})
    assert found == verdict
    assert says in detail
    assert ("marimo-kernel-bridge[live]" in hint) == (not widgets or not (extension or manager))


def test_doctor_names_an_editor_that_shows_no_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_extension, "problem", lambda: ("", ""))
    monkeypatch.setattr(release_check, "missing", list)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(vscode, "without_widgets", lambda: ["code"])
    verdict, detail, hint = live_elements.state({})
    assert (verdict, "static forms in code, without the extension" in detail) == ("ok", True)
    assert hint.endswith("code --install-extension ms-toolsai.jupyter-renderers")


def test_doctor_names_what_marimos_front_end_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_check, "missing", lambda: ["kernel-ready (a message)"])
    verdict, detail, _ = live_elements.state({})
    assert verdict == "FAILED"
    assert "lacks kernel-ready (a message)" in detail


@pytest.mark.parametrize(
    ("policy", "allows"),
    [
        ("", True),
        ("frame-ancestors 'self'; report-uri /api/security/csp-report", True),
        ("script-src 'self' 'unsafe-eval' blob:", True),
        ("default-src 'none'; Script-Src 'self' BLOB:", True),
        ("default-src 'self'; script-src-elem 'self' blob:; script-src 'none'", True),
        ("script-src 'self' 'unsafe-inline' 'unsafe-eval'", False),
        ("default-src *", False),  # of schemes it stands for those of the network alone
        ("frame-ancestors 'self', script-src 'self'", False),
        (";;", True),
    ],
)
def test_a_policy_that_forbids_scripts_from_blobs_is_told(
    monkeypatch: pytest.MonkeyPatch, policy: str, *, allows: bool
) -> None:
    monkeypatch.setattr(lab_extension, "problem", lambda: ("", ""))
    monkeypatch.setattr(release_check, "missing", list)
    verdict, detail, hint = live_elements.state({"http://127.0.0.1:8888": policy})
    assert verdict == ("ok" if allows else "FAILED")
    assert ("http://127.0.0.1:8888" in detail, "script-src" in hint) == (not allows, not allows)
