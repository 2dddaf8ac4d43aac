"""Packages that code in a sandbox installs: into an environment of its own, which an equal sandbox has, too, and no other kernel."""

import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sandboxed import USERS, User, kernel, user

INSTALL = "%pip install --no-index --quiet ./tiny_package-{version}-py3-none-any.whl"
PROGRAMS_SEE_IT = (
    "import subprocess, sys\n"
    "for python in ('python', sys.executable):\n"
    "    code = 'import tiny_package, numpy, marimo; print(tiny_package.VALUE)'\n"
    "    print(subprocess.run([python, '-c', code], capture_output=True, text=True).stdout.strip(), end=' ')"
)


def wheel(folder: Path, version: str) -> None:
    """Put into a folder what pip installs."""
    name, about = "tiny_package", f"tiny_package-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"VALUE = {version!r}\n")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")


@pytest.fixture(scope="module")
def person() -> Iterator[User]:
    with user(USERS[0]) as found:
        for version in ("1.0", "2.0"):
            wheel(found.folder, version)
        yield found


ENGINES = [
    "light",
    pytest.param("bubblewrap", marks=pytest.mark.long),
    pytest.param("podman", marks=pytest.mark.long),
]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_installed_is_found_at_once_by_programs_and_by_the_next_kernel(
    person: User, engine: str
) -> None:
    bounds: dict[str, Any] = {"engine": engine, "packages": True}
    with kernel(person, bounds) as first:
        assert "no network" in first.run(INSTALL.format(version="1.0"))
        assert first.run("import tiny_package; tiny_package.VALUE") == "'1.0'"
        assert first.run(PROGRAMS_SEE_IT) == "1.0 1.0"
        assert first.run("import marimo; marimo.__file__.startswith(sys.prefix)") == "True"
    with kernel(person, bounds) as following:
        following.run(INSTALL.format(version="2.0"))
        assert following.run("import tiny_package; tiny_package.VALUE") == "'2.0'"
        following.run("%pip uninstall --yes --quiet tiny_package")
        assert (
            following.run(
                "import importlib.metadata as m; [*m.packages_distributions().get('tiny_package', [])]"
            )
            == "[]"
        )


class _Index(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.long
@pytest.mark.parametrize("engine", ["light", "bubblewrap"])
def test_packages_of_a_listed_index_are_installed_through_the_proxy(tmp_path: Path, engine: str) -> None:
    package = tmp_path / "tiny-package"
    package.mkdir()
    wheel(package, "1.0")
    serves = partial(_Index, directory=str(tmp_path))
    with user(USERS[0]) as someone, ThreadingHTTPServer(("127.0.0.1", 0), serves) as index:
        threading.Thread(target=index.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{index.server_port}"
        bounds: dict[str, Any] = {"engine": engine, "packages": True, "network": [host]}
        with kernel(someone, bounds) as bounded:
            # It has the loopback, where this index is and no other would be.
            bounded.run("import os; [os.environ.pop(name, None) for name in ('no_proxy', 'NO_PROXY')]")
            bounded.run(
                f"%pip install --quiet --index-url http://{host}/ --trusted-host 127.0.0.1 tiny-package"
            )
            assert bounded.run("import tiny_package; tiny_package.VALUE") == "'1.0'"
        index.shutdown()
        log = someone.home / ".local/share/jupyter/marimo_kernel_bridge/network.jsonl"
        assert {json.loads(line)["allowed"] for line in log.read_text().splitlines()} == {True}


def test_a_kernel_without_the_right_says_so_in_a_sentence_and_finds_nothing(person: User) -> None:
    with kernel(person, {"engine": "light"}) as bounded:
        reply = bounded.client.execute_interactive(INSTALL.format(version="1.0"), timeout=60.0)["content"]
        assert reply["ename"] == "UsageError"
        assert "packages=yes" in reply["evalue"]
        assert "pip" in bounded.run("%pip --version")
        assert bounded.run("import importlib.util as u; u.find_spec('tiny_package')") in {"", "None"}
