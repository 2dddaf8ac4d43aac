"""Which files a sandbox gives: to write, to read, and what stays hidden. Looks at the disk, changes nothing.

`files = "folder"`: the notebook's folder, and to read the system's programs and Python's. `"read"`: to read all that the user
may, except hidden files of homes, other users' homes, passwords, and Jupyter's own folders. `"none"`: no folder of a notebook.
"""

from __future__ import annotations

import glob
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.sandbox.interpreters import configurations_of, in_environment, of_kernelspecs
from marimo_kernel_bridge.sandbox.links import way
from marimo_kernel_bridge.sandbox.repositories import led_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.protocol.bounds import Sandbox
    from marimo_kernel_bridge.sandbox.own_places import OwnPlaces

_PROGRAMS: Final = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/lib32",
    "/nix/store",
    "/opt/conda",
    "/etc/alternatives",
)
_SETTINGS: Final = tuple(
    f"/etc/{name}"
    for name in """bash.bashrc gitconfig gitattributes environment lsb-release debian_version locale.conf locale.alias wgetrc
    odbc.ini odbcinst.ini freetds ImageMagick-6 ImageMagick-7 gnutls ldap/ldap.conf ca-certificates fonts group gai.conf host.conf hostname hosts inputrc ld.so.cache ld.so.conf
    ld.so.conf.d localtime login.defs machine-id magic mailcap matplotlibrc mime.types networks nsswitch.conf OpenCL os-release
    passwd pki/tls/certs pki/ca-trust pip.conf profile protocols python3 resolv.conf services shells ssl/certs ssl/openssl.cnf
    terminfo timezone crypto-policies""".split()  # noqa: SIM905  # a list of words
)
_SYSTEM: Final = ("/proc", "/sys")
_RESOLVING: Final = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf")
DEVICES: Final = tuple(
    f"/dev/{name}"
    for name in "null zero full random urandom ptmx pts".split()  # noqa: SIM905
)
_SECRET: Final = tuple(
    f"/etc/{name}"
    for name in "shadow shadow- gshadow gshadow- sudoers sudoers.d ssh ssl/private kubernetes docker".split()  # noqa: SIM905
)
_HIDDEN: Final = (
    "/dev",
    "/run",
    "/tmp",  # noqa: S108  # is hidden
    "/var/tmp",  # noqa: S108
    "/var/run",
    "/var/log",
    "/var/spool",
    "/var/lib",
    "/boot",
    "/lost+found",
)
RUN_BY_OTHERS: Final = (
    *("HEAD", ".git", ".github", ".husky", ".pre-commit-config.yaml", ".envrc", "mise.toml", ".mise.toml"),
    *(
        ".devcontainer",
        ".vscode",
        ".idea",
        ".zed",
        ".rules",
        ".cursor",
        ".cursorrules",
        ".windsurf",
        ".windsurfrules",
    ),
    *(
        ".mcp.json",
        ".claude",
        "CLAUDE.md",
        "CLAUDE.local.md",
        ".agents",
        "AGENTS.md",
        "AGENTS.override.md",
        ".codex",
    ),
    *(
        ".gemini",
        "GEMINI.md",
        ".cline",
        ".clinerules",
        ".continue",
        ".continuerules",
        ".goose",
        ".goosehints",
    ),
    *(
        f"{program}_config.{ending}"
        for program in (
            *(
                "jupyter",
                "jupyter_server",
                "jupyter_lab",
                "jupyter_notebook",
                "jupyter_nbconvert",
                "jupyter_console",
            ),
            *("ipython", "ipython_kernel"),
        )
        for ending in ("py", "json")
    ),
)
"""What in a folder runs, or is followed, when the person works there with other programs.

A folder with `HEAD`, `objects` and `refs` is a repository itself, whose `config` names programs that git starts.
"""
_OF_REPOSITORIES: Final = ("config", "config.worktree", "commondir", "hooks", "info")
"""What git follows in a folder that has a `HEAD`."""
_ENVIRONMENTS: Final = ("*/pyvenv.cfg", ".*/pyvenv.cfg", "*/*/pyvenv.cfg", "*/.*/pyvenv.cfg")


@dataclass(frozen=True)
class Place:
    """A file or folder at a path, and which one it is."""

    path: str
    device: int
    number: int

    @classmethod
    def at(cls, path: str) -> Place | None:
        """Return what is at a path, which is no link; None if there is nothing."""
        try:
            status = os.lstat(path)
        except OSError:
            return None
        return cls(path, status.st_dev, status.st_ino)


