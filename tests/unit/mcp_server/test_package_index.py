"""Which addresses the person's settings of pip and uv name."""

import os
from pathlib import Path

import pytest

from marimo_kernel_bridge.mcp_server.package_index import named, printable


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ('index-url = "https://a.example/s"', ("https://a.example/s",)),
        ('[pip]\nextra-index-url = ["https://a.example/s", "/shelf"]', ("https://a.example/s", "/shelf")),
        ('[[index]]\nname = "a"\nurl = "https://u:p@a.example:8/s?q"', ("https://a.example:8/s",)),
        ('index-url = "http://[bad/s"', ("an address that is not valid",)),
        ("index-url = 5", ("5",)),
        ("index = 5\npip = []", ()),
        ("not toml", ()),
        ("", ()),
    ],
)
def test_the_settings_of_uv_are_read(tmp_path: Path, text: str, addresses: tuple[str, ...]) -> None:
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv/uv.toml").write_text(text)
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path)}
    assert named("uv", "", environ)[: len(addresses) or None] == addresses
    assert named(None, "", environ) == ()


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("[global]\nindex-url = https://a.example/s", ("https://a.example/s",)),
        ("[install]\nfind-links =\n  /shelf\n  /other", ("/shelf", "/other")),
        ("[global]\nindex_url = https://a.example/s", ("https://a.example/s",)),
        ("[global]\n--Index-URL = https://a.example/s", ("https://a.example/s",)),
        ("[freeze]\nindex-url = https://a.example/s", ()),
        ("no section", ()),
    ],
)
def test_the_settings_of_pip_are_read(tmp_path: Path, text: str, addresses: tuple[str, ...]) -> None:
    (tmp_path / "pip.conf").write_text(text)
    environ = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "HOME": str(tmp_path)}
    assert named("pip", "", environ)[: len(addresses)] == addresses


def test_the_settings_of_pip_in_the_kernel_s_environment_are_read(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path)}
    usual = named("pip", str(tmp_path / "absent"), environ)
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nindex-url = https://a.example/s\n")
    assert named("pip", str(tmp_path), environ) == (*usual, "https://a.example/s")
    assert "https://a.example/s" not in named("uv", str(tmp_path), environ)
    settings.unlink()
    os.mkfifo(settings)
    for prefix in (str(tmp_path), "\0", "x" * 10_000):
        assert named("pip", prefix, environ) == usual, "what is no file is not read"


def test_a_text_of_a_kernel_is_one_line_of_limited_length() -> None:
    assert printable("a\x1b[31m\nb\u202e") == "a�[31m�b�"
    assert len(printable("x" * 10**6)) == 201
