"""Packages are installed into a kernel's own environment, by pip and by uv. Consent and answers are in tests/unit."""

import asyncio
import json
import os
import socket
import sysconfig

import pytest
from environments import make_environment, make_wheel
from person import BOUND, add

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Where packages are found here: nowhere else."""
    directory = tmp_path_factory.mktemp("shelf")
    make_wheel(directory, "brdg_one", "1.0")
    for version in ("1.0", "2.0"):
        make_wheel(directory, "brdg_two", version)
    return directory


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The kernel's working directory, with its environment in it."""
    directory = tmp_path_factory.mktemp("work")
    make_environment(directory / "env")
    return directory


@pytest.fixture(scope="module")
async def agent(serve_here, shelf, folder, data_dir):
    """An agent that may do all, on a kernel in an environment of its own; the kernel inherits the server's variables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(shelf))
        patch.setenv("UV_OFFLINE", "1")
        patch.setenv("UV_FIND_LINKS", str(shelf))
        patch.setenv("JUPYTER_DATA_DIR", str(data_dir))
        agent = await serve_here("auto", "all")
        python = str(folder / "env/bin/python")
        answer = await agent("start_kernel", interpreter=python, directory=str(folder))
        assert (answer.data.get("interpreter"), answer.failed) == (python, False), answer.text
        yield agent
        await agent("control_kernel", action="shut_down")


async def look(agent, code: str) -> str:
    return (await agent("execute_code", code=code, scratch=True)).data.get("outputs", "")


async def test_pip_installs_into_the_kernels_own_environment(agent, folder, data_dir):
    (folder / "pip.py").write_text("print('not pip')")  # in pip's place, if pip ran beside the notebook
    failed = (await agent("edit_cells", edits=[add("import brdg_one\nbrdg_one.version")])).data["cell_id"]
    answer = (await agent("install_packages", packages=["brdg-one==1.0"], timeout=BOUND)).data
    assert answer["packages"] == [{"name": "brdg_one", "after": "1.0"}], answer
    assert "Successfully installed" in answer["outputs"]
    assert answer["to_run"] == [failed]
    assert list(folder.glob("env/lib/*/site-packages/brdg_one.py"))
    assert (await agent("run_cells", cell_ids=[failed])).data["outputs"] == "'1.0'"
    audited = (data_dir / "marimo_kernel_bridge" / "audit.jsonl").read_text().splitlines()
    consents = [line["consent"] for line in map(json.loads, audited) if line["tool"] == "install_packages"]
    assert set(consents) == {"standing: --allow all"}


async def test_uv_installs_where_uv_made_the_environment_and_a_newer_version_needs_a_restart(
    agent, folder, shelf, monkeypatch
):
    settings = folder / "env/pyvenv.cfg"
    made_by_venv = settings.read_text()
    (folder / "uv.toml").write_text("no-index = true\nfind-links = ['/no/such/shelf']\n")  # not the person's
    scripts = sysconfig.get_path("scripts")
    await look(agent, f"import os\nos.environ['PATH'] = {scripts!r}")  # to be told that there is uv
    monkeypatch.setenv("PATH", scripts, prepend=os.pathsep)
    settings.write_text(f"{made_by_venv}uv = 0.9.0\n")
    try:
        await agent("install_packages", packages=["brdg-two<2"])
        assert await look(agent, "import brdg_two\nbrdg_two.version") == "'1.0'"
        answer = await agent("install_packages", packages=["brdg-two>1"])
    finally:
        settings.write_text(made_by_venv)
    assert answer.data["message"].startswith(f"uv for {folder / 'env/bin/python'} is done"), answer.text
    assert answer.data["packages"] == [{"name": "brdg_two", "before": "1.0", "after": "2.0"}]
    assert "The kernel still has brdg_two in its old version" in answer.text


async def test_an_installation_is_interrupted_and_the_kernel_goes_on(agent, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes pip's connection and says nothing
        links = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setenv("PIP_FIND_LINKS", links)
        run = await agent("install_packages", packages=["brdg-nosuch"], timeout=0)
        silent.settimeout(BOUND)
        connection, _ = await asyncio.to_thread(silent.accept)
        with connection:
            await agent("interrupt_run", run_id=run.data["run_id"])
            over = await agent("read_run", run_id=run.data["run_id"], timeout=BOUND)
        assert over.data["status"] == "interrupted", over.text
    assert await look(agent, "6 * 7") == "42"
