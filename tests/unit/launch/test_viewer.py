"""The viewer of files: who controls it, how its process is found, what it does when files change, and when it ends."""

import asyncio
import json
import os
import platform
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
from click.testing import CliRunner

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions import processes
from marimo_kernel_bridge.launch.viewer import client as viewer_client
from marimo_kernel_bridge.launch.viewer import place, process
from marimo_kernel_bridge.launch.viewer.client import Viewer
from marimo_kernel_bridge.launch.viewer.memory import Rests, unchanged_parts
from marimo_kernel_bridge.launch.viewer.place import Process
from marimo_kernel_bridge.protocol import own_browser
from marimo_kernel_bridge.protocol.own_python import python_command
from marimo_kernel_bridge.protocol.views import OpenedView, StateChange
from marimo_kernel_bridge.viewing.tables import open_value
from marimo_kernel_bridge.viewing.views import PERSON
from tests.unit.viewing.server.view_browser import Browser, Tab

T = TypeVar("T")
SECRET = "s" * 43


class JsonFile:
    """A file of rows as JSON, as far as the viewer has to do with files."""

    def __init__(self, path: Path, table: str = "") -> None:
        self.path = path
        try:
            rows = json.loads(path.read_text())
        except FileNotFoundError:
            raise BridgeError("data_gone", f"There is no file {path}.") from None
        except ValueError:
            raise BridgeError("bad_data", f"{path} is broken.") from None
        self.of = open_value(rows[table] if table else rows)
        self.kind = "JSON file"
        self._seen = self._state()

    def _state(self) -> tuple[int, int, int]:
        status = self.path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def altered(self) -> Literal["", "changed", "gone"]:
        try:
            return "" if self._state() == self._seen else "changed"
        except FileNotFoundError:
            return "gone"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)


class Running:
    """The viewer on this event loop, and who uses it: a client, which blocks, in a thread."""

    def __init__(self, viewer: process.FileViewer, client: Viewer) -> None:
        self.viewer = viewer
        self.client = client
        self.browser = Browser(viewer.server.port)

    async def open(self, path: Path, session: str = PERSON, table: str = "") -> OpenedView:
        return await self.call(lambda: self.client.open_view(path, session, table))

    async def tab(self, path: Path) -> Tab:
        return await self.browser.tab(await self.open(path))

    async def call(self, act: Callable[[], T]) -> T:
        return await asyncio.to_thread(act)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jupyter's runtime directory."""
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(folder))
    return folder


@pytest.fixture
async def running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(process, "open_file", JsonFile)
    viewer = process.FileViewer(SECRET)
    place.publish(place.place(), viewer.server.port, SECRET)
    found = Viewer.running()
    assert found is not None
    running = Running(viewer, found)
    yield running
    running.browser.close()
    await viewer.close()


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    path = tmp_path / "sales.json"
    write(path, 3)
    return path


def write(path: Path, count: int) -> None:
    """Replace a file by one with some rows, in one step."""
    neighbor = path.with_suffix(".new")
    neighbor.write_text(json.dumps([{"city": f"city {n}", "price": n} for n in range(count)]))
    neighbor.replace(path)


# Control


@pytest.mark.anyio
async def test_a_file_is_opened_read_set_and_closed_for_a_session(running: Running, sales: Path) -> None:
    client = running.client
    opened = await running.open(sales, "claude#1")
    view = opened.description.view
    assert (opened.description.title, opened.description.rows, opened.description.source) == (
        "sales.json",
        3,
        "file",
    )
    assert (await running.open(sales, "claude#1")).description.view == view
    set_to = await running.call(lambda: client.set_view(view, "claude#1", StateChange(search="city 1")))
    assert (set_to.state.search, set_to.state.by) == ("city 1", "agent")
    asked = json.dumps({"id": 1, "do": "rows", "start": 0, "count": 9, "columns": [1], "version": 1})
    answer = await running.call(lambda: client.ask_view(view, "claude#1", asked))
    assert json.loads(answer.answer)["rows"] == [[1]]
    assert (await running.call(lambda: client.read_view(view, "claude#1"))).matching == 1
    assert [one.view for one in await running.call(lambda: client.list_views("claude#1"))] == [view]
    assert await running.call(lambda: client.list_views("claude#2")) == []
    with pytest.raises(BridgeError, match="no view"):
        await running.call(lambda: client.read_view(view, "claude#2"))
    await running.call(lambda: client.close_view(view, "claude#1"))
    with pytest.raises(BridgeError, match="no view") as refused:
        await running.call(lambda: client.read_view(view, "claude#1"))
    assert refused.value.code == "no_such_view"


