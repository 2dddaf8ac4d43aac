"""What is said of the project in several places is the same everywhere."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "uv.lock").read_text()


def named(requirements):
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def test_the_lock_has_every_dependency_and_no_other():
    (own,) = [package for package in tomllib.loads(LOCK)["package"] if package["name"] == PROJECT["name"]]
    wanted = named(PROJECT["dependencies"]).union(*map(named, PROJECT["optional-dependencies"].values()))
    assert {entry["name"] for entry in own["metadata"]["requires-dist"]} == wanted, "run: make lock"


def test_the_lock_names_the_public_index_alone():
    hosts = set(re.findall(r"https?://([^/\"]+)", LOCK))


def test_ci_runs_every_python_that_the_package_names():
    named = {line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r"Python :: 3\.", line)}
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert set(jobs["linux"]["strategy"]["matrix"]["python"]) == named
    assert set(jobs["others"]["strategy"]["matrix"]["python"]) <= named


@pytest.mark.parametrize("workflow", sorted(ROOT.glob(".github/workflows/*.yml")), ids=lambda path: path.stem)
def test_workflows_call_targets_that_exist(workflow):
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    called = {
        target
        for job in yaml.safe_load(workflow.read_text())["jobs"].values()
        for step in job["steps"]
        for line in re.findall(r"(?m)^make (.+)$", step.get("run", ""))
        for target in line.split()
    }
    assert called <= targets
