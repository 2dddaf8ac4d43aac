"""The configuration of engines in examples/scale is well-formed, and its bounds are what the kernel accepts."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from benchmarks.scale import Line, Step, fitted, most_kernels, rows_of
from marimo_kernel_bridge.protocol.written_bounds import limits_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "scale"
MIB = 2**20


def assigned(path: Path) -> dict[str, object]:
    """The constants that a script assigns, by what they are assigned to."""
    found: dict[str, object] = {}
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Assign):
            try:
                found[ast.unparse(node.targets[0])] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def bytes_of(size: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w*)", size).groups()  # type: ignore[union-attr]  # it is a size
    return float(number) * {"M": 1e6, "G": 1e9, "Mi": 2**20, "Gi": 2**30}[unit]


def test_each_file_is_what_its_name_says() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files} == {"", ".py", ".yaml", ".json"}
    for path in files:
        match path.suffix:
            case ".py":
                compile(path.read_text(), str(path), "exec")
            case ".yaml":
                assert isinstance(yaml.safe_load(path.read_text()), dict)
            case ".json":
                assert isinstance(json.loads(path.read_text()), dict)
            case _:
                instructions = re.findall(r"(?m)^([A-Z]+) ", path.read_text())
                assert instructions[0] == "FROM"
                assert set(instructions) <= {"FROM", "RUN", "USER", "WORKDIR", "CMD", "COPY", "ENV"}


def test_the_values_of_the_chart_say_the_same_as_the_configuration_of_the_spawner() -> None:
    config = assigned(FOLDER / "kubespawner_config.py")
    values = yaml.safe_load((FOLDER / "hub-values.yaml").read_text())["singleuser"]
    spawner = {
        name.removeprefix("c.KubeSpawner."): value
        for name, value in config.items()
        if name.startswith("c.KubeSpawner.")
    }
    assert f"{values['image']['name']}:{values['image']['tag']}" == spawner["image"]
    assert (values["uid"], values["fsGid"], values["startTimeout"]) == (
        spawner["uid"],
        spawner["fs_gid"],
        spawner["start_timeout"],
    )
    assert values["cpu"] == {"guarantee": spawner["cpu_guarantee"], "limit": spawner["cpu_limit"]}
    assert values["memory"] == {"guarantee": spawner["mem_guarantee"], "limit": spawner["mem_limit"]}
    assert values["extraEnv"] == spawner["environment"]
    assert values["storage"]["capacity"] == spawner["storage_capacity"]


def test_a_kernels_limit_of_memory_lies_below_that_of_its_pod() -> None:
    (of_image,) = re.findall(r"--limits '([^']+)'", (FOLDER / "Dockerfile").read_text())
    of_pod = assigned(FOLDER / "kubespawner_config.py")["c.KubeSpawner.mem_limit"]
    memory = limits_of(of_image).memory
    assert memory is not None
    assert memory < bytes_of(str(of_pod))
    launched = limits_of(str(assigned(FOLDER / "gateway/launch_ipykernel.py")["LIMITS"])).memory
    spec = json.loads((FOLDER / "gateway/kernel.json").read_text())
    assert launched is not None
    assert launched < bytes_of(spec["env"]["KERNEL_MEMORY_LIMIT"])


def test_the_launcher_takes_what_the_kernelspec_gives() -> None:
    spec = json.loads((FOLDER / "gateway/kernel.json").read_text())
    given = {word.removeprefix("--") for word in spec["argv"] if word.startswith("--")}
    (names,) = (
        node.iter
        for node in ast.walk(ast.parse((FOLDER / "gateway/launch_ipykernel.py").read_text()))
        if isinstance(node, ast.For)
    )
    assert set(ast.literal_eval(names)) == given
    assert {word.strip("{}") for word in spec["argv"] if word.startswith("{")} == {
        name.replace("-", "_") for name in given
    }
    assert spec["metadata"]["kernel_provisioner"]["provisioner_name"] == "kubernetes-provisioner"


def test_the_page_shows_commands_whose_limits_are_accepted() -> None:
    page = (ROOT / "docs/scale.md").read_text()
    (limits,) = re.findall(r"--limits (\S+)", page)
    assert limits_of(limits).cell_seconds == 3600
    for name in re.findall(r"\(\.\./(examples/scale/[^)]+)\)", page):
        assert (ROOT / name).is_file()


# What many sessions cost


def test_costs_are_a_line_over_the_number_of_kernels() -> None:
    line = fitted([(10, 150.0), (20, 250.0), (40, 450.0)])
    assert (round(line.base), round(line.each)) == (50, 10)
    assert line.at(1000) == pytest.approx(10_050)
    assert most_kernels(line, 1050) == 100
    assert most_kernels(Line(5, 1), 2) == 0
    assert fitted([(10, 100.0)]).each == pytest.approx(10)


def test_what_is_foretold_is_called_so_and_checked_against_what_was_measured() -> None:
    steps = [
        Step(count, (50 + 30 * count) * MIB, 0.001 * count, 0.2 * count, 60 * count) for count in (10, 50)
    ]
    good = {row.name: row for row in rows_of([*steps, Step(100, 3050 * MIB, 0.1, 20, 6000)], 1.0)}
    bad = {row.name: row for row in rows_of([*steps, Step(100, 9000 * MIB, 0.1, 20, 6000)], 1.0)}
    error = "memory of 100 kernels, foretold from 10, 50: error"
    assert (good[error].verdict, bad[error].verdict) == ("met", "missed")
    assert good["100 idle sessions (measured): memory"].value == pytest.approx(3050 / 1024)
    assert good["1000 idle sessions (foretold): memory"].value == pytest.approx(30_050 / 1024)
    assert good["processor of an idle kernel"].value == pytest.approx(0.1)
