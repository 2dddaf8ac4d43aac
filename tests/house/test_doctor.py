"""`doctor` is red with the reason where something is broken. It is green in test_docs.py, and in test_wheel.py."""

import asyncio
import json
import os
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from marimo_kernel_bridge.cli import doctor, vscode
from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.client import front_end
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.install import install_kernelspec
from marimo_kernel_bridge.launch.pool.protocol import PoolOptions
from marimo_kernel_bridge.mcp_server.transport import address


def verdicts(findings):
    return {finding.check: finding.verdict for finding in findings}


def the(check, findings):
    return next(finding for finding in findings if finding.check == check)


@pytest.fixture
def kernelspec(tmp_path, monkeypatch):
    """Put a kernelspec named marimo before all others: `kernelspec(argv)`."""

    def put(argv):
        folder = tmp_path / "kernels" / "marimo"
        folder.mkdir(parents=True)
        spec = {"argv": argv, "display_name": "broken", "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))

    return put


def test_a_kernelspec_whose_interpreter_is_gone_is_named_and_nothing_else_is_tried(kernelspec):
    kernelspec(["/no/such/python", "-m", "marimo_kernel_bridge", "kernel", "-f", "{connection_file}"])
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "FAILED   kernelspec: " in result.stdout
    assert "names the interpreter /no/such/python, which does not exist." in result.stdout
    assert "Run: marimo-kernel-bridge install --sys-prefix" in result.stdout
    assert "skipped  mcp: not checked, because there is no usable kernelspec" in result.stdout


def test_a_folder_of_jupyters_that_cannot_be_written_is_told_with_the_variables_that_name_it(
    tmp_path, monkeypatch
):
    def no_permission(*_):
        raise PermissionError(13, "Permission denied", "/home/nobody/.local")

    monkeypatch.setattr(doctor, "started_kernel", no_permission)
    findings = []
    asyncio.run(doctor._with_a_kernel(tmp_path, lambda *new: findings.extend(new)))
    assert verdicts(findings) == {
        "kernel": "FAILED",
        "reactivity": "skipped",
        "mcp": "skipped",
        "editor": "skipped",
    }
    assert "/home/nobody/.local" in the("kernel", findings).detail
    assert "Set JUPYTER_RUNTIME_DIR" in the("kernel", findings).hint


def test_what_a_pool_cannot_preload_is_named(tmp_path, monkeypatch):
    install_kernelspec(name="warm", prefix=tmp_path, pool=PoolOptions(("json",)))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share/jupyter"))
    assert [str(found) for found in doctor._pools()] == [
        "ok       pool: modules that the pool of 'warm' preloads: json"
    ]
    file = tmp_path / "share/jupyter/kernels/warm/kernel.json"
    file.write_text(file.read_text().replace('"json"', '"jsson"'))
    (found,) = doctor._pools()
    assert str(found) == (
        "FAILED   pool: The kernels of 'warm' start without a pool, because it cannot preload jsson: "
        "ModuleNotFoundError: No module named 'jsson'.\n"
        f"         Install the missing modules, or change `preload` in {file}."
    )


def test_a_kernelspec_of_an_older_release_is_told(kernelspec, tmp_path):
    module = ["-m", "marimo_kernel_bridge", "kernel", "-f", "{connection_file}"]
    kernelspec(["python", *module])
    unsafe = [found for found in doctor._unsafe_kernelspecs() if str(tmp_path) in found.detail]
    assert [found.verdict for found in unsafe] == ["FAILED"]
    assert "modules in a notebook's folder may run" in unsafe[0].detail
    assert "marimo-kernel-bridge install --sys-prefix --name marimo" in unsafe[0].hint
    file = tmp_path / "kernels/marimo/kernel.json"
    for argv in (
        ["python", "-P", *module],
        ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    ):
        file.write_text(json.dumps({"argv": argv, "display_name": "", "language": "python"}))
        assert not [found for found in doctor._unsafe_kernelspecs() if str(tmp_path) in found.detail]


def test_an_interpreter_without_the_package_is_named(kernelspec):
    kernelspec([sys.executable, "-m", "marimo_kernel_bridge"])
    finding = doctor._kernelspec()
    assert finding.verdict == "ok"
    problem = doctor._interpreter_problem(sys._base_executable)
    assert "cannot import marimo_kernel_bridge: ModuleNotFoundError" in problem


def test_a_missing_kernelspec_is_told_with_the_places_looked_at(monkeypatch):
    monkeypatch.setattr(doctor, "KERNELSPEC", "marimo-that-nobody-installed")
    finding = doctor._kernelspec()
    assert finding.verdict == "FAILED"
    assert "share/jupyter/kernels" in finding.detail
    assert "install" in finding.hint


def test_a_kernel_json_that_is_not_json_is_told(kernelspec, tmp_path):
    kernelspec([])
    (tmp_path / "kernels/marimo/kernel.json").write_text("{")
    finding = doctor._kernelspec()
    assert (finding.verdict, "cannot be read" in finding.detail) == ("FAILED", True)


def test_a_kernel_that_dies_at_start_is_told_with_its_last_words(kernelspec):
    kernelspec([sys.executable, "-c", "raise SystemExit('no luck today')", "{connection_file}"])
    findings = doctor.examine()
    assert verdicts(findings)["kernel"] == "FAILED"
    assert "no luck today" in the("kernel", findings).detail
    skipped = {check for check, verdict in verdicts(findings).items() if verdict == "skipped"}
    assert {"reactivity", "mcp", "editor"} <= skipped


def test_a_kernel_that_is_not_reactive_fails_reactivity_and_mcp(kernelspec, monkeypatch):
    monkeypatch.setattr(front_end, "SHOW_BOUND", 1.0)
    kernelspec([sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
    findings = doctor.examine()
    assert verdicts(findings)["kernel"] == "ok"
    assert verdicts(findings)["reactivity"] == verdicts(findings)["mcp"] == "FAILED"
    assert "the dependent's new output under its own cell" in the("reactivity", findings).detail
    assert "not_reactive" in the("mcp", findings).detail
    assert "shows no address" in the("editor", findings).detail


def test_an_mcp_server_that_does_not_start_is_told_with_its_last_words(monkeypatch, tmp_path):
    class Broken:
        def __init__(self, **_):
            self.command, self.args, self.env, self.cwd = (
                sys.executable,
                ["-c", "raise SystemExit('port of woe')"],
                {},
                None,
            )
            self.encoding, self.encoding_error_handler = "utf-8", "strict"

    monkeypatch.setattr("marimo_kernel_bridge.cli.demo_agent.StdioServerParameters", Broken)
    no_kernel = SimpleNamespace(connection_file="none.json", cells={})
    finding = asyncio.run(doctor._mcp(no_kernel, no_kernel, tmp_path))
    assert finding.verdict == "FAILED"
    assert "port of woe" in finding.detail


def test_an_unsupported_marimo_is_told_with_the_range(monkeypatch):
    def refuse():
        raise BridgeError("runtime_mismatch", "marimo 0.99 is installed.", "Run: pip install 'marimo<0.26'")

    monkeypatch.setattr(doctor, "check_version", refuse)
    finding = doctor._marimo()
    assert (finding.verdict, finding.detail) == ("FAILED", "marimo 0.99 is installed.")


def test_a_marimo_without_what_the_kernel_needs_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "missing_api", lambda: ["Kernel.mutate_graph is gone"])
    finding = doctor._marimo()
    assert (finding.verdict, "Kernel.mutate_graph is gone" in finding.detail) == ("FAILED", True)


def test_a_system_without_unix_sockets_is_told_the_port(monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / ("x" * 100)))
    assert "too long for a Unix socket" in doctor._running_server().detail
    monkeypatch.setattr(doctor, "HAVE_SOCKETS", False)
    finding = doctor._running_server()
    assert (finding.verdict, finding.detail) == (
        "ok",
        f"clients over HTTP find it on port {address.own_port()}",
    )


def test_another_user_on_the_port_of_the_server_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    assert doctor._running_server().verdict == "ok"
    monkeypatch.setattr(address, "foreign_listener", lambda *_: 4242)
    finding = doctor._running_server()
    assert (finding.verdict, finding.hint) == ("FAILED", "Choose another --port.")
    assert "User id 4242 listens on port" in finding.detail


def test_marimos_own_editors_are_told_with_how_to_let_agents_in(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert doctor._marimo_editors().verdict == "skipped"
    folder = tmp_path / "marimo" / "servers"
    folder.mkdir(parents=True)
    record = {"pid": os.getpid(), "host": "127.0.0.1", "port": 2718, "base_url": ""}
    (folder / "one.json").write_text(json.dumps(record))
    finding = doctor._marimo_editors()
    assert "cannot join what is open at http://127.0.0.1:2718" in finding.detail
    assert finding.hint == "Start it so: MARIMO_ENABLE_HOST=1 marimo edit NOTEBOOK.py"


# VS Code


def test_an_editor_with_another_version_of_the_extension_is_red_and_one_without_is_told_how_to_get_it(
    monkeypatch,
):
    states = [vscode.EditorState("code", "2020.1.0"), vscode.EditorState("cursor", None)]
    monkeypatch.setattr(vscode, "states", lambda: states)
    old, none = doctor._vscode()
    assert (old.verdict, none.verdict) == ("FAILED", "skipped")
    assert old.hint.endswith("vscode --install")
    assert none.hint.endswith("vscode --install --editor cursor")
