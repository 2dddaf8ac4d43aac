"""Which package brings a module, where the two are called differently: marimo's table."""

from __future__ import annotations

from marimo._runtime.packages.module_name_to_pypi_name import module_name_to_pypi_name


def package_of(module: str) -> str:
    """Return the name to install for a top-level module."""
    return module_name_to_pypi_name().get(module, module.replace("_", "-"))
