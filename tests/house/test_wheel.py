"""The wheel, in an environment of its own: what a person gets from `make demo` and from `pip install`."""

import ast
import asyncio
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from pip_install import TOOLS, as_uv_says, pip_settings

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(600)]
installed = pytest.mark.long
"""Installing takes most of a minute; `make test` runs the demo and the doctor from the checkout."""


def run(*command, check=True, **options):
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=check, **options
    )


def uv(*words):
    options, variables = as_uv_says(pip_settings())
    return run(Path(sys.executable).parent / "uv", *words, *options, env=os.environ | variables)


def checked_out(folder):
    """Copy what git has, as a checkout elsewhere would have it."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--quiet", "--out-dir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    (wheel,) = built.glob("*.whl")
    return wheel


@dataclass
class Demo:
    """What `make demo` said when it installed and ran, what it was told to keep, and the programs of its environment."""

    installation: subprocess.CompletedProcess[str]
    run: subprocess.CompletedProcess[str]
    kept: Path
    programs: Path


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    checkout = checked_out(folder / "checkout")
    if (ROOT / TOOLS).exists():  # what `make install` has fetched
        (checkout / TOOLS).parent.mkdir(parents=True)
        (checkout / TOOLS).symlink_to(ROOT / TOOLS)
    make = ["make", f"PYTHON={sys.executable}", f"ARGS=--keep {folder / 'kept'}"]
    installation = run(*make, ".build/demo/.installed", check=False, cwd=checkout)
    share_compiled(checkout / ".build/demo")
    run_of_it = run(*make, "demo", check=False, cwd=checkout)
    return Demo(installation, run_of_it, folder / "kept", checkout / ".build/demo/bin")


def share_compiled(environment):
    """Link the compiled files of this environment into another: Python takes those whose source is the same file.

    Else the first processes of the new environment would compile the same packages again, for half a minute.
    """
    ours, others = (
        Path(sysconfig.get_path("purelib", vars={"base": str(prefix)}))
        for prefix in (sys.prefix, environment)
    )
    for package in others.iterdir():
        for compiled in (ours / package.name).rglob("__pycache__"):
            place = others / compiled.relative_to(ours)
            if place.parent.is_dir() and not place.exists():
                shutil.copytree(compiled, place, copy_function=os.link)


@pytest.fixture(scope="module")
def environment(wheel, demo):
    """The programs of that environment with nothing but the wheel, from pip, and what it needs: the demo's extra is gone."""
    python = demo.programs / "python"
    uv("pip", "install", "--exact", "--python", python, wheel)
    run(Path(sys.executable).parent / "uv", "pip", "uninstall", "--python", python, "marimo-kernel-bridge")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--quiet", wheel)
    return demo.programs


@installed
def test_make_demo_shows_every_step_in_a_checkout_elsewhere_and_leaves_what_it_made(demo):
    told, errors = demo.run.stdout, demo.installation.stderr + demo.run.stderr
    assert demo.run.returncode == 0, told + errors
    assert "Every step was checked" in told
    assert "Installing with pip" not in errors
    steps = [line for line in told.splitlines() if line[:1].isdigit()]
    assert [step.split(".")[0] for step in steps] == ["1", "2", "3", "4", "5"]
    person_before, person_after = told.split("\n4. ")
    assert "146 Adelie penguins" in person_before
    assert "119 Gentoo penguins" not in person_before
    assert "119 Gentoo penguins" in person_after
    assert "python penguins.py prints:\n      146 Adelie penguins" in person_after
    charts = [(demo.kept / f"chart-{species}.png").read_bytes() for species in ("Adelie", "Gentoo")]
    assert all(chart.startswith(b"\x89PNG") for chart in charts)
    assert charts[0] != charts[1]
    assert "marimo.App(" in (demo.kept / "penguins.py").read_text()


