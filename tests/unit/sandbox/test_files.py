"""What a sandbox gives of the files of a machine, and what it hides."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.hosts.clients import HOSTS
from marimo_kernel_bridge.protocol.bounds import Sandbox
from marimo_kernel_bridge.sandbox import own_places, placeholders, repositories, variables
from marimo_kernel_bridge.sandbox.files import (
    RUN_BY_OTHERS,
    access,
    everything_but,
    hidden,
    is_below,
    run_by_others,
    steps,
)
from marimo_kernel_bridge.sandbox.links import Way, way
from marimo_kernel_bridge.sandbox.own_places import OwnPlaces
from marimo_kernel_bridge.sandbox.variables import cleaned, name_an_image, named_in


@pytest.fixture
def own(tmp_path: Path) -> OwnPlaces:
    return own_places.make(str(tmp_path / "kernel.json"), tmp_path / "checkpoints", packages=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    return made


def test_the_folder_is_written_and_the_home_is_not_even_read(own: OwnPlaces, folder: Path) -> None:
    given = access(Sandbox(), str(folder), own)
    home = os.path.realpath(Path.home())
    assert str(folder) in given.writable
    assert not [path for path in (*given.writable, *given.readable) if is_below(home, path)]


def test_no_folder_is_given_where_none_is_wanted(own: OwnPlaces, folder: Path) -> None:
    given = access(Sandbox(files="none"), str(folder), own)
    assert not [path for path in (*given.writable, *given.readable) if is_below(str(folder), path)]


def test_a_folder_that_holds_the_home_is_refused(own: OwnPlaces) -> None:
    for holds in (Path.home(), Path.home().parent, Path(own.data)):
        with pytest.raises(BridgeError, match="folder of its own") as refused:
            access(Sandbox(), str(holds), own)
        assert refused.value.code == "sandbox_unavailable"
    with pytest.raises(BridgeError, match="folder of its own"):
        access(Sandbox(files="none", writable=("/",)), "/", own)


def test_an_environment_of_python_in_the_folder_is_kept(
    own: OwnPlaces, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".venv").mkdir()
    monkeypatch.setattr("sys.prefix", str(folder / ".venv"))
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("")
    assert access(Sandbox(), str(folder), own).kept == (str(folder / ".venv"), str(folder / ".git"))


def test_the_environment_of_an_installed_kernelspec_is_kept_however_deep_it_lies(
    own: OwnPlaces, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment = folder / "a/b/c/env"
    (environment / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text("")
    programs = folder / "d/e/f/programs"
    programs.mkdir(parents=True)
    for name, text in {
        "deep": json.dumps({"argv": [str(environment / "bin/python"), "-m", "ipykernel"]}),
        "other": json.dumps({"argv": [str(programs / "kernel")]}),
        "relative": json.dumps({"argv": ["python"]}),
        "odd": "[]",
        "broken": "{",
    }.items():
        (tmp_path / "jupyter/kernels" / name).mkdir(parents=True)
        (tmp_path / "jupyter/kernels" / name / "kernel.json").write_text(text)
    assert str(environment) not in access(Sandbox(), str(folder), own).kept
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    (programs / "kernel").write_text("")
    kept = access(Sandbox(), str(folder), own).kept
    assert {str(environment), str(programs / "kernel")} <= set(kept)
    assert str(programs) not in kept


def test_a_kernelspec_of_the_folder_itself_leaves_that_to_be_written(
    own: OwnPlaces, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    spec = tmp_path / "jupyter/kernels/mine/kernel.json"
    spec.parent.mkdir(parents=True)
    (folder / "kernel.sh").write_text("")
    spec.write_text(json.dumps({"argv": [str(folder / "kernel.sh")]}))
    assert access(Sandbox(), str(folder), own).kept == (f"{folder}/kernel.sh",)
    for name in ("bin", "lib"):
        (folder / name).mkdir()
    for name in ("pyvenv.cfg", "bin/python"):
        (folder / name).write_text("")
    spec.write_text(json.dumps({"argv": [str(folder / "bin/python")]}))
    assert set(access(Sandbox(), str(folder), own).kept) == {
        f"{folder}/{name}" for name in ("bin", "lib", "pyvenv.cfg")
    }


def test_a_path_leads_over_links_to_an_end_or_to_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for name, said in {
        "one": "a",
        "two": "one/b",
        "up": "a/b/../b",
        "absolute": str(tmp_path / "two"),
        "dangling": "a/none/deeper",
        "circle": "circle",
    }.items():
        (tmp_path / name).symlink_to(said)
    top = str(tmp_path)
    assert way(f"{top}/a/b") == Way((), f"{top}/a/b")
    assert way(f"{top}/two/x").links == ((f"{top}/two", "one/b"), (f"{top}/one", "a"))
    assert way(f"{top}/two/x").missing == f"{top}/a/b/x"
    assert way(f"{top}/up").end == f"{top}/a/b"
    assert way(f"{top}/absolute").end == f"{top}/a/b"
    assert way(f"{top}/dangling").missing == f"{top}/a/none"
    assert way(f"{top}/circle").links == ((f"{top}/circle", "circle"),)


def test_what_a_link_leads_to_in_the_folder_is_held_with_the_link(own: OwnPlaces, folder: Path) -> None:
    (folder / "docs").mkdir()
    (folder / ".github").symlink_to("docs")
    (folder / ".git").symlink_to("/usr")
    (folder / ".vscode").symlink_to("none/deep")
    (folder / ".idea").symlink_to(".")
    given = access(Sandbox(), str(folder), own)
    assert given.kept == (f"{folder}/docs",)
    assert dict(given.links) == {
        f"{folder}/{name}": said
        for name, said in {".git": "/usr", ".github": "docs", ".vscode": "none/deep", ".idea": "."}.items()
    }
    assert "none" in given.names_to_hold()[str(folder)]


def test_what_the_repository_of_the_folder_leads_to_is_held(own: OwnPlaces, folder: Path) -> None:
    for name in (".git", "scripts/hooks", ".githooks", "shared"):
        (folder / name).mkdir(parents=True)
    (folder / ".git/hooks").symlink_to("../scripts/hooks")
    (folder / ".gitconfig").write_text("")
    config = '[core]\n\thooksPath = ".githooks" # ours\n[include] path = ../.gitconfig\n[includeIf "x"]\n\tpath=../later/config\n'
    (folder / ".git/config").write_text(config)
    given = access(Sandbox(), str(folder), own)
    names = (".git", "scripts/hooks", ".githooks", ".gitconfig")
    assert set(given.kept) == {f"{folder}/{name}" for name in names}
    assert f"{folder}/later" in given.missing
    assert given.links == ()  # the link to the hooks is in what is only read


@pytest.mark.parametrize(
    ("config", "led_to"),
    [
        ('[core]\nhooksPath = "a#b"', ["a#b"]),
        ("[core]\nhooksPath = a#b", ["a"]),
        ("[core]\nhooksPath = a]b ; ours", ["a]b"]),
        ('[core] hooksPath = one" two" # ours', ["one two"]),
        (r'[core] hooksPath = "say \\ \"x\" "', ['say \\ "x" ']),
        ("[core]\r\nhooksPath = on\\\r\ne\r\n", ["one"]),
        ("[core]\nhooksPath = \\\n  one", ["one"]),
        ("[core]\n# for = a \\\nhooksPath = one", ["one"]),
        ('[includeIf "gitdir:a]b"] path = one', ["one"]),
        ("\ufeff[include] path = one", ["one"]),
        ('[core]\nhooksPath\n[remote "x"]\nurl = y', []),
    ],
)
def test_settings_of_git_are_read_as_git_reads_them(folder: Path, config: str, led_to: list[str]) -> None:
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text(config, newline="")
    found = repositories.led_to(str(folder))
    assert [path.removeprefix(f"{folder}/").removeprefix(".git/") for path in found] == led_to


def test_a_large_config_of_git_is_read_in_linear_time(folder: Path) -> None:
    (folder / ".git").mkdir()
    for text in (
        "[" * 900_000,
        "x = " + 'a "" ' * 200_000,
        "x = " + "\\\n" * 400_000,
        '[a "' + "\\\\" * 400_000,
    ):
        (folder / ".git/config").write_text(text)
        began = time.process_time()
        assert repositories.led_to(str(folder)) == []
        assert time.process_time() - began < 5


def test_a_repository_that_lies_elsewhere_in_the_folder_is_only_read(own: OwnPlaces, folder: Path) -> None:
    (folder / ".bare/worktrees/one").mkdir(parents=True)
    (folder / ".bare/worktrees/one/commondir").write_text("../..\n")
    (folder / ".git").write_text("gitdir: ./.bare/worktrees/one\n")
    assert set(access(Sandbox(), str(folder), own).kept) == {f"{folder}/.git", f"{folder}/.bare"}


def test_no_configuration_can_be_made_beside_an_interpreter_of_a_kernelspec(
    own: OwnPlaces, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    spec = tmp_path / "jupyter/kernels/mine/kernel.json"
    spec.parent.mkdir(parents=True)
    (folder / "tools").mkdir()
    (folder / "tools/python").symlink_to("/usr/bin/env")
    spec.write_text(json.dumps({"argv": [str(folder / "tools/python")]}))
    names = access(Sandbox(), str(folder), own).names_to_hold()
    assert "pyvenv.cfg" in names[str(folder)]
    assert names[f"{folder}/tools"] == ["pyvenv.cfg"]


def test_what_links_and_kernelspecs_lead_to_is_held_as_long_as_any_kernel_runs(
    own: OwnPlaces, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    spec = tmp_path / "jupyter/kernels/mine/kernel.json"
    spec.parent.mkdir(parents=True)
    (folder / "tools").mkdir()
    (folder / "tools/python").symlink_to("/usr/bin/env")
    spec.write_text(json.dumps({"argv": [str(folder / "tools/python")]}))
    (folder / "CLAUDE.md").symlink_to("nothing")
    (folder / ".envrc").symlink_to("later/on")
    first = placeholders.put(access(Sandbox(), str(folder), own).names_to_hold())
    given = access(Sandbox(), str(folder), own)
    assert f"{folder}/tools" not in given.kept  # it is no environment
    second = placeholders.put(given.names_to_hold())
    assert set(second.paths) == set(first.paths)
    held = [folder / name for name in ("nothing", "later", "pyvenv.cfg", "tools/pyvenv.cfg", ".git")]
    first.give_back()
    assert [path for path in held if not path.is_dir()] == []
    second.give_back()
    assert [path for path in held if path.exists()] == []


def test_folders_above_what_is_kept_keep_their_names(folder: Path) -> None:
    kept = [f"{folder}/a/b/env", f"{folder}/.git"]
    assert steps(kept, [str(folder)]) == [f"{folder}/a", f"{folder}/a/b"]


@pytest.mark.parametrize("place", ["", "made/later"])
def test_a_folder_on_pythons_path_that_code_could_fill_is_refused(
    own: OwnPlaces, folder: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(folder / place))
    with pytest.raises(BridgeError, match="on Python's path") as refused:
        access(Sandbox(), str(folder), own)
    assert refused.value.code == "sandbox_unavailable"
    access(Sandbox(files="none"), str(folder), own)


def test_everything_is_read_but_what_is_hidden(tmp_path: Path) -> None:
    for name in ("home/me/.ssh", "home/me/data", "home/other", "srv/files"):
        (tmp_path / name).mkdir(parents=True)
    top = str(tmp_path)
    shown = everything_but([f"{top}/home/me/.ssh", f"{top}/home/other"], top)
    assert shown == [f"{top}/home/me/data", f"{top}/srv"]


def test_hidden_files_of_the_home_passwords_and_our_own_folders_are_hidden(own: OwnPlaces) -> None:
    home = Path.home()
    (home / ".secret").mkdir(exist_ok=True)
    found = hidden(own.protected(), own.writable)
    assert {str(home / ".secret"), "/etc/shadow", os.path.realpath(own.data)} <= set(found)
    assert not {str(home), *own.writable} & set(found)


@pytest.mark.parametrize(
    "written",
    ['--sandbox={"environment": ["MINE"]}', "--sandbox=environment=MINE", "--sandbox=environment=OTHER,MINE"],
)
def test_a_variable_is_let_through_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("MINE", "1")
    monkeypatch.setenv("MINES", "2")
    assert named_in([written]) == ["MINE"]


def test_what_the_start_of_python_sets_is_forgotten_without_another_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(variables, "_executed_with", lambda: ["PATH"])
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("executed anew"))
    monkeypatch.setenv("SET_AT_START", "1")
    with monkeypatch.context() as inner:
        inner.setattr(os, "environ", dict(os.environ))
        variables.leave_secrets([])
        assert "SET_AT_START" not in os.environ
        assert "PATH" in os.environ


def test_a_folder_outside_of_where_the_sandbox_may_be_is_refused(
    own: OwnPlaces, folder: Path, tmp_path: Path
) -> None:
    access(Sandbox(within=(str(tmp_path),)), str(folder), own)
    (tmp_path / "link").symlink_to("/usr")
    for sandbox in (
        Sandbox(within=(str(tmp_path / "other"),)),
        Sandbox(within=(str(tmp_path), "/usr")),
        Sandbox(writable=(str(tmp_path / "link"),)),
    ):
        with pytest.raises(BridgeError, match="lies elsewhere") as refused:
            access(sandbox, str(folder), own)
        assert refused.value.code == "sandbox_unavailable"


def test_a_hidden_folder_of_the_home_is_not_written(own: OwnPlaces) -> None:
    keys = Path.home() / ".ssh/keys"
    keys.mkdir(parents=True, exist_ok=True)
    with pytest.raises(BridgeError, match="hidden in the home"):
        access(Sandbox(), str(keys), own)


def test_an_environment_has_what_programs_need_and_no_key() -> None:
    needed = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": "/x",
        "JPY_SESSION_NAME": "n",
    }
    secret = {
        "OPENAI_API_KEY": "1",
        "JUPYTERHUB_API_TOKEN": "2",
        "SSH_AUTH_SOCK": "/s",
        "PIP_INDEX_URL": "https://me:3@host",
    }
    assert cleaned({**needed, **secret}) == needed
    assert cleaned({**needed, **secret}, ["PIP_INDEX_URL"]) == {
        **needed,
        "PIP_INDEX_URL": secret["PIP_INDEX_URL"],
    }


def test_what_a_host_takes_from_a_project_is_kept_from_code() -> None:
    for client, host in HOSTS.items():
        assert host.in_projects or client == "claude-desktop"  # which knows no projects
        assert set(host.in_projects) <= set(RUN_BY_OTHERS), client
        words = "" if host.settings is None else host.settings.hint.split()
        assert {word.split("/")[0] for word in words if "/" in word} <= set(host.in_projects), client


def test_what_git_follows_in_a_folder_that_is_a_repository_is_only_read(own: OwnPlaces, folder: Path) -> None:
    assert "config" not in run_by_others(str(folder))
    (folder / "HEAD").mkdir()  # of another kernel
    assert "config" not in run_by_others(str(folder))
    (folder / "HEAD").rmdir()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text("")
    assert {f"{folder}/HEAD", f"{folder}/config"} <= set(access(Sandbox(), str(folder), own).kept)
    (folder / "HEAD").unlink()
    (folder / "HEAD").symlink_to("refs/heads/main")
    assert {"config", "commondir"} <= set(run_by_others(str(folder)))


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_with_its_names_held_a_folder_cannot_become_a_repository(folder: Path) -> None:
    def worktree_of_git() -> str:
        asked = ["git", "rev-parse", "--git-dir"]
        environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
        done = subprocess.run(asked, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    held = placeholders.put({str(folder): run_by_others(str(folder))})
    for name in ("objects", "refs"):
        (folder / name).mkdir()
    (folder / "config").write_text("[core]\n\tbare = false\n\tworktree = .\n")
    assert worktree_of_git() == ""
    held.give_back()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    assert worktree_of_git() == "."


@pytest.mark.parametrize(
    ("written", "has"),
    [
        ('{"image": "mine:1"}', True),
        ('{"\\u0069mage": "mine:1"}', True),
        ("network=all, image=mine:1", True),
        ('{"writable": ["/data/image"], "environment": ["image"]}', False),
        ('{"image": null}', False),
        ("writable=/data/images /x/image=1", False),
        ("strict", False),
        ('{"image', False),
    ],
)
def test_only_a_sandbox_with_an_image_keeps_the_settings_of_engines(written: str, has: bool) -> None:
    assert name_an_image(["--limits=memory=2GB", f"--sandbox={written}"]) is has
