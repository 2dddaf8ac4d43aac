"""What works in a sandbox as it does outside, what a sandbox keeps, and that none is started with less than was asked."""

import ctypes
import errno
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from jupyter_client import KernelManager
from sandboxed import BOUND, USERS, Kernel, User, kernel, require, user

from marimo_kernel_bridge.checkpoints.places import folder_of_sandbox
from marimo_kernel_bridge.checkpoints.store import Store
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER, PoolState
from marimo_kernel_bridge.launch.pool.status import running_pools
from marimo_kernel_bridge.protocol import black_box
from marimo_kernel_bridge.protocol.bounds import Sandbox
from marimo_kernel_bridge.protocol.own_python import module_command
from marimo_kernel_bridge.sandbox import landlock
from marimo_kernel_bridge.sandbox.engines import engine_for
from marimo_kernel_bridge.sandbox.files import RUN_BY_OTHERS
from marimo_kernel_bridge.sandbox.namespaces import processes_can_be_shown
from tests.isolation import Home, Homes

BOXES = ".local/share/jupyter/marimo_kernel_bridge/kernels"
STORE = ".local/share/jupyter/marimo_kernel_bridge/checkpoints"


@pytest.fixture(scope="module")
def person() -> Iterator[User]:
    with user(USERS[0]) as found:
        hooks = found.folder / ".git/hooks"
        hooks.mkdir(parents=True)
        (hooks / "pre-commit").write_text("")
        environment = found.folder / "project/env"
        (environment / "bin").mkdir(parents=True)
        (environment / "pyvenv.cfg").write_text("")
        (found.folder / "module_of_the_folder.py").write_text("value = 7")
        yield found


PODMAN = pytest.param("podman", marks=pytest.mark.long)


@pytest.fixture(scope="module")
def left_open(person: User) -> Iterator[int]:
    """A descriptor of the person's home that whoever starts a kernel leaves open in it."""
    opened = os.open(person.home, os.O_RDONLY)
    yield opened
    os.close(opened)


@pytest.fixture(scope="module", params=["light", "bubblewrap", PODMAN])
def sandboxed(request: pytest.FixtureRequest, person: User, left_open: int) -> Iterator[Kernel]:
    with kernel(person, {"engine": request.param}, leaves=[left_open]) as found:
        yield found


WORKS = {
    "the folder is written": (
        "from pathlib import Path\nPath('mine').write_text('a'); Path('mine').read_text()",
        "'a'",
    ),
    "modules of the folder": ("import module_of_the_folder; module_of_the_folder.value", "7"),
    "temporary files": ("import tempfile\nwith tempfile.TemporaryFile() as f: print(f.write(b'abc'))", "3"),
    "the home is written": (
        "import pathlib; p = pathlib.Path.home() / 'new'; p.write_text('b'); p.read_text()",
        "'b'",
    ),
    "a program": ("!echo $((40 + 2))", "42"),
    "a program in a script": ("%%bash\necho here", "here"),
    "threads": (
        "import threading; t = threading.Thread(target=lambda: print('ran')); t.start(); t.join()",
        "ran",
    ),
    "asyncio": ("import asyncio; await asyncio.sleep(0.01, 'slept')", "'slept'"),
    "a pool of processes": (
        "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, 2]))",
        "[1, 2]",
    ),
    "a server of its own": (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0)); server.getsockname()[0]",
        "'127.0.0.1'",
    ),
    "frames": ("import pandas; pandas.DataFrame({'a': [1]}).shape", "(1, 1)"),
    "plots": ("import matplotlib.pyplot as plt; len(plt.plot([1, 2]))", "1<Figure"),
    "widgets": (
        "import marimo as mo; slider = mo.ui.slider(0, 9, value=3); type(slider).__name__",
        "'slider'",
    ),
    "a name that a host has": ("import socket; socket.gethostbyname('localhost')", "'127.0.0.1'"),
    "its own processes": (
        "import os, signal; child = os.fork() or os._exit(3)\nos.waitpid(child, 0)[1] >> 8",
        "3",
    ),
}


@pytest.mark.parametrize("what", WORKS)
def test_it_works_inside(sandboxed: Kernel, what: str) -> None:
    code, shown = WORKS[what]
    assert sandboxed.run(code).startswith(shown)


