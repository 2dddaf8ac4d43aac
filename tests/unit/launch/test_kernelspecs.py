"""Which kernels can be started, and how the kernel of an interpreter is; none is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch import install, kernelspecs
from marimo_kernel_bridge.launch.install import found_by_jupyter, install_kernelspec
from marimo_kernel_bridge.launch.kernelspecs import OneSpec, by_name, installed, of_interpreter
from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER, PoolOptions

Spec = Callable[..., None]


@pytest.fixture(autouse=True)
def jupyter_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one place where kernelspecs are."""
    data = tmp_path / "data"
    for variable in ("JUPYTER_DATA_DIR", "JUPYTER_PATH"):
        monkeypatch.setenv(variable, str(data))
    return data / "kernels"


@pytest.fixture
def spec(jupyter_path: Path) -> Spec:
    """Install a kernelspec: `spec(name, argv, **fields)`."""

    def spec(name: str, argv: list[str], **fields: Any) -> None:
        folder = jupyter_path / name
        folder.mkdir(parents=True)
        content = {"argv": argv, "display_name": name.title(), "language": "python"} | fields
        (folder / "kernel.json").write_text(json.dumps(content))

    return spec


OURS = ["-P", "-m", "marimo_kernel_bridge", "kernel", "-f", "{connection_file}"]


def test_installed_kernels_are_listed_reactive_ones_first(spec: Spec) -> None:
    spec("aplain", [sys.executable, "-m", "ipykernel", "-f", "{connection_file}"])
    spec("zreactive", ["python", *OURS])
    spec("gone", ["/no/such/python", *OURS])
    names = [kernel.name for kernel in installed()]
    assert names.index("gone") < names.index("zreactive") < names.index("aplain")
    kernels = {kernel.name: kernel for kernel in installed()}
    assert kernels["gone"].interpreter is None
    assert kernels["zreactive"].interpreter == sys.executable, (
        "jupyter_client starts its own Python for a plain one"
    )
    assert (kernels["aplain"].reactive, kernels["aplain"].display_name) == (False, "Aplain")


def test_a_kernelspec_that_cannot_be_started_is_refused(spec: Spec) -> None:
    spec("gone", ["/no/such/python", *OURS])
    for name, words in (("gone", "/no/such/python"), ("nosuch", "No kernelspec 'nosuch'")):
        with pytest.raises(BridgeError) as refusal:
            by_name(name)
        assert refusal.value.code == "no_such_kernelspec"
        assert words in refusal.value.message


def test_one_kernelspec_has_any_name(spec: Spec) -> None:
    spec("mine", [sys.executable, *OURS])
    one = by_name("mine")
    assert OneSpec(one).get_kernel_spec("whatever") is one


def test_the_kernel_of_an_interpreter_runs_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernelspecs, "_look", lambda _: ("/env", True))
    made = of_interpreter(sys.executable)
    assert made.argv == [sys.executable, *OURS]
    assert made.env["VIRTUAL_ENV"] == "/env"
    assert made.env["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


@pytest.mark.parametrize("layout", ["bin/python", "Scripts/python.exe", "python.exe"])
def test_an_environment_is_named_by_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    monkeypatch.setattr(kernelspecs, "_look", lambda _: (str(tmp_path), True))
    python = tmp_path / "env" / layout
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert of_interpreter(str(tmp_path / "env")).argv[0] == str(python), "a link says which environment it is"


def test_what_is_no_python_and_a_python_without_the_bridge_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    false = shutil.which("false")
    assert false is not None
    for interpreter, words in (
        (str(tmp_path), "no Python at"),
        (str(tmp_path / "nosuch"), "no Python at"),
        (false, "does not answer as a Python"),
    ):
        with pytest.raises(BridgeError) as refusal:
            of_interpreter(interpreter)
        assert refusal.value.code == "bad_request"
        assert words in refusal.value.message
    monkeypatch.setattr(kernelspecs, "_look", lambda _: (str(tmp_path), False))
    with pytest.raises(BridgeError) as refusal:
        of_interpreter(sys.executable)
    assert f"{sys.executable} -m pip install marimo-kernel-bridge" in refusal.value.hint
    (tmp_path / "pyvenv.cfg").write_text("home = /usr\nuv = 0.9\n")
    with pytest.raises(BridgeError) as refusal:
        of_interpreter(sys.executable)
    assert f"uv pip install --python {sys.executable}" in refusal.value.hint


def test_this_interpreter_has_the_bridge() -> None:
    assert kernelspecs._look(Path(sys.executable)) == (sys.prefix, True)


def test_an_interpreter_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_arguments: object, **_options: object) -> None:
        raise subprocess.TimeoutExpired("python", 30)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(BridgeError) as refusal:
        of_interpreter(sys.executable)
    assert refusal.value.code == "bad_request"


# Installing


def written(place: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((place / "kernel.json").read_text())
    return content


def test_the_kernelspec_names_this_interpreter(tmp_path: Path) -> None:
    place = install_kernelspec(prefix=tmp_path)
    assert place == tmp_path / "share/jupyter/kernels/marimo"
    assert written(place)["argv"] == [sys.executable, *OURS]
    assert written(place)["display_name"] == "marimo (reactive Python)"
    assert found_by_jupyter("marimo") != place.resolve()


def test_a_kernelspec_of_another_name_can_be_told_by_its_title(tmp_path: Path) -> None:
    named = install_kernelspec(name="second", prefix=tmp_path)
    assert written(named)["display_name"] == "marimo (reactive Python) second"
    titled = install_kernelspec(name="third", display_name="My kernel", prefix=tmp_path)
    assert written(titled)["display_name"] == "My kernel"


def test_a_kernelspec_with_a_pool_names_its_provisioner_and_options(
    jupyter_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "trouble", lambda *_: "")
    place = install_kernelspec(user=True, pool=PoolOptions(("numpy",), 60.0, 4))
    assert written(place)["metadata"]["kernel_provisioner"] == {
        "provisioner_name": PROVISIONER,
        "config": {"preload": ["numpy"], "idle_timeout": 60.0, "limit": 4},
    }
    assert written(place)["display_name"].endswith("marimo, warm pool")
    assert place == jupyter_path / "marimo"
    assert found_by_jupyter("marimo") == place.resolve()


def test_a_module_that_cannot_be_preloaded_installs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "trouble", lambda *_: "nosuch: no module")
    with pytest.raises(BridgeError) as refusal:
        install_kernelspec(prefix=tmp_path, pool=PoolOptions(("nosuch",)))
    assert "nosuch: no module" in refusal.value.message
    assert list(tmp_path.glob("share/**/kernel.json")) == []


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BridgeError) as refusal:
        install_kernelspec(name="no name", prefix=tmp_path)
    assert refusal.value.code == "bad_request"
