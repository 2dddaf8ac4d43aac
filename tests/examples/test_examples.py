"""Each example does what its part of examples/README.md says."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from marimo_kernel_bridge.client.front_end import opened, started_kernel
from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER
from marimo_kernel_bridge.launch.pool.status import stop_pools
from marimo_kernel_bridge.mcp_server.hosts.installing import config_for
from marimo_kernel_bridge.mcp_server.hosts.servers import Stdio
from tests.isolation import Home

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
README = (EXAMPLES / "README.md").read_text()


@pytest.fixture(scope="module", autouse=True)
def _one_pool_has_imported_what_the_notebooks_need(module_home: Home) -> Iterator[None]:
    """Let the kernelspec's kernels come from a warm pool, and end the pools with the module."""
    folder = module_home.folder / "share/kernels/marimo"
    shutil.copytree(ROOT / "kernelspec", folder)
    spec = json.loads((folder / "kernel.json").read_text())
    config = {"preload": ["pandas", "matplotlib.pyplot"]}
    spec["metadata"]["kernel_provisioner"] = {"provisioner_name": PROVISIONER, "config": config}
    (folder / "kernel.json").write_text(json.dumps(spec))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(module_home.folder / "share"))
        yield
    assert all(pool.forked for pool in stop_pools())


@pytest.fixture(autouse=True)
def _pools_are_of_the_module(module_home: Home, home: Home) -> Iterator[None]:
    """Tests share a pool, so they share its home."""
    del home  # which would be lived in later
    with module_home.lived_in():
        yield


def commands(heading: str) -> list[str]:
    """The shell lines of a part of the page."""
    part = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [line for block in re.findall(r"```sh\n(.*?)```", part, re.DOTALL) for line in block.splitlines()]


def run(line: str, folder: Path) -> str:
    """Run a line of the page in another folder, so that what it writes is not in the checkout."""
    words = [str(ROOT / word) if word.startswith("examples/") else word for word in shlex.split(line)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long  # `tests/house/test_demo.py` has the same story on a notebook without pandas
def test_the_agents_change_is_followed(tmp_path: Path) -> None:
    (line,) = commands("An agent session")
    told = run(line, tmp_path)
    assert "60 euros" in told.split("> read_cell")[1]
    assert "2 cells ran because of the change." in told
    assert "> control_kernel" in told


@pytest.mark.long  # `tests/kernel/test_dialects.py` and `tests/pool/test_pooled_kernels.py` have nbclient
def test_a_batch_client_gets_the_outputs_of_dependents(tmp_path: Path) -> None:
    (line,) = commands("nbclient and papermill")
    written = [Path(name) for name in run(line, tmp_path).split()]
    assert [path.stem for path in written] == ["Adelie", "Chinstrap", "Gentoo"]
    for path in written:
        notebook = nbformat.read(tmp_path / path, as_version=4)
        (summary,) = [cell for cell in notebook.cells if cell.get("id") == "summary"]
        assert f"{path.stem} penguins weigh" in summary.outputs[0].text
        nbformat.validate(notebook)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        kinds = {kind for output in outputs for kind in output.get("data", ())}
        assert {"image/png", "text/html", "text/plain"} <= kinds


def test_the_import_reports_its_changes_and_the_result_runs(tmp_path: Path) -> None:
    importing, running = commands("An import")
    report = run(importing, tmp_path)
    assert "marimo check: passes" in report
    assert "numbers" in report
    assert run(running, tmp_path).splitlines()[-1] == "60 is the product of [1, 2, 3, 10]"


def test_vs_codes_configuration_is_what_print_config_gives() -> None:
    ours = json.loads(config_for("vscode", Stdio(("marimo-kernel-bridge", "mcp"))).text)
    assert json.loads((EXAMPLES / "vscode/.vscode/mcp.json").read_text()) == ours


@pytest.mark.timeout(180)
@pytest.mark.long  # in memory: `tests/unit/kernel/test_vscode.py`
def test_in_vs_code_a_change_shows_under_the_cells_that_depend_on_it() -> None:
    async def as_vs_code_runs_it() -> None:
        notebook = nbformat.read(EXAMPLES / "penguins.ipynb", as_version=4)
        codes = {
            f"vscode-notebook-cell:/penguins.ipynb#{cell.id}": cell.source
            for cell in notebook.cells
            if cell.cell_type == "code"
        }
        async with started_kernel("marimo", EXAMPLES, subprocess.DEVNULL) as manager, opened(manager) as page:
            for cell_id, code in codes.items():
                await page.run(cell_id, code)
            species, summary = (
                next(name for name in codes if name.endswith(f"#{end}")) for end in ("species", "summary")
            )
            assert "Adelie" in page.cells[summary].text
            await page.run(species, 'species = "Gentoo"')
            await page.until(lambda: "Gentoo" in page.cells[summary].text, "the summary's new output")

    asyncio.run(as_vs_code_runs_it())
