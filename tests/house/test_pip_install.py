"""The environments of the Makefile: uv installs what pip would install, and pip where uv cannot."""

import sys

import pip_install
import pytest
from pip_install import PIP, NotWithUvError, as_uv_says


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """The commands that would have run; `failing` tells which fail."""
    commands = []
    monkeypatch.setattr(pip_install, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr(pip_install, "pip_settings", dict)
    monkeypatch.setattr(pip_install, "run", lambda command, _=None: commands.append(command) or 0)
    return commands


def test_uv_is_told_where_pip_finds_packages():
    settings = {
        "index-url": "https://inside/simple",
        "extra-index-url": "https://one/simple https://two/simple",
        "find-links": "/wheels",
        "constraint": "/etc/one.txt\n/etc/two.txt",
        "cert": "/etc/ca.crt",
        "timeout": "60",
    }
    assert as_uv_says(settings) == (
        [
            "--default-index=https://inside/simple",
            "--index=https://one/simple",
            "--index=https://two/simple",
            "--find-links=/wheels",
            "--index-strategy=unsafe-best-match",
        ],
        {"UV_CONSTRAINT": "/etc/one.txt /etc/two.txt", "SSL_CERT_FILE": "/etc/ca.crt"},
    )


def test_a_setting_that_uv_has_no_word_for_is_left_to_pip():
    with pytest.raises(NotWithUvError, match="no word for pip's setting no-binary"):
        as_uv_says({"no-binary": ":all:"})


def test_variables_come_before_files_and_the_section_of_install_before_the_general_one(monkeypatch, tmp_path):
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://general\nretries = 9\nfind-links =\n  /a\n  /b\n"
        "[install]\nindex-url = https://installing\nno-binary = some\n[download]\nno-binary = more\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_RETRIES", "2")
    settings = pip_install.pip_settings()
    assert settings["index-url"] == "https://installing"
    assert settings["no-binary"] == "some"
    assert settings["retries"] == "2"


def test_uv_installs_and_pip_only_fetches_it(ran, monkeypatch, capfd):
    monkeypatch.setattr(pip_install, "pip_settings", lambda: {"find-links": "/wheels"})
    assert pip_install.main(["--editable", ".[test]"]) == 0
    fetched, installed = ran
    assert fetched == [*PIP, "install", "--quiet", "--target", str(pip_install.TOOLS), "uv>=0.8"]
    assert installed[:3] == [str(pip_install.TOOLS / "bin/uv"), "pip", "install"]
    assert installed[-3:] == ["--find-links=/wheels", "--editable", ".[test]"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        (lambda command: "--target" in command, "pip found no uv that runs here."),
        (lambda command: command[:3] != PIP, "uv could not install it."),
    ],
)
def test_pip_installs_what_uv_cannot_and_it_is_said(ran, monkeypatch, capfd, fails, reason):
    monkeypatch.setattr(
        pip_install, "run", lambda command, _=None: ran.append(command) or int(fails(command))
    )
    assert pip_install.main(["."]) == 0
    assert ran[-1] == [*PIP, "install", "--quiet", "."]
    assert capfd.readouterr().err == f"{reason} Installing with pip, which takes longer.\n"


def test_what_pip_cannot_install_either_is_a_failure(monkeypatch, ran):
    monkeypatch.setattr(pip_install, "run", lambda *_: 1)
    assert pip_install.main(["."]) == 1


def test_a_program_that_cannot_run_is_a_failure_with_its_reason(tmp_path, capfd):
    assert pip_install.run([str(tmp_path / "uv")]) == 1
    assert "No such file" in capfd.readouterr().err
    assert pip_install.run([sys.executable, "-c", "raise SystemExit(3)"]) == 3