@pytest.mark.anyio
async def test_a_part_of_a_file_is_a_view_of_its_own(running: Running, tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    path.write_text(json.dumps({"orders": [{"a": 1}], "items": [{"b": 1}, {"b": 2}]}))
    orders, items = await running.open(path, table="orders"), await running.open(path, table="items")
    assert (orders.description.title, items.description.title) == ("shop.json orders", "shop.json items")
    assert (orders.description.rows, items.description.rows) == (1, 2)


@pytest.mark.anyio
async def test_a_file_that_cannot_be_shown_is_told(running: Running, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("[")
    for name, code in (("broken.json", "bad_data"), ("none.json", "data_gone")):
        with pytest.raises(BridgeError) as refused:
            await running.open(tmp_path / name)
        assert refused.value.code == code
    assert not list(running.viewer.server.views)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {SECRET}", f"bearer {SECRET}x"]
)
async def test_without_the_secret_another_user_opens_nothing(
    running: Running, sales: Path, authorization: str | None
) -> None:
    """Any user of the machine can connect to the port."""
    headers = {} if authorization is None else {"authorization": authorization}
    body = json.dumps({"op": "open_file", "path": str(sales), "session": "x"})
    answer = await running.browser.get("/control", method="POST", body=body, **headers)
    assert answer.code == 403
    assert not list(running.viewer.server.views)


@pytest.mark.anyio
@pytest.mark.parametrize("header", ["origin", "host"])
async def test_no_page_controls_the_viewer_even_with_the_secret(
    running: Running, sales: Path, header: str
) -> None:
    own = f"127.0.0.1:{running.viewer.server.port}"
    body = json.dumps({"op": "open_file", "path": str(sales), "session": "x"})
    for value in ("http://evil.example", f"http://{own}") if header == "origin" else ("evil.example",):
        answer = await running.browser.get(
            "/control", method="POST", body=body, authorization=f"Bearer {SECRET}", **{header: value}
        )
        assert answer.code == 403
    assert not list(running.viewer.server.views)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body",
    [
        *("", "[", "[]", "5", '{"op": "open_view", "data": "x", "session": "s"}', "[" * 100_000),
        '{"op": "open_file", "path": "relative.json", "session": "s"}',
        '{"op": "open_file", "path": "/x", "session": "s", "sql": "DROP"}',
        json.dumps({"op": "open_file", "path": "/" + "x" * 20_000, "session": "s"}),
        '{"op": "stop_viewer", "protocol": 99}',
    ],
)
async def test_a_malformed_request_for_control_is_refused_with_a_code(running: Running, body: str) -> None:
    answer = await running.browser.get("/control", method="POST", body=body, authorization=f"Bearer {SECRET}")
    content = json.loads(answer.body)
    assert content["code"] in {"bad_request", "unsupported_version"}
    assert not running.viewer.ended.is_set()


# Files that change


@pytest.mark.anyio
async def test_a_file_that_is_replaced_is_shown_anew(running: Running, sales: Path) -> None:
    tab = await running.tab(sales)
    await tab.ask("set", state={"sort": [{"column": 1, "descending": True}]})
    write(sales, 5)
    news = (await tab.event("changed"))["view"]
    assert (news["rows"], news["version"], news["state"]["sort"][0]["descending"]) == (5, 2, True)
    assert (await tab.ask("rows", start=0, count=1, columns=[1], version=2))["rows"] == [[4]]


@pytest.mark.anyio
async def test_a_file_that_is_removed_says_so_and_may_come_back(running: Running, sales: Path) -> None:
    tab = await running.tab(sales)
    await running.call(sales.unlink)
    assert (await tab.event("ended"))["ended"] == "the file is gone"
    write(sales, 2)
    assert (await tab.event("changed"))["view"]["rows"] == 2


@pytest.mark.anyio
async def test_a_file_that_is_half_written_is_shown_when_it_is_whole(running: Running, sales: Path) -> None:
    opened = await running.open(sales)
    tab = await running.browser.tab(opened)
    (view,) = running.viewer.server.views
    await running.call(lambda: sales.write_text("["))
    await running.viewer.follow(view)
    assert (view.version, view.ended) == (1, "")
    write(sales, 4)
    assert (await tab.event("changed"))["view"]["rows"] == 4


@pytest.mark.anyio
async def test_a_file_that_was_replaced_without_a_page_is_new_when_it_is_opened_again(
    running: Running, sales: Path
) -> None:
    first = await running.open(sales)
    write(sales, 7)
    again = await running.open(sales)
    assert (again.description.view, again.description.rows) == (first.description.view, 7)


