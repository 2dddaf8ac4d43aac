"""What this package takes for granted about the packages that it patches and subclasses. A failure: they moved."""

import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from marimo_kernel_bridge.runtime import patches, supported_api
from marimo_kernel_bridge.startup import patching
from tests.unit.contracts import derived_api

RECORDED = patching.record()


def test_every_private_or_overridden_name_in_the_code_is_in_the_record_and_no_other() -> None:
    derived = derived_api.derived()
    added = {name: place for name, place in derived.items() if name not in RECORDED}
    unused = RECORDED.keys() - derived.keys()
    assert (added, unused) == ({}, set()), f"run `{derived_api.COMMAND}`, and look at what changed"


def test_every_private_attribute_in_the_code_is_known_to_be_somebodys() -> None:
    used = derived_api.private_attributes()
    owned = {**derived_api.OWNERS, **derived_api.OTHERS}
    assert (used.keys() - owned.keys(), owned.keys() - used.keys()) == (set(), set())


def test_the_installed_packages_have_what_is_recorded() -> None:
    moved = {
        name: (signature, known)
        for name, known in RECORDED.items()
        if (signature := derived_api.signature_of(name)) not in known
    }
    assert moved == {}


def test_no_name_is_recorded_as_missing() -> None:
    assert [name for name, known in RECORDED.items() if "missing" in known or not known] == []


@pytest.mark.parametrize("package", derived_api.PACKAGES)
def test_the_names_were_recorded_with_versions_that_the_package_allows(package: str) -> None:
    project = tomllib.loads((derived_api.ROOT.parent / "pyproject.toml").read_text())["project"]
    requirements = {Requirement(line).name.lower(): Requirement(line) for line in project["dependencies"]}
    allowed = requirements[package.lower()].specifier
    versions = patching.recorded_versions(package)
    assert versions
    assert [version for version in (*versions, metadata.version(package)) if version not in allowed] == []


def test_the_range_of_marimo_is_the_one_in_the_metadata() -> None:
    assert str(supported_api.supported()) in ",".join(metadata.requires("marimo-kernel-bridge") or ())


def test_the_page_about_the_patches_has_the_tables_of_the_code() -> None:
    text = derived_api.PAGE.read_text()
    assert derived_api.page(text) == text, f"run `{derived_api.COMMAND}`"


@pytest.mark.parametrize("patch", derived_api.patches(), ids=lambda patch: patch.target)
def test_a_replacement_takes_what_its_target_takes(patch: patching.Patch) -> None:
    (taken,) = RECORDED[patch.target]
    if patch.target == "marimo._messaging.print_override:print_override":
        assert patch.replacement is print
        return
    assert patching.signature(patch.replacement) == taken


@pytest.mark.parametrize("patch", derived_api.patches(), ids=lambda patch: patch.target)
def test_a_patch_says_why_and_names_an_upstream_issue_or_none(patch: patching.Patch) -> None:
    assert patch.why.endswith(".")
    assert patch.upstream == "none" or patch.upstream.startswith("https://github.com/")


def test_the_classes_that_are_checked_at_start_are_those_that_override_something() -> None:
    checked = {name for cls in patches.OVERRIDDEN for name in patching.overridden(cls)}
    assert all(patching.overridden(cls) for cls in patches.OVERRIDDEN)
    overriding = {
        name
        for name, place in derived_api.derived().items()
        if place.startswith("marimo_kernel_bridge/runtime/") and RECORDED[name][0].startswith("(self")
    }
    assert checked <= overriding
