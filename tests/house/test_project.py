"""What is said of the project in several places is the same everywhere."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()


def test_the_lock_has_a_version_that_fits_of_every_dependency():
    locked: dict[str, set[str]] = {}
    for line in re.findall(r"(?m)^[a-z0-9].*==\S+", LOCK):
        requirement = Requirement(line)
        locked.setdefault(canonicalize_name(requirement.name), set()).update(
            part.version for part in requirement.specifier
        )
    extras = PROJECT["optional-dependencies"].values()
    for requirement in map(
        Requirement, [*PROJECT["dependencies"], *(line for lines in extras for line in lines)]
    ):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert any(requirement.specifier.contains(version) for version in versions), (
            f"{requirement}: run make lock"
        )


def test_the_lock_names_no_index():
    """Whoever installs from it chooses the index; the hashes say what must come from there."""
    assert not re.search(r"https?://", LOCK)
    assert LOCK.count("--hash=sha256:") > LOCK.count("==")


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


def test_what_refuses_malformed_text_refuses_deep_text_as_well():
    """JSON, TOML and YAML of a hundred thousand brackets raise RecursionError, which no handler of ValueError catches."""
    malformed = {
        "ValueError",
        "MsgspecError",
        "DecodeError",
        "JSONDecodeError",
        "TOMLDecodeError",
        "YAMLError",
    }
    forgetful = []
    for path in ROOT.glob("marimo_kernel_bridge/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Try) and any(map(_reads_text, map(ast.unparse, node.body))):
                caught = " ".join(ast.unparse(one.type) for one in node.handlers if one.type is not None)
                names = set(re.findall(r"\w+", caught))
                if names & malformed and not names & {"RecursionError", "Exception", "BaseException"}:
                    forgetful.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert forgetful == []


def _reads_text(statement):
    return re.search(
        r"\b(?:json\.loads?(?!\(match)|tomllib\.loads|yaml\.safe_load|literal_eval|[A-Z_]+\.decode)\(",
        statement,
    )


def test_no_class_but_implementations_of_protocols_and_visitors_has_more_than_25_methods():
    large = {
        node.name
        for path in ROOT.glob("marimo_kernel_bridge/**/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and sum(isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) for part in node.body) > 25
    }
    assert large == {"Engine", "NameReader"}
    protocols = _and_bases("runtime/interface.py", "Runtime")
    assert all("Protocol" in map(ast.unparse, each.bases) for each in protocols)
    public = {name for name in _members(_class("runtime/engine.py", "Engine")) if not name.startswith("_")}
    assert public <= set().union(*map(_members, protocols))
    reader = _class("analysis/name_reader.py", "NameReader")
    assert [ast.unparse(base) for base in reader.bases] == ["ast.NodeVisitor"]


def _class(path, name):
    tree = ast.parse((ROOT / "marimo_kernel_bridge" / path).read_text(encoding="utf-8"))
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def _and_bases(path, name):
    """Return a class and those of its bases that are in the same file."""
    found = _class(path, name)
    names = [ast.unparse(base) for base in found.bases if ast.unparse(base) != "Protocol"]
    return [found, *(each for base in names for each in _and_bases(path, base))]


def _members(of):
    """Return the names of methods and annotated attributes of a class."""
    methods = {part.name for part in of.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
    return methods | {part.target.id for part in of.body if isinstance(part, ast.AnnAssign)}


POINTS_ELSEWHERE = re.compile(
    r"(?i)#.*\b(?:as|see|like|lines?|classes|functions?|comments?) (?:above|below)\b|\bsee the module\b"
)


def test_no_comment_points_to_another_line_for_its_reason():
    pointing = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("marimo_kernel_bridge", "tests", "benchmarks", "distribution", "docs")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != Path(__file__) and "node_modules" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if POINTS_ELSEWHERE.search(line)
    ]
    assert pointing == []
