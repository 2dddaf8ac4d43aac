"""marimo's table of the packages that provide modules with a different name."""

from __future__ import annotations

from marimo._runtime.packages.module_name_to_pypi_name import module_name_to_pypi_name


def package_of(module: str) -> str:
    """Return the name of the package to install for a top-level module."""
    return module_name_to_pypi_name().get(module, module.replace("_", "-"))