def test_dependents_run_and_code_is_interrupted(sandboxed: Kernel) -> None:
    sandboxed.run("first = 1")
    sandboxed.run("second = first + 1")
    assert sandboxed.run("second") == "2"
    assert_is_interrupted(sandboxed, cell=True)


def assert_is_interrupted(running: Kernel, *, cell: bool) -> None:
    """Run code that waits, and interrupt it once it has begun."""
    code = "import time; print('begins', flush=True); time.sleep(600)"
    running.client.execute(code, store_history=cell)
    while (message := running.client.get_iopub_msg(timeout=BOUND))["msg_type"] != "stream":
        pass
    assert "begins" in message["content"]["text"]
    assert running.process is not None
    os.killpg(running.process.pid, signal.SIGINT)
    assert running.replied()["ename"] == "KeyboardInterrupt"


def test_hooks_and_settings_of_the_folder_are_only_read(sandboxed: Kernel) -> None:
    hook, project = "Path('.git/hooks/pre-commit')", "Path('project')"
    for change in (
        f"{hook}.write_text('x')",
        f"{hook}.unlink()",
        f"{hook}.chmod(0o755)",
        "Path('.git').rename('other')",
        f"{project}.rename('other')",
        "Path('project/env').rename('project/other')",
        "Path('project/env/bin/new').write_text('x')",
    ):
        code = f"from pathlib import Path\ntry: {change}\nexcept OSError as error: print(error.errno)"
        assert sandboxed.run(code, cell=False) in {"13", "16", "18", "30"}, change
    assert sandboxed.run("Path('project/notes').write_text('x')", cell=False) == "1"


CHANGES = """
import os
done = []
os.makedirs("mine/bin", exist_ok=True)
for name in {names}:
    for way in (
        lambda: os.unlink(name),
        lambda: os.rename(name, "moved"),
        lambda: os.rename("mine", name),
        lambda: os.replace("mine", name),
        lambda: os.symlink("mine", name),
        lambda: os.makedirs(name + "/new"),
        lambda: open(name + "/new", "w").close(),
        lambda: os.rename(os.path.dirname(name) or name, "moved"),
    ):
        try:
            way()
            done.append(name)
        except OSError:
            pass
print(done, os.path.exists("current/bin"))
"""


def folder_of_links(someone: User) -> list[str]:
    """Put links into a user's folder that others follow; return these names, and those that they lead to."""
    outside = someone.home.parent / "outside"
    for environment in (outside / "env", someone.folder / "a/b/c/env"):
        (environment / "bin").mkdir(parents=True)
        (environment / "pyvenv.cfg").write_text("")
    (outside / "git/hooks").mkdir(parents=True)
    links = {
        ".git": "../outside/git",
        "venv": "../outside/env",
        "current": "a/b/c/env",
        "CLAUDE.md": "nothing",
        ".envrc": "later/on",
    }
    for name, target in links.items():
        (someone.folder / name).symlink_to(target)
    spec = someone.home / ".local/share/jupyter/kernels/mine"
    spec.mkdir(parents=True)
    program = someone.folder / "current/bin/python"
    (spec / "kernel.json").write_text(json.dumps({"argv": [str(program)]}))
    return [*links, "a/b/c/env", "a/b/c/env/bin", "nothing", "later"]


@pytest.mark.parametrize("name", USERS)
def test_a_link_that_others_follow_cannot_be_replaced_nor_what_it_leads_to_be_made(name: str) -> None:
    with user(name) as someone:
        names = folder_of_links(someone)
        before = {path: path.readlink() for path in someone.folder.iterdir() if path.is_symlink()}
        with kernel(someone, {"engine": "light"}) as bounded:
            assert bounded.run(CHANGES.format(names=names), cell=False) == "[] True"
        assert {path: path.readlink() for path in someone.folder.iterdir() if path.is_symlink()} == before


