"""A machine around a sandbox: another user's eyes, another process, the files that are ours; and a kernel inside."""

import json
import os
import resource
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

import marimo_kernel_bridge
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.bounds import Engine, Sandbox
from marimo_kernel_bridge.protocol.own_python import module_command, python_command
from marimo_kernel_bridge.sandbox.engines import engine_for
from tests import probes

BOUND = 120.0
"""Seconds for anything, on a machine that computes something else."""
_LOOKS_EVERY = 10.0
NOBODY = 65534
PACKAGE = Path(marimo_kernel_bridge.__file__).parents[1]
USERS = ["root", "nobody"] if os.getuid() == 0 else ["user"]


_AS_NOBODY = [
    *("unshare", "--mount", "sh", "-ec"),
    # An interpreter that only root reaches is shown to others, too: the folders above it are empty but for it.
    f"""home={shlex.quote(sys.base_prefix)}
    if ! setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups test -x "$home"; then
        top=/$(echo "$home" | cut -d/ -f2)
        mount --bind "$home" /mnt && mount -t tmpfs -o mode=755 none "$top"
        mkdir -p "$home" && mount --move /mnt "$home"
    fi
    exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups -- "$@\"""",
    "sh",
]


@dataclass
class User:
    """Somebody who starts kernels: a home with secrets, a folder with a notebook, and what a kernel is started with."""

    name: str
    home: Path
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    around: list[str] = field(default_factory=list)
    """What executes another command line, given as its arguments, on some other machine than this is."""

    @property
    def prefix(self) -> list[str]:
        """The beginning of a command line that this user executes."""
        return [*self.around, *(_AS_NOBODY if self.name == "nobody" else [])]

    def give(self) -> None:
        """Let all below the user's folder be the user's."""
        if self.name == "nobody":
            for path in (self.home.parent, *self.home.parent.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@contextmanager
def user(name: str) -> Iterator[User]:
    """Make a user with a home."""
    # The folders of the tests are closed to other users, and /tmp is another one in some sandboxes.
    top = Path(tempfile.mkdtemp(prefix="mkb-", dir="/var/tmp")).resolve()
    top.chmod(0o755)
    someone = User(name, top / "home", top / "work")
    for folder in (
        *(".ssh", ".ipython/profile_default/startup", ".jupyter", "run", "tmp"),
        *(
            ".local/share/jupyter/marimo_kernel_bridge/checkpoints",
            ".local/share/jupyter/marimo_kernel_bridge/paused",
        ),
    ):
        (someone.home / folder).mkdir(parents=True, mode=0o700)
    someone.folder.mkdir()
    inherited = {key: os.environ[key] for key in ("PATH", "LANG", probes.VARIABLE) if key in os.environ}
    someone.environment = {
        **inherited,
        "HOME": str(someone.home),
        "JUPYTER_RUNTIME_DIR": str(someone.home / "run"),
        "TMPDIR": str(someone.home / "tmp"),
        "PERSONS_TOKEN": "a-token-of-the-person",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        yield someone
    finally:
        if (top / "podman").exists():  # a container whose kernel was killed may be on its way
            removed = [*someone.prefix, "podman", "rm", "--all", "--force", "--time=0"]
            subprocess.run(
                removed, env=someone.environment, cwd=top, capture_output=True, timeout=BOUND, check=False
            )
        shutil.rmtree(top)


@contextmanager
def world(someone: User) -> Iterator[dict[str, Any]]:
    """Put into a user's home what code in a sandbox must not reach, and another process beside it."""
    home = someone.home
    ours = home / ".local/share/jupyter/marimo_kernel_bridge"
    written = {
        "secret": home / "secret.txt",
        "expendable": home / "expendable.txt",
        "movable": home / "movable.txt",
        "private_key": home / ".ssh/id_ed25519",
        "connection_file": home / "run/kernel-other.json",
        "token": ours / "token",
        "audit_log": ours / "audit.jsonl",
        "checkpoint_key": ours / "checkpoints/key",
        "pause": ours / "paused/everything",
        "black_box": ours / "kernels/other/now",
    }
    for path in written.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("private")
        path.chmod(0o600)
    found: dict[str, Any] = {name: str(path) for name, path in written.items()}
    found |= {"home": str(home), "folder": str(someone.folder), "mount_point": str(home / "mount")}
    (home / "mount").mkdir(exist_ok=True)
    program = Path(shutil.copy(shutil.which("id") or "/usr/bin/id", home.parent / "id"))
    found["setuid_program"] = str(program)
    someone.give()
    if os.getuid() == 0:
        os.chown(program, 0, 0)
        program.chmod(0o4755)
    victim = subprocess.Popen(
        [*someone.prefix, *python_command(str(Path(__file__).with_name("neighbour.py")), str(home))],
        env={**someone.environment, "VICTIM": "private"},
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert victim.stdout is not None
        found |= json.loads(victim.stdout.readline())
        yield found
    finally:
        victim.communicate(timeout=BOUND)


IMAGE = "mkb-test"


def image(someone: User) -> None:
    """Give podman an image for a user: an empty tree, into which the settings mount the system's programs and Python's packages.

    No registry is asked. The store, the settings and the image are the user's alone, and end with the user.
    """
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    top = someone.home.parent / "podman"
    if top.exists():
        return
    tree = top / "tree"
    for name in ("usr", "etc", "proc", "sys", "dev", "tmp", "run", "var/tmp"):
        (tree / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    (top / "run").mkdir(mode=0o700)
    mounted = {"/usr", "/etc/ld.so.cache", "/etc/fonts", sys.base_prefix, sys.prefix, str(PACKAGE)}
    volumes = [f"{path}:{path}:ro" for path in sorted(mounted) if Path(path).exists()]
    most = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    highest = {name: resource.getrlimit(number)[1] for name, number in most.items()}
    limits = {
        name: 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096) for name, hard in highest.items()
    }
    settings = {
        "containers.conf": "[containers]\n"
        f"volumes = {json.dumps(volumes)}\n"
        f"default_ulimits = {json.dumps([f'{name}={most}:{most}' for name, most in limits.items()])}\n"
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
        + ("" if shutil.which("crun") else 'runtime = "runc"\n'),
        "storage.conf": f'[storage]\ndriver = "vfs"\nrunroot = "{top}/run"\ngraphroot = "{top}/store"\n'
        '[storage.options.vfs]\nignore_chown_errors = "true"\n',
    }
    for name, text in settings.items():
        (top / name).write_text(text)
    # Docker has a daemon, which needs more than a test has: its command line starts podman.
    docker = top / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(
        f'#!/bin/sh\necho "$@" >> {top}/said\n'
        'case "$1" in info) echo "true true";; --version) echo "Docker version 27";; *) exec podman "$@";; esac\n'
    )
    docker.chmod(0o755)
    someone.environment |= {
        "PATH": f"{docker.parent}:{someone.environment['PATH']}",
        "CONTAINERS_CONF": str(top / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(top / "storage.conf"),
        "XDG_RUNTIME_DIR": str(top / "run"),
    }
    subprocess.run(["tar", "-C", tree, "-cf", top / "image.tar", "."], check=True)
    someone.give()
    path = f"ENV PATH={Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        [*someone.prefix, "podman", "import", "--change", path, str(top / "image.tar"), IMAGE],
        env=someone.environment,
        cwd=top,
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(top)
        pytest.skip(f"podman does not run here: {done.stderr.strip().splitlines()[-1]}")


def require(engine: Engine) -> None:
    """Skip a test where this machine has not what an engine needs."""
    try:
        engine_for(Sandbox(engine=engine))
    except BridgeError as lacking:
        pytest.skip(lacking.message)


@dataclass
class Kernel:
    """A kernel in a sandbox, and a client of it."""

    process: subprocess.Popen[str] | None
    client: BlockingKernelClient
    ports: list[int]

    def run(self, code: str, *, cell: bool = True) -> str:
        """Run code, in a cell or beside them; return what it has printed and shown. Raises `AssertionError` with its error."""
        shown: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                shown.append(content["text"])
            elif message["msg_type"] in {"execute_result", "display_data"}:
                shown.append(content["data"].get("text/plain", ""))

        reply = self.client.execute_interactive(code, store_history=cell, timeout=BOUND, output_hook=hear)
        content = reply["content"]
        assert content["status"] == "ok", f"{content.get('ename')}: {content.get('evalue')}\n{''.join(shown)}"
        return "".join(shown).strip()

    def replied(self) -> dict[str, Any]:
        """Return the content of the next reply to code; what was asked before may be answered first."""
        while (message := self.client.get_shell_msg(timeout=BOUND))["msg_type"] != "execute_reply":
            pass
        content: dict[str, Any] = message["content"]
        return content


def _await(client: BlockingKernelClient, process: subprocess.Popen[str], log: Path) -> None:
    """Wait until a kernel answers. A client takes one whose heart has not begun to beat for dead."""
    deadline = time.monotonic() + BOUND
    while True:
        with suppress(RuntimeError):
            client.wait_for_ready(timeout=_LOOKS_EVERY)  # one that was refused never is
            return
        assert process.poll() is None, f"{log.read_text()} (exit code {process.returncode})"
        assert time.monotonic() < deadline


@contextmanager
def kernel(
    someone: User, sandbox: dict[str, Any] | None, *, limits: str = "", leaves: Sequence[int] = ()
) -> Iterator[Kernel]:
    """Start a kernel of a user, in a sandbox. `leaves`: descriptors that are left open in it."""
    if sandbox is not None and sandbox["engine"] in {"podman", "docker"}:
        image(someone)
        sandbox = {"image": IMAGE, **sandbox}
    elif sandbox is not None:
        require(sandbox["engine"])
    path = someone.home / f"run/kernel-{secrets.token_hex(4)}.json"
    file, connection = write_connection_file(str(path), ip="127.0.0.1")
    someone.give()
    options = [] if sandbox is None else [f"--sandbox={json.dumps(sandbox)}"]
    options += [f"--limits={limits}"] if limits else []
    with (someone.home / "kernel.log").open("w+") as log:
        process = subprocess.Popen(
            [*someone.prefix, *module_command("kernel", *options, "-f", file)],
            env=someone.environment,
            cwd=someone.folder,
            pass_fds=leaves,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        client = BlockingKernelClient(connection_file=file)
        client.load_connection_file()
        client.start_channels()
        try:
            _await(client, process, Path(log.name))
            numbers: dict[str, Any] = {**connection}
            ports = [numbers[f"{name}_port"] for name in ("shell", "iopub", "control", "hb", "stdin")]
            yield Kernel(process, client, ports)
        finally:
            client.stop_channels()
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(BOUND)
