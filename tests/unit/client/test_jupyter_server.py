"""Addresses of Jupyter servers as people copy them, and where their tokens go."""

from __future__ import annotations

import pytest

from marimo_kernel_bridge.client.jupyter_server import JupyterServer
from marimo_kernel_bridge.errors import BridgeError


@pytest.mark.parametrize(
    ("copied", "url", "notebook"),
    [
        (
            "http://localhost:8888/lab/tree/deep/a%20b.ipynb?token=abc",
            "http://localhost:8888",
            "deep/a b.ipynb",
        ),
        ("http://localhost:8888/lab/workspaces/auto-1/tree/a.ipynb", "http://localhost:8888", "a.ipynb"),
        ("http://localhost:8888/notebooks/a.ipynb", "http://localhost:8888", "a.ipynb"),
        ("http://localhost:8888/base/api/kernels", "http://localhost:8888/base", None),
        ("https://hub.example.org/user/ada/lab", "https://hub.example.org/user/ada", None),
        ("https://hub.example.org/user/lab/lab/tree/a.ipynb", "https://hub.example.org/user/lab", "a.ipynb"),
        ("https://hub.example.org/user/treeman/big/tree", "https://hub.example.org/user/treeman/big", None),
    ],
)
def test_the_address_that_a_person_copies_is_understood(copied: str, url: str, notebook: str | None) -> None:
    server = JupyterServer.at(copied, None)
    assert (server.url, server.notebook) == (url, notebook)
    assert server.token == ("abc" if "abc" in copied else "")


def test_the_address_of_the_hub_itself_is_refused_with_how_a_user_s_is_written() -> None:
    with pytest.raises(BridgeError) as refusal:
        JupyterServer.at("https://hub.example.org/hub/home", None)
    assert "https://hub.example.org/user/NAME/" in refusal.value.hint


def test_the_configured_token_goes_to_the_configured_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "from-environment")
    hub = "https://hub.example.org/user/ada"
    assert JupyterServer.at(hub, None).token == ""
    monkeypatch.setenv("JUPYTER_SERVER_URL", f"{hub}/lab")
    assert JupyterServer.at(f"{hub}/lab/tree/a.ipynb", None).token == "from-environment"
    for other in (
        "https://evil.example.org/user/ada",
        "http://hub.example.org/user/ada",
        "https://hub.example.org/user/eve",
        "https://hub.example.org:444/user/ada",
    ):
        assert JupyterServer.at(other, None).token == ""


def test_a_server_shows_its_token_to_nobody_and_warns_where_others_can_read_it() -> None:
    assert "t0ken" not in repr(JupyterServer.at("http://localhost/", "t0ken"))
    assert JupyterServer.at("https://hub.example.org/", "t").warnings == ()
    assert "encrypted" in JupyterServer.at("http://hub.example.org/", "t").warnings[0]