def test_an_engine_that_cannot_hold_a_link_names_it_and_starts_nothing() -> None:
    require("bubblewrap")
    with user(USERS[0]) as someone:
        folder_of_links(someone)
        command = module_command(
            "kernel", '--sandbox={"engine": "bubblewrap"}', "-f", str(someone.home / "k.json")
        )
        done = subprocess.run(
            command,
            env=someone.environment,
            cwd=someone.folder,
            capture_output=True,
            text=True,
            timeout=BOUND,
            check=False,
        )
        assert done.returncode == 1
        assert f"[sandbox_unavailable] {someone.folder}/" in done.stderr
        assert "is a link to" in done.stderr
        assert "mine" not in {path.name for path in someone.folder.iterdir()}


def test_programs_that_code_starts_have_no_socket_of_the_kernel(sandboxed: Kernel) -> None:
    listed = "import subprocess; print(subprocess.run(['ls', '-l', '/proc/self/fd'], close_fds=False, capture_output=True).stdout)"
    shown = sandboxed.run(listed)
    assert "/proc/" in shown
    assert "socket:" not in shown


def test_what_was_left_open_by_who_started_the_kernel_leads_nowhere(
    sandboxed: Kernel, person: User, left_open: int
) -> None:
    (person.home / "private").write_text("mine")
    code = f"import os\ntry: os.open('private', os.O_RDONLY, dir_fd={left_open}); print('opened')\nexcept OSError as error: print(error.errno)"
    assert sandboxed.run(code) in {str(errno.ENOTDIR), str(errno.EBADF)}


def test_a_terminal_of_its_own_works(sandboxed: Kernel) -> None:
    code = "import os\nends = os.openpty(); os.write(ends[1], b'typed'); print(os.read(ends[0], 5), os.ttyname(ends[1]))"
    assert sandboxed.run(code) == "b'typed' /dev/pts/0"
    assert sandboxed.run("sum(os.isatty(number) for number in range(3))") == "0"


def test_files_in_memory_have_a_size(sandboxed: Kernel) -> None:
    for place in ("os.environ['TMPDIR']", "'/dev/shm'"):
        size = sandboxed.run(f"import os; about = os.statvfs({place}); about.f_blocks * about.f_frsize")
        assert 0 < int(size) <= 1_000_000_000


def test_a_checkpoint_of_a_sandbox_is_no_checkpoint_elsewhere(sandboxed: Kernel, person: User) -> None:
    sandboxed.run("kept = 5")
    assert "saved" in sandboxed.run("%marimo save mine")
    usual = Store(person.home / STORE)
    before = usual.shelves()
    own = Store(
        next(path for path in (person.home / f"{STORE}-sandboxed").iterdir() if (path / "key").exists())
    )
    # A slow machine saves what took long by itself, on other shelves.
    (shelf,) = [name for name in own.shelves() if (own.folder / name / "mine.json").exists()]
    assert own.manifest(shelf, "mine").name == "mine"
    with usual.saving("other", "one", "named"):
        pass  # it has a key now
    assert shelf not in before
    shutil.copytree(own.folder / shelf, usual.folder / shelf)
    with pytest.raises(BridgeError) as refused:
        usual.manifest(shelf, "mine")
    assert refused.value.code == "checkpoint_foreign"
    shutil.rmtree(usual.folder / shelf)
    shutil.rmtree(own.folder / shelf)


def test_equal_sandboxes_alone_share_checkpoints(tmp_path: Path) -> None:
    key, other = Sandbox().key, Sandbox(network="all").key
    assert folder_of_sandbox(key, str(tmp_path)) == folder_of_sandbox(key, str(tmp_path))
    assert folder_of_sandbox(key, str(tmp_path)) != folder_of_sandbox(other, str(tmp_path))
    assert folder_of_sandbox(key, str(tmp_path)) != folder_of_sandbox(key, str(tmp_path / "other"))