async def look(running: Running) -> None:
    """Look after the files now, and not at another time."""
    viewer = running.viewer
    viewer._looking.cancel()
    viewer._look()
    viewer._looking.cancel()
    await asyncio.gather(*viewer._watching.values())


@pytest.mark.anyio
async def test_a_file_that_an_app_shows_is_followed_as_long_as_it_asks(
    running: Running, sales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = await running.open(sales, "claude#1")
    (view,) = running.viewer.server.views
    write(sales, 5)
    await look(running)
    assert (view.version, view.describe().rows) == (2, 5)
    assert not view.pages
    asked = json.dumps({"id": 1, "do": "news", "since": 0})
    answer = await running.call(lambda: running.client.ask_view(opened.description.view, "claude#1", asked))
    assert [event["event"] for event in json.loads(answer.answer)["events"]] == ["changed"]
    monkeypatch.setattr(process, "_FOLLOWED", 0.0)
    write(sales, 6)
    await look(running)
    assert view.version == 2


@pytest.mark.anyio
async def test_a_file_that_is_written_all_the_time_is_not_opened_at_each_look(
    running: Running, sales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.open(sales)
    (view,) = running.viewer.server.views
    versions = []
    for count in range(4, 8):
        write(sales, count)
        await look(running)
        versions.append(view.version)
    assert versions == [2, 2, 2, 2]
    await look(running)  # it rests
    assert (view.version, view.describe().rows) == (3, 7)
    monkeypatch.setattr(process, "_REST", 0.0)
    write(sales, 9)
    await look(running)
    assert view.version == 4


@pytest.mark.anyio
@pytest.mark.parametrize(("session", "ended"), [("claude#1", "the file is gone"), (PERSON, "")])
async def test_a_link_that_comes_later_is_followed_for_the_person_alone(
    running: Running, sales: Path, session: str, ended: str
) -> None:
    secret = sales.with_name("secret.json")
    write(secret, 9)
    await running.open(sales, session)
    (view,) = running.viewer.server.views
    running.viewer._looking.cancel()
    await running.call(lambda: (sales.unlink(), sales.symlink_to(secret)))
    await look(running)
    assert (view.ended, view.describe().rows) == (ended, 3 if ended else 9)
    if ended:
        with pytest.raises(BridgeError, match="no file"):
            await running.open(sales, session)


@pytest.mark.anyio
async def test_an_answer_that_is_too_long_says_so(
    running: Running, sales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_client, "_LONGEST", 100)
    with pytest.raises(BridgeError) as refused:
        await running.open(sales)
    assert refused.value.code == "too_large"


# The end


@pytest.mark.anyio
async def test_the_viewer_ends_when_nobody_has_looked_for_long(
    folder: Path, sales: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(process, "open_file", JsonFile)
    monkeypatch.setattr(process, "_LOOK", 0.01)
    path = place.place()
    started = asyncio.Event()
    serving = asyncio.create_task(process.serve(path, 0.3, started.set))
    await asyncio.wait_for(started.wait(), 60)
    client = Viewer.running()
    assert client is not None
    browser = Browser(client.process.port)
    opened = await asyncio.to_thread(client.open_view, sales, PERSON)
    tab = await browser.tab(opened)
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(serving), 1.0)
    assert not serving.done(), "a tab is open"
    tab.socket.close()
    await asyncio.wait_for(serving, 60)
    browser.close()
    assert not path.exists()
    assert Viewer.running() is None


# The file by which it is found


def test_the_file_of_the_viewer_is_its_owners_alone(folder: Path) -> None:
    path = place.place()
    place.publish(path, 1, SECRET)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    with pytest.raises(BridgeError, match="other users can reach it"):
        Viewer.running()


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[", "5", '{"pid": 1, "since": "", "port": 1, "secret": 5}'),
        json.dumps({"pid": os.getpid(), "since": "another start", "port": 1, "secret": SECRET}),
        json.dumps({"pid": 2**22 + 1, "since": "x", "port": 1, "secret": SECRET}),
    ],
)
def test_a_file_of_a_process_that_ended_is_nobodys(folder: Path, text: str) -> None:
    """Its process id may be another program's by now."""
    path = place.place()
    path.write_text(text)
    path.chmod(0o600)
    assert Viewer.running() is None


def test_the_secret_is_in_no_representation(folder: Path) -> None:
    place.publish(place.place(), 1, SECRET)
    found = Viewer.running()
    assert found is not None
    assert SECRET not in f"{found.process!r} {found.process}"


def test_one_of_many_who_need_the_viewer_starts_it(folder: Path) -> None:
    started: list[Path] = []

    def start(path: Path, _lock: int) -> Process:
        started.append(path)
        place.publish(path, 1, SECRET)
        found = place.running(path)
        assert found is not None
        return found

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: Viewer.started(start).process, range(8)))
    assert len(started) == 1
    assert len(set(map(repr, found))) == 1


