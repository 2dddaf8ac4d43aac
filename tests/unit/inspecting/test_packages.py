"""What is missing in an environment, and what an installer does there; here it is a script."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting import packages
from marimo_kernel_bridge.inspecting.packages import environment, imports, install
from marimo_kernel_bridge.protocol.environment import MissingImport, PackageChange
from marimo_kernel_bridge.protocol.notebook import CellError
from tests.unit.made_cells import made_cell

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("code", "modules"),
    [
        ("import a.b, c as d", {"a", "c"}),
        ("from e.f import g", {"e"}),
        ("from . import here", set()),
        ("%matplotlib inline\nimport h\n!ls", {"h"}),
        ("try:\n    import quick\nexcept ImportError:\n    import slow", set()),
        ("try:\n    import needed\nfinally:\n    pass", {"needed"}),
        ("def f():\n    import later", {"later"}),
        ("files = !ls\nimport i\nx = %time f()\ni?", {"i"}),
        ("%%time\n%%capture out\nimport j", {"j"}),
        ("%%writefile helper.py\nimport theirs", set()),
        ("%%bash\nimport picture.png", set()),
        ("await f()\nimport k", {"k"}),
        ("try:\n    import quick\nexcept (OSError, ImportError):\n    slow = 1\nelse:\n    import m", {"m"}),
        ("try:\n    import quick\nexcept:\n    pass", set()),
        ("try:\n    import quick\nexcept* ImportError:\n    pass", set()),
        ("try:\n    import needed\nexcept OSError:\n    pass", {"needed"}),
        ("from contextlib import suppress\nwith suppress(ImportError):\n    import quick", {"contextlib"}),
        ("with contextlib.suppress(OSError):\n    import needed", {"needed"}),
        ("with open(name):\n    import needed", {"needed"}),
        ("if TYPE_CHECKING:\n    import types_only\nelse:\n    import n", {"n"}),
        ("if typing.TYPE_CHECKING:\n    import types_only", set()),
        ("import (", set()),
        ("x = '\0'", set()),
    ],
)
def test_imports_are_found_in_code(code: str, modules: set[str]) -> None:
    assert set(imports(code)) == modules


def test_the_environment_of_this_process_has_an_installer() -> None:
    found = environment((), str)
    assert found.installer in {"pip", "uv"}
    assert found.kind in {"venv", "uv", "conda", "system"}


def test_imports_that_lead_nowhere_are_listed_with_their_cells() -> None:
    cells = [
        made_cell("aaaa", "import json, nosuch_a"),
        made_cell("bbbb", "from nosuch_a.b import c\nimport nosuch_b"),
    ]
    found = environment(cells, lambda module: module.replace("_", "-"))
    assert found.missing == (
        MissingImport("nosuch_a", "nosuch-a", ("aaaa", "bbbb")),
        MissingImport("nosuch_b", "nosuch-b", ("bbbb",)),
    )
    assert (found.interpreter, found.prefix) == (sys.executable, sys.prefix)


def test_a_module_whose_finder_fails_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [BrokenFinder(), *sys.meta_path])
    assert environment([made_cell("aaaa", "import nosuch_a")], str).missing == ()


class BrokenFinder:
    def find_spec(self, name: str, *_: object) -> None:
        if name == "nosuch_a":
            raise ImportError(name)


# Which environment this is, and what installs there


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with pip and without uv, whose Python is a script that a test writes."""
    folder = tmp_path / "env"
    (folder / "bin").mkdir(parents=True)
    (folder / "site-packages").mkdir()
    (folder / "site-packages/pip.py").touch()
    own = [entry for entry in sys.path if "site-packages" not in entry]
    monkeypatch.setattr(sys, "path", [str(folder / "site-packages"), *own])
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "bin/python"))
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, path=None: path and which(name, path=path))
    monkeypatch.delitem(sys.modules, "pip", raising=False)
    return folder


@pytest.fixture
def site_packages(prefix: Path) -> Path:
    return prefix / "site-packages"