ASKS = """
import os, urllib.error, urllib.request
for name in ("no_proxy", "NO_PROXY"):  # which has the loopback, where the test's host is
    os.environ.pop(name, None)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{"http": os.environ["HTTP_PROXY"]}}))
try:
    print(opener.open("http://127.0.0.1:{port}/", timeout=60).read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"reached")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("engine", ["light", "bubblewrap"])
@pytest.mark.parametrize("name", USERS)
def test_hosts_of_a_list_are_reached_through_a_proxy_and_no_other(name: str, engine: str) -> None:
    with (
        user(name) as someone,
        ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as listed,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        threading.Thread(target=listed.serve_forever, daemon=True).start()
        hosts = [f"127.0.0.1:{listed.server_port}"]
        with kernel(someone, {"engine": engine, "network": hosts}) as bounded:
            assert bounded.run(ASKS.format(port=listed.server_port)) == "reached"
            assert bounded.run(ASKS.format(port=other.getsockname()[1])) == "403"
            around = f"import socket\ntry: socket.create_connection(('127.0.0.1', {listed.server_port}), 5)"
            assert bounded.run(f"{around}\nexcept OSError: print('refused')") == "refused"
        listed.shutdown()
        log = someone.home / ".local/share/jupyter/marimo_kernel_bridge/network.jsonl"
        assert [json.loads(line)["allowed"] for line in log.read_text().splitlines()] == [True, False]


def test_the_first_code_of_a_kernel_with_bounds_is_interrupted_also_beside_its_cells(person: User) -> None:
    with kernel(person, {"engine": "light"}) as new:
        assert_is_interrupted(new, cell=False)


def made_by(code: str) -> str:
    """Return code that prints the number of an error, or "made"."""
    return f"import os\nfrom pathlib import Path\ntry:\n    {code}\n    print('made')\nexcept OSError as error: print(error.errno)"


MAKES = """
import os
from pathlib import Path
done, refused = [], set()
for name in {names}:
    for number, way in enumerate([
        lambda: Path(name).write_text("x"),
        lambda: os.mkdir(name),
        lambda: os.rmdir(name),
        lambda: os.rename("folder", name),
        lambda: os.rename("other", name),
        lambda: os.rename(name, "moved"),
        lambda: os.symlink("other", name),
        lambda: os.link("other", name),
        lambda: Path(name, "config").write_text("x"),
    ]):
        try:
            way()
            done.append((name, number))
        except OSError:
            refused.add(name)
