"""Which plugins the person named, and what becomes of each: loaded, or left out for a reason that is told.

Only the named distributions are looked at: what else is installed is neither loaded nor searched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.mcp_server.answers.bounds import MOST_TEXT
from marimo_kernel_bridge.mcp_server.plugins.resources import ServedResource, resource_of
from marimo_kernel_bridge.mcp_server.plugins.tools import Origin, UnfitError, declaration_of
from marimo_kernel_bridge.plugins import API, GROUP, Plugin
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.regular_files import is_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from importlib.metadata import EntryPoint
    from pathlib import Path

    from marimo_kernel_bridge.mcp_server.tool import ToolDeclaration

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST: Final = 64
"""Characters of a tool's name, as hosts have them."""
_TEMPLATES: Final = (".ipynb", ".py")


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin in use."""

    origin: Origin
    tools: tuple[ToolDeclaration, ...] = ()
    resources: tuple[ServedResource, ...] = ()
    templates: tuple[tuple[str, Path], ...] = ()
    """By the names that `create_notebook` takes."""


@dataclass(frozen=True)
class LeftOut:
    """A distribution, or an entry point of it, that is not in use, and why."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"The plugin {self.name} is left out: {self.why}"


@dataclass(frozen=True)
class Plugins:
    """What became of the plugins that were named."""

    loaded: tuple[LoadedPlugin, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def tools(self) -> tuple[ToolDeclaration, ...]:
        return tuple(tool for plugin in self.loaded for tool in plugin.tools)

    @property
    def resources(self) -> tuple[ServedResource, ...]:
        return tuple(resource for plugin in self.loaded for resource in plugin.resources)

    @property
    def templates(self) -> dict[str, Path]:
        return dict(template for plugin in self.loaded for template in plugin.templates)


def load(distributions: Iterable[str], taken: Iterable[ToolDeclaration]) -> Plugins:
    """Load plugins by the names of their distributions. `taken` are the tools of the server, whose names nobody else gets."""
    owners = {tool.name: "this server" for tool in taken}
    loaded: list[LoadedPlugin] = []
    left_out: list[LeftOut] = []
    for name in dict.fromkeys(distributions):
        try:
            points = _entry_points(name)
        except UnfitError as unfit:
            left_out.append(LeftOut(name, str(unfit)))
            continue
        for origin, point in points:
            try:
                plugin = made(origin, _called(point))
                _require_free(plugin, owners)
            except UnfitError as unfit:
                left_out.append(LeftOut(origin.label, str(unfit)))
            else:
                owners |= {tool.name: origin.label for tool in plugin.tools}
                loaded.append(plugin)
    return Plugins(tuple(loaded), tuple(left_out))


def made(origin: Origin, plugin: object) -> LoadedPlugin:
    """Return a plugin with its tools as the server's own. Raises `UnfitError`."""
    if not isinstance(plugin, Plugin):
        raise UnfitError(f"its function returns a {type(plugin).__name__}, and no Plugin.")
    if plugin.api != API:
        newer = isinstance(plugin.api, int) and plugin.api > API
        raise UnfitError(
            f"it is written for version {plugin.api!r} of the interface, and this server has {API}. "
            + ("Upgrade marimo-kernel-bridge." if newer else "Look for a newer version of it.")
        )
    if not _NAME.fullmatch(origin.entry_point):
        raise UnfitError(
            f"the name {origin.entry_point!r} of its entry point is none for tools: small letters, digits and single underscores."
        )
    return LoadedPlugin(
        origin,
        tuple(_declarations(origin, plugin)),
        tuple(resource_of(origin, resource) for resource in plugin.resources),
        tuple(_templates(origin, plugin.templates)),
    )


def _declarations(origin: Origin, plugin: Plugin) -> Iterator[ToolDeclaration]:
    names: set[str] = set()
    for tool in plugin.tools:
        declaration = declaration_of(origin, tool)
        if declaration.name in names:
            raise UnfitError(f"it has two tools {declaration.name}.")
        if len(declaration.name) > _LONGEST:
            raise UnfitError(f"the name {declaration.name} has more than {_LONGEST} characters.")
        names.add(declaration.name)
        yield declaration


def _require_free(plugin: LoadedPlugin, owners: dict[str, str]) -> None:
    clash = next((tool.name for tool in plugin.tools if tool.name in owners), None)
    if clash is not None:
        raise UnfitError(
            f"its tool {clash} has the name of one of {owners[clash]}; neither replaces the other."
        )


def _entry_points(name: str) -> list[tuple[Origin, EntryPoint]]:
    try:
        distribution = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        raise UnfitError(
            f"no distribution of this name is installed beside the server. Install it with: {_how_to_install(name)}"
        ) from None
    found = [point for point in distribution.entry_points if point.group == GROUP]
    if not found:
        raise UnfitError(f"it is installed and has no entry point of the group {GROUP}.")
    return [(Origin(point.name, name, distribution.version), point) for point in found]


def _how_to_install(name: str) -> str:
    return f"pip install {name}" if re.fullmatch(r"[\w.-]+", name) else "pip install DISTRIBUTION"


def _called(point: EntryPoint) -> object:
    """Return what the function behind an entry point returns. Raises `UnfitError` if it cannot be imported, or fails."""
    doing = "imported"
    try:
        function = point.load()
        doing = "made"
        return function()
    except (Exception, SystemExit) as error:  # it is somebody else's code
        lines = split_lines(f"{type(error).__name__}: {error}".strip()) or [type(error).__name__]
        raise UnfitError(f"it cannot be {doing}: {lines[0][:MOST_TEXT]}") from error


def _templates(origin: Origin, paths: Collection[Path]) -> Iterator[tuple[str, Path]]:
    for path in paths:
        if path.suffix not in _TEMPLATES or not is_file(path):
            raise UnfitError(f"its template {path} is no .ipynb or .py file that is there.")
        yield f"{origin.entry_point}_{path.stem}", path