def test_who_looks_for_the_viewer_waits_for_one_that_starts(folder: Path) -> None:
    path = place.place()
    with ThreadPoolExecutor(1) as threads:
        with place.locked(path):
            looking = threads.submit(Viewer.running)
            with pytest.raises(TimeoutError):
                looking.result(0.2)
            place.publish(path, 1, SECRET)
        found = looking.result(60)
    assert found is not None
    assert found.process.pid == os.getpid()


def test_a_viewer_that_fails_says_so_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_client, "COMMAND", "no-such-command")
    with pytest.raises(BridgeError, match=r"did not start\..*no-such-command"):
        Viewer.started()
    assert Viewer.running() is None


@pytest.mark.skipif(sys.platform == "win32", reason="it has no `sleep`")
def test_a_viewer_that_does_not_end_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_client, "_END_BOUND", 0.05)
    deaf = subprocess.Popen(["sleep", "1000"])
    since = processes.started(deaf.pid)
    assert since is not None
    Viewer(Process(deaf.pid, since, 1, SECRET)).stop()
    assert deaf.wait(60) != 0


# The command


def call(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, ["view", *map(str, arguments)], prog_name="marimo-kernel-bridge")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the person's browser was given."""
    shown: list[str] = []
    monkeypatch.setattr(own_browser, "show", lambda url: not shown.append(url))
    return shown


@pytest.mark.anyio
async def test_the_command_opens_a_file_in_the_browser_once(
    running: Running, sales: Path, shown: list[str]
) -> None:
    told = (await running.call(lambda: call(sales))).output
    assert told == "sales.json: JSON file, 3 rows by 2 columns\nIt is open in your browser.\n"
    assert (await running.browser.visit(shown[0])).code == 200
    (view,) = running.viewer.server.views
    tab = await running.browser.connect(view.id)
    told = (await running.call(lambda: call(sales))).output
    assert told.endswith("A tab of your browser shows it already.\n")
    assert len(shown) == 1
    assert await tab.event("shown")
    assert (
        await running.call(lambda: call("--list"))
    ).output == "sales.json: JSON file, 3 rows by 2 columns\n"


@pytest.mark.anyio
async def test_without_a_browser_the_command_prints_an_address_that_works(
    running: Running, sales: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    _, url, once, advice = (
        (await running.call(lambda: call(sales, "--no-browser"))).output.strip().split("\n")
    )
    assert not shown
    assert once == "The address works once, and for ten minutes."
    port = running.viewer.server.port
    assert f"ssh -L {port}:127.0.0.1:{port}" in advice
    assert (await running.browser.visit(url)).code == 200


@pytest.mark.parametrize("arguments", [(), ("--list", "--stop"), ("a.csv", "--list")])
def test_the_command_does_one_thing(arguments: tuple[str, ...]) -> None:
    assert call(*arguments).exit_code == 2


def test_without_a_viewer_nothing_is_listed_and_nothing_started(folder: Path, tmp_path: Path) -> None:
    assert call("--list").output == call("--stop").output == "No file is open.\n"
    told = call(tmp_path / "nothing.csv")
    assert (told.exit_code, "There is no file" in told.output) == (1, True)
    assert Viewer.running() is None


# The real process


@pytest.fixture
def stopped(folder: Path) -> Iterator[None]:
    yield
    viewer = Viewer.running()
    if viewer is not None:
        viewer.stop()


_START_AND_END = """
import os, subprocess
from marimo_kernel_bridge.launch.viewer.client import Viewer
start = subprocess.Popen.__init__
def start_and_end(*arguments, **options):
    start(*arguments, **options)
    os._exit(0)
subprocess.Popen.__init__ = start_and_end
Viewer.started()
"""


def test_the_process_is_started_once_belongs_to_nobody_and_is_replaced_when_it_was_killed(
    stopped: None,
) -> None:
    """By two programs that end at once, as hosts of MCP servers do."""
    start = (
        "from marimo_kernel_bridge.launch.viewer.client import Viewer; print(Viewer.started().process.pid)"
    )
    command = [sys.executable, "-c", start]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (starter.communicate(timeout=200)[0].strip() for starter in starters)
    assert first == second != ""
    viewer = Viewer.running()
    assert viewer is not None, (place.place(), place.place().exists(), processes.started(int(first)))
    pid = viewer.process.pid
    assert pid == int(first)
    assert os.getsid(pid) not in {os.getsid(0), *(starter.pid for starter in starters)}
    assert os.getpgid(pid) != os.getpgid(0)
    if sys.platform == "linux":
        assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
        open_files = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()]
        assert not [one for one in open_files if one.startswith(("/dev/pts", "/dev/tty", "pipe:"))]
    os.kill(pid, 9)
    while viewer.process.runs:
        pass
    assert Viewer.running() is None
    # Whose standard input is closed, too, as some hosts have it: the lock is opened under that number, and must not be replaced.
    end = ["sh", "-c", 'exec "$0" "$@" <&-'] if os.name == "posix" else []
    subprocess.run([*end, sys.executable, "-c", _START_AND_END], check=True, timeout=200)
    again = Viewer.running()
    assert again is not None, "whose starter was gone before it could be found"
    assert again.process.pid != pid
    assert call("--stop").output == "Closed all files.\n"
    assert Viewer.running() is None
    assert not place.place().exists()