@dataclass(frozen=True)
class Access:
    """The files of a sandbox: `kept` are those in what is writable that are only read."""

    writable: tuple[str, ...]
    kept: tuple[str, ...]
    readable: tuple[str, ...]
    looked_at: tuple[Place, ...] = ()
    """The writable folders that were looked at: code in another sandbox may put a link in place of one meanwhile."""
    links: tuple[tuple[str, str], ...] = ()
    """Links in what is writable by which others come to what is only read, or to something elsewhere, and what each says."""
    missing: tuple[str, ...] = ()
    """What such a link, or a kernelspec, leads to and what is not there."""

    def names_to_hold(self) -> dict[str, list[str]]:
        """Return which names code must not make, by folder."""
        names = {place.path: [*run_by_others(place.path)] for place in self.looked_at}
        for path in self.missing:
            names.setdefault(os.path.dirname(path), []).append(os.path.basename(path))  # noqa: PTH119, PTH120
        return {folder: [*dict.fromkeys(each)] for folder, each in names.items()}

    def steps(self) -> list[str]:
        """Return the folders between what is writable and what in it is held."""
        return steps((*self.kept, *dict(self.links)), self.writable)

    def and_kept(self, paths: Iterable[str]) -> Access:
        """Return the same with more that is only read."""
        return replace(self, kept=tuple(dict.fromkeys((*self.kept, *paths))))


def access(sandbox: Sandbox, folder: str, own: OwnPlaces) -> Access:
    """Return what a sandbox gives of the files of this machine. Raises `BridgeError`: sandbox_unavailable."""
    given = [os.path.realpath(path) for path in sandbox.writable]
    if sandbox.files != "none":
        given.insert(0, os.path.realpath(folder))
    protected = own.protected()
    _refuse_what_lies_elsewhere(sandbox, folder)
    for path in given:
        _refuse_what_holds(path, protected)
        _refuse_what_is_private(path, own)
    places = tuple(place for path in given if (place := Place.at(path)) is not None)
    python = _python()
    _refuse_paths_of_python(given)
    named = [*python, sys.prefix, sys.executable, *configurations_of(sys.executable), *of_kernelspecs()]
    for outer in given:
        named += (path for name in run_by_others(outer) if os.path.lexists(path := f"{outer}/{name}"))
        environments = (path for path in _found(outer, _ENVIRONMENTS) if os.path.isfile(path))  # noqa: PTH113
        named += (os.path.dirname(path) for path in environments)  # noqa: PTH120
        named += filter(os.path.lexists, in_environment(outer))
        named += led_to(outer)
    readable = [*_PROGRAMS, *_SETTINGS, *_SYSTEM, *python, *own.readable]
    if sandbox.network == "all":
        readable += _RESOLVING
    if sandbox.files == "read":
        readable += everything_but(hidden(protected, [*given, *own.writable]))
    kept, links, missing = _held(named, given)
    return Access(
        (*given, *own.writable), kept, tuple(dict.fromkeys(readable)), places, tuple(links.items()), missing
    )


def _held(
    named: Iterable[str], given: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, str], tuple[str, ...]]:
    """Return what of these paths code could change: where they lead, the links that they lead over, and what is not there yet."""
    ways = [way(path) for path in named if os.path.isabs(path)]  # noqa: PTH117

    def is_within(path: str) -> bool:
        return any(is_below(path, outer) and path != outer for outer in given)

    ends = dict.fromkeys(each.end for each in ways if each.missing is None and is_within(each.end))
    links = {path: said for each in ways for path, said in each.links if is_within(path)}
    kept = [end for end in ends if not any(is_below(end, other) for other in ends if other != end)]
    changeable = {path: said for path, said in links.items() if not any(is_below(path, end) for end in kept)}
    missing = [each.missing for each in ways if each.missing and is_within(each.missing)]
    open_to_code = [path for path in missing if not any(is_below(path, end) for end in kept)]
    return tuple(kept), changeable, tuple(dict.fromkeys(open_to_code))


def run_by_others(folder: str) -> tuple[str, ...]:
    """Return the names in a folder that other programs run or follow."""
    head = Path(folder, "HEAD")
    is_repository = head.is_symlink() or head.is_file()
    return RUN_BY_OTHERS + (_OF_REPOSITORIES if is_repository else ())


