"""The limit and the kills of a memory controller, of both versions, in folders as the system has them."""

from pathlib import Path

import pytest

from marimo_kernel_bridge.protocol import cgroups


def made(root: Path, **files: str) -> str:
    """Make files of the memory controller: `made(root, **{"a/memory.max": "5"})`."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


V1 = {
    "memory/box/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    "memory/box/memory.limit_in_bytes": "600000000\n",
    "memory/box/memory.stat": "rss 5\ntotal_rss 400000000\n",
    "memory/memory.limit_in_bytes": "9223372036854771712\n",
}
V2 = {
    "box/memory.events": "low 0\noom 1\noom_kill 2\n",
    "box/memory.max": "max\n",
    "box/memory.stat": "anon 300000000\nfile 7\n",
    "memory.max": "800000000\n",
}


@pytest.mark.parametrize(
    ("files", "described", "folder", "found"),
    [
        (V1, "9:name=systemd:/\n4:memory:/box\n0::/\n", "memory/box", (600_000_000, 400_000_000, 3)),
        (V2, "0::/box\n", "box", (800_000_000, 300_000_000, 2)),
    ],
)
def test_both_versions_are_read(
    tmp_path: Path, files: dict[str, str], described: str, folder: str, found: tuple[int, int, int]
) -> None:
    root = made(tmp_path, **files)
    own = cgroups.own_folder(described, root)
    assert own == f"{root}/{folder}"
    assert (cgroups.limit(own, root), cgroups.used(own, root), cgroups.oom_kills(own, root)) == found


def test_in_a_container_the_own_group_is_the_root_of_what_is_mounted(tmp_path: Path) -> None:
    root = made(tmp_path, **{"memory.events": "oom_kill 1\n", "memory.max": "5000\n"})
    own = cgroups.own_folder("0::/docker/abc\n", root)
    assert (own, cgroups.limit(own, root)) == (root, 5000)


def test_without_any_nothing_is_known(tmp_path: Path) -> None:
    assert cgroups.own_folder("0::/\n", str(tmp_path)) == ""
    assert (cgroups.limit("", str(tmp_path)), cgroups.used(""), cgroups.oom_kills("")) == (0, 0, 0)


@pytest.mark.parametrize("folder", ["/etc", "{root}/../other", "{root}x", "relative", "{root}/a/../.."])
def test_no_folder_elsewhere_is_looked_at(tmp_path: Path, folder: str) -> None:
    root = tmp_path / "root"
    made(tmp_path, **{"other/memory.events": "oom_kill 7\n", "rootx/memory.events": "oom_kill 7\n"})
    made(root, **{"a/memory.max": "1"})
    assert cgroups.oom_kills(folder.format(root=root), str(root)) == 0


@pytest.mark.parametrize("text", ["", "oom_kill\n", "oom_kill x\n", "oom_kill -1\n", "oom_kill " + "9" * 40])
def test_a_count_that_is_none_is_zero(tmp_path: Path, text: str) -> None:
    root = made(tmp_path, **{"memory.events": text})
    assert cgroups.oom_kills(root, root) == 0
