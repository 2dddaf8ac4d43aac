"""Packages: what is missing, and installing it into the kernel's own environment, with the person's consent."""

import json
import os
import socket
import sysconfig

import pytest
from environments import make_environment, make_wheel
from mcp import Client
from mcp.types import ElicitResult
from person import BOUND, Agent, add, refused

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Where pip finds packages here: nowhere else."""
    directory = tmp_path_factory.mktemp("shelf")
    for version in ("1.0", "2.0"):
        make_wheel(directory, "brdg_tiny", version)
    return directory


@pytest.fixture(scope="module")
def offline(shelf) -> dict[str, str]:
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shelf)}


@pytest.fixture(scope="module")
async def owner(serve, offline):
    """An agent that may do all. Its server has the environment that its kernels inherit."""
    return await serve("auto", "--allow", "all", env=offline)


@pytest.fixture
async def kernel(owner, tmp_path):
    """A connection file of a kernel in an environment of its own."""
    python = make_environment(tmp_path / "env")
    answer = await owner("start_kernel", interpreter=str(python))
    assert not answer.failed, answer.text
    assert answer.data["interpreter"] == str(python)
    yield answer.data["connection_file"]
    await owner("control_kernel", action="shut_down")


@pytest.fixture
def audited(data_dir):
    """What the audit log has about installing since the test began."""
    path = data_dir / "marimo_kernel_bridge" / "audit.jsonl"
    seen = len(path.read_text().splitlines())

    def lines() -> list[dict]:
        new = map(json.loads, path.read_text().splitlines()[seen:])
        return [line for line in new if line["tool"] == "install_packages"]

    return lines


# What is missing


async def test_missing_imports_are_listed_before_and_after_they_fail(owner, kernel):
    cell = (await owner("edit_cells", edits=[add("def f():\n    import sklearn_nosuch")])).data["cell_id"]
    found = (await owner("list_errors")).data
    assert found["errors"] == []
    assert found["missing"] == [{"module": "sklearn_nosuch", "package": "sklearn-nosuch", "cells": [cell]}]
    failed = (await owner("edit_cells", edits=[add("x = 1\nimport brdg_tiny")])).data["cell_id"]
    (error,) = (await owner("list_errors")).data["errors"]
    assert (error["cell_id"], error["kind"], error["line"]) == (failed, "missing_package", 2)
    assert error["code"] == "import brdg_tiny"
    assert "install_packages(['brdg-tiny'])" in error["hint"]


# Installing


async def test_packages_are_installed_into_the_kernels_own_environment(owner, kernel, tmp_path, audited):
    failed = (await owner("edit_cells", edits=[add("import brdg_tiny\nbrdg_tiny.version")])).data["cell_id"]
    answer = (await owner("install_packages", packages=["brdg-tiny==1.0"], timeout=BOUND)).data
    assert answer["status"] == "ok", answer
    assert answer["packages"] == [{"name": "brdg_tiny", "before": None, "after": "1.0"}]
    assert "Successfully installed" in answer["outputs"]
    assert answer["to_run"] == [failed]
    assert f"run_cells(cell_ids=['{failed}'])" in answer["message"]
    assert list(tmp_path.glob("env/lib/*/site-packages/brdg_tiny.py"))
    ran = await owner("run_cells", cell_ids=[failed])
    assert ran.data["outputs"] == "'1.0'"
    assert (await owner("list_errors")).data["errors"] == []

    again = await owner("install_packages", packages=["brdg-tiny==1.0"])
    assert "all was there already" in again.data["message"]
    newer = await owner("install_packages", packages=["brdg-tiny>1"])
    assert newer.data["packages"] == [{"name": "brdg_tiny", "before": "1.0", "after": "2.0"}]
    assert "restart" in newer.data["message"]
    assert "brdg_tiny" in newer.data["message"]
    assert {line["consent"] for line in audited()} == {"standing: --allow all"}


async def test_an_installation_that_fails_says_why(owner, kernel):
    answer = await owner("install_packages", packages=["brdg-tiny==7"])
    assert answer.data["status"] == "error"
    assert "exit code 1" in answer.data["message"]
    assert "No matching distribution" in answer.data["outputs"]
    assert refused(await owner("install_packages", packages=["--help"]), "bad_request")


async def test_a_file_of_pips_name_beside_the_notebook_is_not_run(owner, tmp_path):
    (tmp_path / "pip.py").write_text("print('not pip')")
    python = make_environment(tmp_path / "env")
    await owner("start_kernel", interpreter=str(python), directory=str(tmp_path))
    answer = await owner("install_packages", packages=["brdg-tiny"])
    assert answer.data["status"] == "ok", answer.text
    assert "not pip" not in answer.text
    await owner("control_kernel", action="shut_down")


async def test_uv_installs_where_uv_made_the_environment(owner, shelf, tmp_path):
    python = make_environment(tmp_path / "env")
    settings = tmp_path / "env/pyvenv.cfg"
    settings.write_text(f"{settings.read_text()}uv = 0.9.0\n")
    (tmp_path / "uv.toml").write_text(f"no-index = true\nfind-links = [{str(shelf)!r}]\n")
    await owner("start_kernel", interpreter=str(python), directory=str(tmp_path))
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}"
    await owner(
        "execute_code", code=f"import os\nos.environ['PATH'] = {path!r} + os.environ['PATH']", scratch=True
    )
    answer = await owner("install_packages", packages=["brdg-tiny<2"])
    assert answer.data["message"].startswith(f"uv for {python} is done"), answer.text
    assert answer.data["packages"] == [{"name": "brdg_tiny", "before": None, "after": "1.0"}]
    await owner("control_kernel", action="shut_down")


async def test_an_installation_is_interrupted_and_the_kernel_goes_on(owner, kernel):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes pip's connection and says nothing
        links = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        await owner("execute_code", code=f"import os\nos.environ['PIP_FIND_LINKS'] = {links!r}", scratch=True)
        run = await owner("install_packages", packages=["brdg-tiny"], timeout=5)
        assert run.data["status"] == "running"
        await owner("interrupt_run", run_id=run.data["run_id"])
        over = await owner("read_run", run_id=run.data["run_id"], timeout=BOUND)
        assert over.data["status"] == "interrupted", over.text
    assert (await owner("execute_code", code="6 * 7")).data["outputs"] == "42"


# Consent


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("said", ["yes", "no"])
async def test_the_person_is_asked_by_a_client_that_can(serving, kernel, mode, said, audited):
    asked: list[str] = []

    async def answer_for_person(_context, params):
        asked.append(params.message)
        return ElicitResult(action="accept", content={"install": said == "yes"})

    async with Client(serving(), mode=mode, elicitation_callback=answer_for_person) as client:
        agent = Agent(client)
        await agent("connect_to_kernel", connection_file=kernel)
        answer = await agent("install_packages", packages=["brdg-tiny"])
        assert len(asked) == 1
        assert "brdg-tiny with pip into" in asked[0]
        if said == "yes":
            assert answer.data["packages"][0]["name"] == "brdg_tiny", answer.text
        else:
            assert refused(answer, "not_allowed")
        assert [line["consent"] for line in audited()] == [said, said]
        assert refused(await agent("install_packages", packages=["--pre"]), "bad_request")
        assert len(asked) == 1
        assert audited()[-1]["consent"] == "not asked"