def test_the_wheel_holds_code_kernelspec_extension_example_and_licence_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith(".py")}
    extension = {name for name in names if "/labextensions/" in name}
    names -= extension
    assert {name.split("/labextensions/")[0] for name in extension} == {
        f"{wheel.name.rsplit('-', 3)[0]}.data/data/share/jupyter"
    }
    assert [name for name in extension if name.endswith("/package.json")]
    scripts = {
        info.filename: info.file_size
        for info in zipfile.ZipFile(wheel).infolist()
        if info.filename.endswith(".js")
    }
    [bundle] = [
        name for name in scripts if "/static/loader." in name
    ]  # which only those load who show an element
    assert scripts[bundle] <= 17 * 1024
    assert sum(size for name, size in scripts.items() if name in extension - {bundle}) <= 80 * 1024
    package = "marimo_kernel_bridge"
    spec_files = ["kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"]
    (about,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
    (data,) = {name.split("/")[0] for name in names if ".data/" in name}
    vsix = f"{package}/vscode/marimo-kernel-bridge.vsix"
    assert zipfile.ZipFile(BytesIO(zipfile.ZipFile(wheel).read(vsix))).testzip() is None
    names -= {vsix}
    page = {
        path.name
        for path in (ROOT / "marimo_kernel_bridge/viewing/page").iterdir()
        if path.suffix in {".html", ".css", ".js", ".ts"}
    }
    assert {"page.html", "page.css", "main.js"} <= page
    loader = {path.name for path in (ROOT / "marimo_kernel_bridge/kernel/live/page").iterdir()}
    assert {"loader.js", "frontend.js", "files.js"} <= loader
    assert names == {
        f"{package}/py.typed",
        *(f"{package}/kernel/live/page/{name}" for name in loader),
        f"{package}/mcp_server/hosts/SKILL.md",
        f"{package}/runtime/editor/unsent.js",
        *(f"{package}/viewing/page/{name}" for name in page),
        f"{package}/startup/supported_api.json",
        *(f"{package}/examples/{name}" for name in ("README.md", "penguins.csv", "penguins.ipynb")),
        *(f"{package}/kernelspec/{name}" for name in spec_files),
        *(f"{data}/data/share/jupyter/kernels/marimo/{name}" for name in spec_files),
        *(
            f"{about}/{name}"
            for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
        ),
    }


def test_the_sdist_has_text_and_the_built_extension_and_neither_pictures_nor_benchmarks(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        sizes = {member.name.partition("/")[2]: member.size for member in archive.getmembers()}
    names = list(sizes)
    assert sdist.stat().st_size < 2_700_000
    assert {name: size for name, size in sizes.items() if size > 50_000} == {
        "CHANGELOG.md": sizes["CHANGELOG.md"]
    }  # else data
    assert {name.split("/")[0] for name in names if "/" in name} == {
        "docs",
        "examples",
        "extensions",
        "kernelspec",
        "marimo_kernel_bridge",
        "tests",
    }
    assert [name for name in names if name.startswith("docs/images/")] == []


def imported_by(node):
    """Yield what a statement imports: each time the names of modules of which one is that."""
    if isinstance(node, ast.Import):
        yield from ((each.name,) for each in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from ((node.module, f"{node.module}.{each.name}") for each in node.names)


@pytest.mark.long
def test_the_tests_of_the_sdist_have_what_they_import(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        texts = {
            member.name.partition("/")[2]: archive.extractfile(member).read().decode()
            for member in archive.getmembers()
            if member.name.endswith(".py")
        }
    needed = {
        needs
        for name, text in texts.items()
        if name.startswith("tests/")
        for node in ast.walk(ast.parse(text))
        for needs in imported_by(node)
        if needs[0].split(".")[0] in {"tests", "docs"}
    }
    lacking = {
        places
        for places in needed
        if not {f"{place.replace('.', '/')}.py" for place in places} & texts.keys()
    }
    assert len(needed) > 20
    assert lacking == set()


@installed
def test_the_installed_version_is_that_of_the_wheel(wheel, environment, tmp_path):
    told = run(environment / "marimo-kernel-bridge", "--version", cwd=tmp_path).stdout.split()[-1]
    assert f"-{told}-" in wheel.name


@installed
def test_what_the_readme_installs_goes_together_with_the_wheel(wheel, environment):
    uv("pip", "install", "--dry-run", "--python", environment / "python", f"{wheel}[lab,demo]")


@installed
def test_jupyter_finds_the_kernelspec_of_the_installed_wheel(environment, tmp_path):
    listed = json.loads(run(environment / "jupyter", "kernelspec", "list", "--json", cwd=tmp_path).stdout)
    found = listed["kernelspecs"]["marimo"]
    assert Path(found["resource_dir"]) == environment.parent / "share/jupyter/kernels/marimo"
    assert found["spec"]["display_name"] == "marimo (reactive Python)"


@installed
def test_the_installed_wheel_passes_its_own_doctor(environment, tmp_path):
    result = run(environment / "marimo-kernel-bridge", "doctor", "--json", cwd=tmp_path, check=False)
    verdicts = {finding["check"]: finding["verdict"] for finding in json.loads(result.stdout)}
    assert result.returncode == 0, result.stdout
    skipped = {check for check, verdict in verdicts.items() if verdict == "skipped"}
    always = {"jupyterlab", "tables", "plugins"}
    assert always <= skipped <= {*always, "vscode", "marimo edit"}
    assert set(verdicts.values()) == {"ok", "skipped"}


async def tools_of(command, arguments):
    async with Client(
        StdioServerParameters(command=str(command), args=arguments, env=dict(os.environ))
    ) as client:
        return {tool.name for tool in (await client.list_tools()).tools}


@installed
def test_uvx_runs_the_wheel_and_configures_hosts_with_a_command_that_starts_the_server(
    wheel, tmp_path, monkeypatch
):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # uv leaves locks there
    program = Path(sys.executable).with_name("uv")
    options, variables = as_uv_says(pip_settings())
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ours = ("marimo-kernel-bridge", "mcp", "--allow", "propose", "--print-config", "cursor")
    printed = run(program, "tool", "run", *options, "--from", wheel, *ours)
    (entry,) = json.loads(printed.stdout)["mcpServers"].values()
    assert (entry["command"], entry["args"][:4]) == (str(program), ["tool", "run", "--from", str(wheel)])
    tools = asyncio.run(tools_of(entry["command"], entry["args"]))
    assert "propose_edit" in tools
    assert "execute_code" not in tools


@installed
def test_the_bundle_of_the_wheel_starts_the_server_as_its_manifest_says(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # uv leaves locks there
    run(sys.executable, ROOT / "distribution/bundle.py", wheel, tmp_path / "made")
    (made,) = (tmp_path / "made").glob("*.mcpb")
    folder = tmp_path / "bundle"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(folder)
    start = json.loads((folder / "manifest.json").read_text())["server"]["mcp_config"]
    words = {"${__dirname}": str(folder), "${user_config.allow}": "propose"}
    assert start["command"] == "uv"
    for name, value in as_uv_says(pip_settings())[1].items():
        monkeypatch.setenv(name, value)
    tools = asyncio.run(
        tools_of(Path(sys.executable).with_name("uv"), [words.get(word, word) for word in start["args"]])
    )
    assert "propose_edit" in tools


@installed
def test_without_the_extra_the_demo_says_what_to_install(environment, tmp_path):
    result = run(environment / "marimo-kernel-bridge", "demo", cwd=tmp_path, check=False)
    assert result.returncode == 1
    assert "pip install 'marimo-kernel-bridge[demo]'" in result.stderr


@installed
def test_without_the_extra_lab_says_what_to_install(environment, tmp_path):
    result = run(environment / "marimo-kernel-bridge", "lab", cwd=tmp_path, check=False)
    assert result.returncode == 1
    assert "pip install 'marimo-kernel-bridge[lab]'" in result.stderr