print(done, len(refused))
"""


@pytest.mark.parametrize("engine", ["light", "bubblewrap", PODMAN])
def test_names_that_other_programs_run_cannot_be_made_and_are_gone_afterwards(engine: str) -> None:
    with user(USERS[0]) as someone:
        (someone.folder / ".vscode").mkdir()
        with kernel(someone, {"engine": engine}) as bounded:
            bounded.run("open('other', 'w').close(); import os; os.mkdir('folder')")
            made = bounded.run(MAKES.format(names=RUN_BY_OTHERS), cell=False)
            assert made == f"[] {len(RUN_BY_OTHERS)}"
            with kernel(someone, {"engine": engine}) as second:
                second.client.shutdown()
                assert second.process is not None
                second.process.wait(BOUND)
            assert bounded.run(made_by("os.mkdir('.git')"), cell=False) != "made"
            bounded.client.shutdown()
            assert bounded.process is not None
            bounded.process.wait(BOUND)
        assert sorted(path.name for path in someone.folder.iterdir()) == [".vscode", "folder", "other"]


@pytest.mark.parametrize("engine", ["light", "bubblewrap", PODMAN])
def test_what_code_has_started_ends_with_a_kernel_that_is_killed(person: User, engine: str) -> None:
    seconds = str(random.randrange(10_000, 1_000_000))
    with kernel(person, {"engine": engine}) as first:
        first.run(
            f"import subprocess\nsubprocess.Popen(['setsid', 'sleep', '{seconds}'], start_new_session=True).pid"
        )
        _await_sleepers(seconds, there=True)
    _await_sleepers(seconds, there=False)
    boxes = [black_box.read(folder) for folder in (person.home / BOXES).iterdir()]
    assert first.process is not None
    # So the next kernel of the notebook, and who removes old ones, knows that it has ended.
    assert [
        box.born
        for box in boxes
        if box and box.born.pid == first.process.pid and black_box.has_ended(box.born)
    ]


def _await_sleepers(seconds: str, *, there: bool) -> None:
    """Wait until there are some, which a program starts that has been started itself, or none."""
    deadline = time.monotonic() + BOUND
    while bool(_sleepers(seconds)) != there:
        assert time.monotonic() < deadline
        time.sleep(0.02)  # no event tells of it


MASKED = ["unshare", *([] if os.getuid() == 0 else ["-Ur"]), "--mount", "sh", "-ec"]


def test_where_proc_cannot_be_mounted_others_are_seen_and_out_of_reach_and_what_code_started_ends() -> None:
    """As in containers, which hide parts of /proc."""
    seconds = str(random.randrange(10_000, 1_000_000))
    with user(USERS[0]) as someone:
        someone.around = [*MASKED, 'mount --bind /dev/null /proc/interrupts; exec "$@"', "sh"]
        with kernel(someone, {"engine": "light"}) as bounded:
            other = os.getpid()
            assert bounded.run(f"import os; '{other}' in os.listdir('/proc')") == "True"
            reads = f"try: open('/proc/{other}/environ').read(); print('read')\nexcept OSError as error: print(error.errno)"
            assert bounded.run(reads) == str(errno.EACCES)
            signals = f"try: os.kill({other}, 0); print('sent')\nexcept OSError as error: print(error.errno)"
            assert bounded.run(signals) == str(errno.EPERM)
            bounded.run(
                f"import subprocess\nsubprocess.Popen(['setsid', 'sleep', '{seconds}'], start_new_session=True).pid"
            )
            _await_sleepers(seconds, there=True)
        _await_sleepers(seconds, there=False)


def test_processes_and_threads_of_a_user_are_held_to_a_number() -> None:
    with user(USERS[-1]) as someone, kernel(someone, {"engine": "light"}, limits="processes=64") as bounded:
        code = (
            "import threading\nhold = threading.Event()\ntry:\n    for _ in range(200): threading.Thread(target=hold.wait).start()\n"
            "except RuntimeError as error: print(error)\nfinally: hold.set()"
        )
        assert bounded.run(code) == "can't start new thread"
        assert bounded.run("40 + 2") == "42"


RENAME_EXCHANGE = 2


@pytest.mark.long
@pytest.mark.parametrize("engine", ["light", "bubblewrap"])
def test_a_folder_that_is_exchanged_for_a_link_while_kernels_start_leads_nowhere_else(engine: str) -> None:
    system = ctypes.CDLL(None, use_errno=True)
    with user(USERS[0]) as someone:
        elsewhere = someone.home / "elsewhere"
        elsewhere.mkdir()
        root, someone.folder = someone.folder, someone.folder / "sub"
        someone.folder.mkdir()
        link = root / "link"
        link.symlink_to(elsewhere)
        ends = threading.Event()
        results, refusals = set(), []

        def exchange_once() -> None:
            names = os.fsencode(someone.folder), os.fsencode(link)
            results.add(system.renameat2(-100, names[0], -100, names[1], RENAME_EXCHANGE))

        def exchange() -> None:
            while not ends.wait(random.uniform(0.001, 0.5)):
                exchange_once()

        exchanging = threading.Thread(target=exchange)
        exchanging.start()
        try:
            for _ in range(10):
                try:
                    with kernel(someone, {"engine": engine, "within": [str(root)]}) as bounded:
                        bounded.run("try: open('mine', 'w').close()\nexcept OSError: pass")
                except AssertionError as refused:
                    refusals.append(str(refused))
        finally:
            ends.set()
            exchanging.join()
        assert [*elsewhere.iterdir()] == []
        assert [each for each in refusals if not re.search(r"was not started: \[|bwrap: ", each)] == []
        assert results == {0}
        if someone.folder.is_symlink():
            exchange_once()
        with kernel(someone, {"engine": engine, "within": [str(root)]}) as bounded:  # and it does start there
            assert bounded.run("open('mine', 'w').close()") == ""
        assert (root / "sub/mine").exists()


def _sleepers(seconds: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cmdline() == ["sleep", seconds]:
                found.append(process.pid)
    return found


@pytest.mark.long
def test_dockers_command_line_starts_a_container_that_is_gone_afterwards() -> None:
    with user(USERS[0]) as someone:  # whose containers are these alone
        with kernel(someone, {"engine": "docker", "packages": True}) as bounded:
            assert (
                bounded.run("import os; os.uname().nodename, os.environ['HOME']")
                == "('sandbox', '/tmp/home')"
            )
            assert bounded.process is not None
            os.kill(bounded.process.pid, signal.SIGINT)
            assert bounded.run("40 + 2") == "42"
            bounded.client.shutdown()
            assert bounded.process.wait(BOUND) == 0
        said = (someone.home.parent / "podman/said").read_text()
        assert "--read-only --cap-drop=all" in said
        assert "--http-proxy" not in said  # which is podman's
        listed = subprocess.run(
            ["podman", "ps", "--all", "--quiet"],
            env=someone.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert listed.stdout == ""


@pytest.mark.skipif(
    not processes_can_be_shown(), reason="something hides a part of /proc here: no other may be mounted"
)
def test_only_its_own_processes_are_seen(sandboxed: Kernel) -> None:
    shown = sandboxed.run(
        "import os; sorted(int(name) for name in os.listdir('/proc') if name.isdecimal())[:1]", cell=False
    )
    assert shown == "[1]"
    assert (
        int(
            sandboxed.run(
                "sum(name.isdecimal() for name in os.listdir('/proc'))",
                cell=False,
            )
        )
        < 8
    )


@pytest.mark.parametrize("engine", ["light", "bubblewrap", PODMAN])
def test_a_kernel_that_is_killed_leaves_its_ports_to_the_next(person: User, engine: str) -> None:
    with kernel(person, {"engine": engine, "network": ["example.org"]}) as first:
        first.run("import os; os.system('sleep 60 &')")
    deadline = time.monotonic() + BOUND
    for port in first.ports:
        while True:
            with socket.socket() as next_one:
                next_one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    next_one.bind(("127.0.0.1", port))
                    next_one.listen()
                    break
                except OSError:
                    assert time.monotonic() < deadline, "somebody has the port"
                    time.sleep(0.02)  # no event tells of it


def test_a_kernel_from_a_pool_is_in_its_sandbox_and_in_a_pool_of_its_own(
    pool_home: Home, homes: Homes, tmp_path: Path
) -> None:
    require("light")
    home = homes.new("k")
    manager = KernelManager(kernel_name="marimo", connection_file=str(home.runtime / "kernel.json"))
    assert manager.kernel_spec is not None
    manager.kernel_spec.argv.insert(-2, '--sandbox={"engine": "light"}')
    manager.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": PROVISIONER}
    with pool_home.lived_in():
        manager.start_kernel(env=pool_home.environment(PERSONS_TOKEN="private"), cwd=tmp_path)
    try:
        client = manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=BOUND)
        pooled = Kernel(None, client, [])
        assert manager.provisioner.pid in {pid for pool in _pools(pool_home) for pid in pool.kernels}
        seen = pooled.run("import os; sorted(int(each) for each in os.listdir('/proc') if each.isdecimal())")
        assert seen == "[1, 2]" or not processes_can_be_shown()
        assert pooled.run("os.environ.get('PERSONS_TOKEN')") == ""
        assert pooled.run("try: open('/root/x', 'w')\nexcept OSError as error: print(error.errno)") in {
            "13",
            "30",
        }
        assert pooled.run("open('mine', 'w').write('x')") == "1"
        client.stop_channels()
    finally:
        manager.shutdown_kernel(now=True)


def _pools(home: Home) -> list[PoolState]:
    with home.lived_in():
        return running_pools()


def test_what_this_machine_cannot_bound_is_not_started(person: User) -> None:
    file = person.home / "run/refused.json"
    command = module_command("kernel", '--sandbox={"engine": "light"}', "-f", str(file))
    done = subprocess.run(
        [
            "unshare",
            "-Ur",
            "sh",
            "-c",
            'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"',
            "sh",
            *command,
        ],
        env=person.environment,
        cwd=person.folder,
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    assert done.returncode == 1
    assert "sandbox_unavailable" in done.stderr
    assert "/proc/sys/user/max_user_namespaces is 0" in done.stderr


def test_an_old_kernel_of_the_system_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 4)
    with pytest.raises(BridgeError, match="Landlock 6") as refused:
        engine_for(Sandbox(engine="light"))
    assert refused.value.code == "sandbox_unavailable"