def write_script(path: Path, *lines: str) -> None:
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [(None, "system"), ("home = /usr/bin", "venv"), ("home = /usr/bin\nuv = 0.9.0", "uv")],
)
def test_the_environment_is_told_by_who_made_it(prefix: Path, settings: str | None, kind: str) -> None:
    if settings is not None:
        (prefix / "pyvenv.cfg").write_text(settings)
    assert environment((), str).kind == kind


def test_an_environment_of_conda_is_told_as_one(prefix: Path) -> None:
    (prefix / "conda-meta").mkdir()
    assert environment((), str).kind == "conda"


@pytest.mark.parametrize(
    ("made_by_uv", "has_pip", "has_uv", "installer"),
    [
        (False, True, True, "pip"),
        (False, False, True, "uv"),
        (False, False, False, None),
        (True, True, True, "uv"),
        (True, True, False, "pip"),
    ],
)
def test_uv_installs_where_it_made_the_environment_or_where_there_is_no_pip(
    prefix: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    made_by_uv: bool,
    has_pip: bool,
    has_uv: bool,
    installer: str,
) -> None:
    (prefix / "pyvenv.cfg").write_text("uv = 0.9.0" if made_by_uv else "")
    if not has_pip:
        (prefix / "site-packages/pip.py").unlink()
    if has_uv:
        write_script(prefix / "bin/uv")
    assert environment((), str).installer == installer


def test_without_an_installer_nothing_is_installed_and_the_person_is_told_how_to_add_one(
    prefix: Path,
) -> None:
    (prefix / "site-packages/pip.py").unlink()
    with pytest.raises(BridgeError, match="Neither pip nor uv") as refused:
        install(["nosuch"], list, print, {})
    assert refused.value.code == "no_installer"
    assert f"{prefix}/bin/python -m ensurepip" in refused.value.hint


# Installing


def package(folder: Path, name: str, version: str) -> None:
    """Put a package into a folder."""
    (folder / f"{name}.py").write_text(f"version = {version!r}")
    metadata = folder / f"{name}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "RECORD").write_text(f"{name}.py,,\n")