def is_below(path: str, folder: str) -> bool:
    """Return whether a path is a folder or in it; both are absolute and without links."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def hidden(protected: Iterable[str], shown: Sequence[str]) -> list[str]:
    """Return what `files = "read"` does not show of the machine, but `shown`."""
    home = os.path.realpath(Path.home())
    homes = ["/root", *glob.glob("/home/*")]  # noqa: PTH207  # as text
    others = [place for place in homes if place != home and not is_below(home, place)]
    dots = [entry.path for entry in _entries(home) if entry.name.startswith(".")]
    found = [*_HIDDEN, *_SECRET, *others, *dots, *(path for path in protected if path != home)]
    return [path for path in found if path not in shown]


def everything_but(hidden: Sequence[str], top: str = "/") -> list[str]:
    """Return paths that together hold all of `top` except what is hidden."""
    shown = []
    for entry in _entries(top):
        if entry.path in hidden or entry.is_symlink():
            continue
        if any(is_below(path, entry.path) for path in hidden):
            shown += everything_but(hidden, entry.path)
        else:
            shown.append(entry.path)
    return shown


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def steps(kept: Iterable[str], writable: Iterable[str]) -> list[str]:
    """Return the folders between what is writable and what in it is only read, the upper ones first.

    A mount point cannot be renamed, but a folder that holds one can: so each of these becomes one, too.
    """
    found = set()
    for path in kept:
        for outer in writable:
            folder = os.path.dirname(path)  # noqa: PTH120
            while is_below(folder, outer) and folder != outer:
                found.add(folder)
                folder = os.path.dirname(folder)  # noqa: PTH120
    return sorted(found - set(kept), key=len)


def _found(folder: str, patterns: Iterable[str]) -> list[str]:
    return [path for pattern in patterns for path in sorted(glob.glob(f"{glob.escape(folder)}/{pattern}"))]  # noqa: PTH207


def _refuse_paths_of_python(writable: Iterable[str]) -> None:
    """Refuse folders where Python looks for modules, and that code could make or replace: the next kernel's start runs them."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    for path in (*sys.path, *named):
        real = os.path.realpath(path)
        for outer in writable:
            if path and (real == outer or (is_below(real, outer) and not os.path.exists(real))):  # noqa: PTH110
                raise BridgeError(
                    "sandbox_unavailable",
                    f"{path} is on Python's path and would be writable in the sandbox: what code leaves there runs in the "
                    "next kernel before it is in one.",
                    "Nothing was started. Take it from PYTHONPATH, or install what is in it.",
                )


def _refuse_what_lies_elsewhere(sandbox: Sandbox, folder: str) -> None:
    """Refuse a folder outside of where the sandbox may be, and links: who asked for it may have seen another place."""
    here = os.path.realpath(folder)
    roots = [os.path.realpath(root) for root in sandbox.within]
    wrong = [here] if not all(is_below(here, root) for root in roots) else []
    wrong += [path for path in sandbox.writable if os.path.realpath(path) != os.path.normpath(path)]
    if wrong:
        raise BridgeError(
            "sandbox_unavailable",
            f"{wrong[0]} lies elsewhere than where the sandbox may be: {', '.join(roots) or 'a link leads there'}.",
            "Nothing was started. Name a folder there, without links.",
        )


def _refuse_what_is_private(path: str, own: OwnPlaces) -> None:
    """Refuse hidden folders of the home, such as `.ssh`, and what is in them: programs run or trust what is there."""
    home = os.path.realpath(Path.home())
    inner = path.removeprefix(f"{home}/")
    if (path.startswith(f"{home}/") and inner.startswith(".")) or is_below(path, own.data):
        raise BridgeError(
            "sandbox_unavailable",
            f"{path} is to be writable in the sandbox, and is hidden in the home: programs outside run or trust what is there.",
            "Nothing was started. Put the notebook into a folder of its own.",
        )


def _refuse_what_holds(path: str, protected: Iterable[str]) -> None:
    for held in protected:
        if is_below(held, path):
            raise BridgeError(
                "sandbox_unavailable",
                f"{path} is to be writable in the sandbox, and holds {held}: code in it could change what runs outside of it.",
                "Nothing was started. Put the notebook into a folder of its own.",
            )


def _python() -> list[str]:
    """Return the folders of this interpreter and its packages."""
    here = os.path.realpath(os.getcwd())  # noqa: PTH109
    home = os.path.realpath(Path.home())
    package = str(Path(__file__).parents[2])  # an editable installation lies anywhere
    found = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, *sys.path, package]
    found.append(os.path.dirname(os.path.realpath(sys.executable)))  # noqa: PTH120
    real = [os.path.realpath(path) for path in found if path and os.path.exists(path)]  # noqa: PTH110
    # Neither the working directory, which the sandbox may hide, nor a folder that holds the home.
    return list(dict.fromkeys(path for path in real if path != here and not is_below(home, path)))