def test_memory_is_given_back_once_after_each_time_of_work() -> None:
    spent, given = [0.0], []
    rests = Rests(lambda: given.append(spent[0]), lambda: spent[0])
    for now in (0.0, 1.0, 2.5, 2.51, 2.51, 2.52, 4.0, 4.0):
        spent[0] = now
        rests.look()
    assert given == [2.51, 4.0]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another")
def test_what_is_freed_between_used_blocks_goes_back_to_the_system() -> None:
    code = """
import ctypes, os
from marimo_kernel_bridge.launch.viewer.memory import give_back, have_one_arena
have_one_arena()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def resident(): return int(open("/proc/self/statm").read().split()[1])
blocks = [libc.malloc(60_000) for _ in range(1000)]
for block in blocks: ctypes.memset(ctypes.c_void_p(block), 1, 60_000)
for block in blocks[:-1]: libc.free(block)
before = resident()
give_back()
print((before - resident()) * os.sysconf("SC_PAGE_SIZE"))
"""
    ran = subprocess.run(python_command("-c", code), capture_output=True, text=True, check=True)
    assert int(ran.stdout) > 40_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="programs are mapped otherwise")
def test_pages_of_a_program_that_rests_are_unmapped_and_it_goes_on_as_before() -> None:
    code = """
import _duckdb, duckdb, os
from marimo_kernel_bridge.launch.viewer.memory import give_back
query = "SELECT sum(x), count(DISTINCT x), median(x) FROM (SELECT range % 7 AS x FROM range(5000))"
def resident(): return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
connection = duckdb.connect()
answer = connection.execute(query).fetchall()
before = resident()
give_back()
print(before - resident())
assert connection.execute(query).fetchall() == answer
try:
    connection.execute("SELECT nothing")
except duckdb.Error as error:
    print(type(error).__name__)
"""
    ran = subprocess.run(python_command("-c", code), capture_output=True, text=True, check=True)
    given, raised = ran.stdout.split()
    assert int(given) > 10_000_000
    assert raised == "BinderException"


def test_no_page_that_was_written_is_taken_for_one_of_the_file() -> None:
    mappings = """\
7f0000000000-7f0000001000 r--p 00000000 08:01 7    /lib/a b.so
Rss:                   4 kB
Anonymous:             0 kB
7f0000001000-7f0000003000 r-xp 00001000 08:01 7    /lib/a b.so
Anonymous:             0 kB
7f0000003000-7f0000004000 r--p 00003000 08:01 7    /lib/a b.so
Anonymous:             4 kB
7f0000004000-7f0000005000 rw-p 00004000 08:01 7    /lib/a b.so
Anonymous:             0 kB
7f0000005000-7f0000006000 r--s 00000000 08:01 7    /lib/a b.so
Anonymous:             0 kB
7f0000006000-7f0000007000 r-xp 00000000 08:01 8    /lib/other.so
Anonymous:             0 kB
7f0000007000-7f0000008000 rw-p 00000000 00:00 0
Anonymous:             4 kB
""".splitlines(keepends=True)
    parts = list(unchanged_parts(mappings, "/lib/a b.so"))
    assert parts == [(0x7F0000000000, 0x7F0000001000), (0x7F0000001000, 0x7F0000003000)]
