"""What registries and hosts take: server.json and the .mcpb bundle, by their schemas."""

import json
import re
import sys
import tomllib
import zipfile
from pathlib import Path

import jsonschema
import pytest

from marimo_kernel_bridge.mcp_server.tool import TIERS

ROOT = Path(__file__).parents[2]
SCHEMAS = Path(__file__).parent / "schemas"
sys.path.insert(0, str(ROOT / "distribution"))
import bundle  # noqa: E402  # a script


def check(value: object, schema: str) -> None:
    loaded = json.loads((SCHEMAS / schema).read_text())
    kind = jsonschema.validators.validator_for(loaded)
    kind.check_schema(loaded)
    kind(loaded).validate(value)


def test_server_json_is_what_the_registry_takes() -> None:
    server = json.loads((ROOT / "server.json").read_text())
    check(server, "server.schema.json")
    with pytest.raises(jsonschema.ValidationError):
        check({**server, "description": "x" * 101}, "server.schema.json")
    (package,) = server["packages"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert package["identifier"] == project["project"]["name"]
    fallback = project["tool"]["hatch"]["version"]["fallback-version"]
    assert {server["version"], package["version"]} == {fallback.partition(".dev")[0]}


def test_the_registry_finds_the_servers_name_in_the_readme_that_pypi_shows() -> None:
    name = json.loads((ROOT / "server.json").read_text())["name"]
    assert f"<!-- mcp-name: {name} -->" in (ROOT / "README.md").read_text()


def test_the_permissions_that_registry_and_bundle_offer_are_the_programs() -> None:
    (package,) = json.loads((ROOT / "server.json").read_text())["packages"]
    (allow,) = [one for one in package["packageArguments"] if one.get("name") == "--allow"]
    assert allow["choices"] == list(TIERS)
    described = bundle.manifest("1.0")["user_config"]["allow"]
    assert re.findall(r"(\w+):", described["description"]) == list(TIERS)
    assert {allow["default"], described["default"]} == {"propose"}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "marimo_kernel_bridge-2026.11.1.dev3-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


def test_a_bundle_is_what_hosts_take_and_has_all_that_its_manifest_names(wheel: Path, tmp_path: Path) -> None:
    path = bundle.write_bundle(wheel, tmp_path / "out")
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files["manifest.json"])
    check(manifest, "mcpb-manifest.schema.json")
    with pytest.raises(jsonschema.ValidationError):
        check({**manifest, "unknown": 1}, "mcpb-manifest.schema.json")
    assert {manifest["server"]["entry_point"], manifest["icon"], "pyproject.toml", wheel.name} < set(files)
    assert manifest["version"] == "2026.11.1-dev3"
    project = tomllib.loads(files["pyproject.toml"].decode())
    assert project["tool"]["uv"]["sources"][bundle.NAME] == {"path": wheel.name}
    assert files[wheel.name] == b"a wheel"
    compile(files["server.py"], "server.py", "exec")
    arguments = manifest["server"]["mcp_config"]["args"]
    assert set(re.findall(r"\$\{user_config\.(\w+)\}", " ".join(arguments))) == set(manifest["user_config"])


def test_the_same_wheel_makes_the_same_bundle(wheel: Path, tmp_path: Path) -> None:
    first, second = (bundle.write_bundle(wheel, tmp_path / name).read_bytes() for name in "ab")
    assert first == second


def test_server_json_gets_the_version_of_the_wheel(tmp_path: Path) -> None:
    server = json.loads(bundle.write_server_json("2026.12.0", tmp_path).read_text())
    assert (server["version"], server["packages"][0]["version"]) == ("2026.12.0", "2026.12.0")
    check(server, "server.schema.json")