def test_what_the_installer_prints_is_passed_on_and_what_changed_is_told(
    prefix: Path, site_packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = prefix / "shelf"
    shelf.mkdir()
    for name in ("brdg_new", "brdg_kept"):
        package(shelf, name, "2.0")
    package(site_packages, "brdg_kept", "1.0")
    package(site_packages, "brdg_gone", "1.0")
    monkeypatch.setitem(sys.modules, "brdg_kept", pytest)  # any module
    write_script(
        prefix / "bin/python",
        'echo "arguments: $*"',
        "pwd >&2",
        f"rm -r {site_packages}/brdg_kept-1.0.dist-info {site_packages}/brdg_gone*",
        f"cp -r {shelf}/* {site_packages}",
    )
    failed = replace(
        made_cell("aaaa", ""), error=CellError("ModuleNotFoundError", "No module named 'brdg_new.sub'")
    )
    lacking = replace(
        failed, cell_id="bbbb", error=CellError("ModuleNotFoundError", "No module named 'nosuch'")
    )
    printed: list[str] = []

    report = install(
        ["brdg-new", "brdg-kept>1"],
        lambda: [failed, lacking, made_cell("cccc", "")],
        printed.append,
        dict(os.environ),
    )

    arguments, folder = printed
    assert arguments.startswith("arguments: -P -m pip install --no-input")
    assert arguments.endswith(" -- brdg-new brdg-kept>1\n")
    assert folder == "/\n"  # nothing beside the notebook is run for pip
    assert (report.installer, report.exit_code) == ("pip", 0)
    assert report.changes == (
        PackageChange("brdg_gone", "1.0", None),
        PackageChange("brdg_kept", "1.0", "2.0"),
        PackageChange("brdg_new", None, "2.0"),
    )
    assert report.cells == ("aaaa",)
    assert report.loaded == ("brdg_kept",)


def test_of_two_versions_the_one_that_is_imported_counts(
    prefix: Path, site_packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = prefix / "system-packages"
    system.mkdir()
    package(system, "brdg_both", "1.0")
    monkeypatch.setattr(sys, "path", [*sys.path, str(system)])
    shelf = prefix / "shelf"
    shelf.mkdir()
    package(shelf, "brdg_both", "2.0")
    write_script(prefix / "bin/python", f"cp -r {shelf}/* {site_packages}")
    assert install(["brdg-both"], list, print, {}).changes == (PackageChange("brdg_both", "1.0", "2.0"),)


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_only_the_person_s_settings_say_where_an_installer_takes_packages_from(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    """uv reads `uv.toml` and `pyproject.toml` of its working directory; code of the notebook and `.env` set variables."""
    (prefix / "pyvenv.cfg").write_text("uv = 0.9.0" if tool == "uv" else "")
    program = prefix / ("bin/uv" if tool == "uv" else "bin/python")
    write_script(
        program, "pwd", "env | grep -E '^((PIP|UV|SSL|REQUESTS|XDG)_|HOME|APPDATA|NETRC)' | sort", "exit 2"
    )
    monkeypatch.chdir(tmp_path)
    of_sources = {"PIP_INDEX_URL", "UV_INDEX_URL", "UV_CONFIG_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
    of_folders = {"HOME", "APPDATA", "NETRC", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"}
    for name in of_sources | of_folders:
        monkeypatch.setenv(name, "of the kernel")
    person_s = {
        "HOME": "/home/ada",
        "PIP_INDEX_URL": "https://a.example/simple",
        "UV_INDEX": "https://b.example/simple",
    }
    printed: list[str] = []
    report = install(["nosuch"], list, printed.append, {**person_s, "LD_PRELOAD": "/no/such.so"})
    assert (report.installer, report.exit_code) == (tool, 2)
    warning, folder, *variables = "".join(printed).splitlines()
    assert warning.startswith("Not used")
    assert of_sources | of_folders <= set(warning.replace(",", "").split())
    assert folder == "/"
    assert variables == [f"{name}={value}" for name, value in sorted(person_s.items())]


def test_a_kernel_on_another_machine_keeps_that_machine_s_home_and_nothing_else(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_script(prefix / "bin/python", "env | grep -E '^(HOME|NETRC|XDG_CONFIG_HOME|PIP_INDEX_URL)=' | sort")
    for name in ("HOME", "NETRC", "XDG_CONFIG_HOME", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "of the kernel")
    printed: list[str] = []
    install(["nosuch"], list, printed.append, {})
    assert printed[1:] == ["HOME=of the kernel\n"]
    assert "HOME" not in printed[0].replace(",", "").split()


def test_the_uv_on_the_path_of_the_kernel_is_not_run(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (prefix / "pyvenv.cfg").write_text("uv = 0.9.0")
    for owner in ("kernel", "person"):
        (tmp_path / owner).mkdir()
        write_script(tmp_path / owner / "uv", f"echo of the {owner}")
    monkeypatch.setenv("PATH", f"{tmp_path}/kernel:{os.environ['PATH']}")
    printed: list[str] = []
    install(["nosuch"], list, printed.append, {"HOME": str(tmp_path), "PATH": f"{tmp_path}/person"})
    assert printed[-1] == "of the person\n"


def test_pip_takes_no_settings_from_an_environment_in_the_notebooks_folder(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (prefix / "pip.conf").write_text("[global]\nindex-url = https://a.example/simple\n")
    write_script(prefix / "bin/python", "exit 0")
    assert install(["nosuch"], list, print, {}).exit_code == 0, "the environment is elsewhere"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BridgeError, match=r"env/pip\.conf") as refused:
        install(["nosuch"], list, print, {})
    assert refused.value.code == "no_installer"


@pytest.mark.parametrize("ending", ["trap 'touch ended; exit 1' INT", "trap '' INT"])
def test_an_interrupt_ends_the_installer_even_one_that_ignores_it(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    def interrupted(_line: str) -> None:
        raise KeyboardInterrupt

    ended = tmp_path / "ended"
    monkeypatch.setattr(packages, "_GRACE", 60 if "ended" in ending else 0.01)
    write_script(
        prefix / "bin/python",
        ending.replace("touch ended", f"touch {ended}"),
        "echo started",
        "while :; do sleep 0.01; done",
    )
    assert install(["nosuch"], list, interrupted, dict(os.environ)).exit_code is None
    assert ended.exists() == ("ended" in ending)
