"""Files that somebody else put there: whoever reads notebooks, or what stands beside them, reads regular files alone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.exporting.live import _on_disk
from marimo_kernel_bridge.kernel.ipython.magic_names import read_script, read_script_here
from marimo_kernel_bridge.kernel.notebook.document import NotebookDocument, read_settings, read_sources
from marimo_kernel_bridge.marimo_format import session_file
from marimo_kernel_bridge.marimo_format.reader import read
from marimo_kernel_bridge.notebooks.folder_files import bytes_inside, make_folder_inside, text_inside
from marimo_kernel_bridge.notebooks.ipynb import read_notebook
from marimo_kernel_bridge.notebooks.marimo_file import MarimoFile
from marimo_kernel_bridge.notebooks.origin import origin_path, read_origin
from marimo_kernel_bridge.protocol.regular_files import read_bytes, read_text
from marimo_kernel_bridge.protocol.secrets import in_dotenv

pytestmark = pytest.mark.timeout(30)  # of a reader that waits at a pipe


def test_a_file_is_read_up_to_a_size_and_nothing_else_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x\r\ny\rz")
    assert read_bytes(tmp_path / "a", 6) == b"x\r\ny\rz"
    assert read_text(str(tmp_path / "a"), 6) == "x\ny\nz"
    os.mkfifo(tmp_path / "pipe")
    for name, most in (
        ("a", 5),
        ("pipe", 5),
        (".", 5),
        ("none", 5),
        ("/dev/zero", 5),
        ("/dev/null", 5),
        ("\0", 5),
    ):
        with pytest.raises(OSError, match=r"."):
            read_bytes(tmp_path / name, most)


def _marimo(path: Path) -> MarimoFile:
    return MarimoFile(path, "", ())


def _of_session(path: Path) -> object:
    saved = path.parent / "__marimo__" / "session" / "a.py.json"
    saved.parent.mkdir(parents=True)
    path.rename(saved)
    return session_file.read(_marimo(path.with_name("a.py")))


def _of_origin(path: Path) -> object:
    file = path.with_name("a.py")
    origin_path(file).parent.mkdir(parents=True)
    path.rename(origin_path(file))
    return read_origin(file)


def _refused(reader: Callable[[Path], object]) -> Callable[[Path], object]:
    def reading(path: Path) -> object:
        with pytest.raises(BridgeError, match="not a regular file") as refusal:
            reader(path)
        assert refusal.value.code == "bad_notebook"
        return None

    return reading


READERS: dict[str, Callable[[Path], object]] = {
    "an .ipynb": _refused(read_notebook),
    "a marimo file": _refused(read),
    "the notebook of a live kernel": lambda path: _on_disk(str(path)),
    "its settings": lambda path: read_settings(str(path)).on_cell_change,
    "its cells": lambda path: read_sources(str(path)),
    "its order": lambda path: NotebookDocument().new_order(str(path)),
    "what it was imported from": _of_origin,
    "marimo's session": _of_session,
    ".env": lambda path: in_dotenv(str(path.rename(path.with_name(".env")).parent)),
    "a script": lambda path: read_script(str(path)),
}


@pytest.mark.parametrize("what", READERS)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_no_reader_of_notebooks_waits_at_a_pipe_or_reads_a_device(
    tmp_path: Path, what: str, kind: str
) -> None:
    path = tmp_path / "a.ipynb"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.mkdir()
    assert not READERS[what](path)


def test_what_stands_beside_a_marimo_file_is_neither_read_nor_written_through_a_link(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    (elsewhere / "jupyter").mkdir(parents=True)
    (elsewhere / "jupyter" / "a.py.json").write_text('{"version": 1, "notebook": {"cells": []}, "cells": []}')
    assert read_origin(elsewhere / "a.py") is None
    (here / "__marimo__").symlink_to(elsewhere)
    assert read_origin(here / "a.py") is None
    for name in ("__marimo__/jupyter", "__marimo__/session"):
        with pytest.raises(BridgeError, match="is a link to elsewhere"):
            make_folder_inside(here, name)
    assert [path.name for path in elsewhere.iterdir()] == ["jupyter"]
    (here / "__marimo__").unlink()
    (here / "__marimo__").symlink_to(here / "not there")
    with pytest.raises(BridgeError, match="is a link to elsewhere"):
        make_folder_inside(here, "__marimo__/jupyter")
    (here / "__marimo__").unlink()
    assert make_folder_inside(here, "__marimo__/jupyter").is_dir()
    (elsewhere / "jupyter" / "a.py.json").rename(origin_path(here / "a.py"))
    assert read_origin(here / "a.py") is not None


def test_what_nobody_runs_is_read_only_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "part.py").write_text("x = 1")
    (tmp_path / "other.py").write_text("y = 1")
    (here / "link.py").symlink_to(tmp_path / "other.py")
    for name in ("part", "part.py", "./part.py", str(here / "part.py")):
        assert read_script_here(name) == read_script(name) == "x = 1"
    for name in ("../other.py", "link", str(tmp_path / "other.py")):
        assert read_script(name) == "y = 1"
        assert read_script_here(name) is None
    assert read_script("~no-such-user/x") is None
    assert bytes_inside(None, "part.py", 9) is None


def test_a_path_outside_of_the_folder_is_refused_without_a_look_at_its_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.py").write_text("x = 1")
    (tmp_path / "alias").symlink_to("here")
    looked: list[str] = []
    realpath = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path: looked.append(str(path)) or realpath(path))
    folder = tmp_path / "alias"
    for name in ("a.py", "sub/../a.py", str(folder / "a.py"), str(tmp_path / "here" / "a.py")):
        assert text_inside(folder, name) == "x = 1"
    looked.clear()
    for name in ("/mnt/gone/a.py", "../elsewhere/a.py", "sub/../../elsewhere/a.py", "..", "/"):
        assert text_inside(folder, name) is None
    assert set(looked) == {str(folder)}
