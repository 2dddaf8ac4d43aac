"""Real servers of other projects, each with a marimo kernel open: JupyterHub, Enterprise Gateway, Kernel Gateway.

Owns their processes and what they need from PyPI and npm, below .build: each in an environment of its own, because their
requirements contradict each other. Knows nothing of MCP.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUILD: Final = Path(__file__).parents[2] / ".build" / "servers"
PROXY: Final = "configurable-http-proxy@5"
BOUND: Final = 90.0  # seconds for any server to come up
USER: Final = "ada"
NOTEBOOK: Final = "penguins.ipynb"
BOUNDED_NOTEBOOK: Final = "work/bounded.ipynb"
BOUNDS: Final = {
    "--limits": {"memory": "1GB", "cell_seconds": 5, "grace_seconds": 5},
    "--sandbox": {"network": "none", "files": "folder"},
}
"""Of a second kernel at each place, as options of its own command line: no server knows of them."""
TOKEN: Final = "a-token-for-this-test-only"


@dataclass(frozen=True)
class Place:
    """A server with two kernels. `known_as` are the arguments of connect_to_kernel that name the first, `bounded` those of the other.

    `work` is the folder of the other, which it may not leave. `stop` ends the user's server where it is a hub's.
    """

    url: str
    token: str = field(repr=False)
    known_as: dict[str, str]
    bounded: dict[str, str]
    work: Path
    stop: Callable[[], object] | None = None


@contextmanager
def jupyterhub(folder: Path) -> Iterator[Place]:
    """A hub whose user has started a server, opened a notebook, and made a token for the agent on the hub's token page."""
    hub_programs = environment("hub", "jupyterhub>=6", "jupyterlab>=4.4,<5")
    port, inner, proxy = free_port(), free_port(), free_port()
    service = "a-service-token-for-this-test-only"
    (folder / "jupyterhub_config.py").write_text(
        "\n".join(
            f"c.{name} = {value!r}"
            for name, value in {
                "JupyterHub.bind_url": f"http://127.0.0.1:{port}",
                "JupyterHub.hub_bind_url": f"http://127.0.0.1:{inner}",
                "JupyterHub.db_url": f"sqlite:///{folder}/hub.sqlite",
                "JupyterHub.cookie_secret_file": f"{folder}/cookie_secret",
                "JupyterHub.authenticator_class": "dummy",
                "JupyterHub.spawner_class": "simple",
                "JupyterHub.services": [{"name": "test", "api_token": service}],
                "JupyterHub.load_roles": [
                    {
                        "name": "test",
                        "services": ["test"],
                        "scopes": ["admin:users", "admin:servers", "tokens"],
                    }
                ],
                "ConfigurableHTTPProxy.api_url": f"http://127.0.0.1:{proxy}",
                "ConfigurableHTTPProxy.command": [npm_program("configurable-http-proxy", PROXY)],
                "Authenticator.allowed_users": {USER},
                "SimpleLocalProcessSpawner.home_dir_template": f"{folder}/home-{{username}}",
                "Spawner.cmd": [str(hub_programs / "jupyterhub-singleuser")],
                "Spawner.args": ["--allow-root"],
                "Spawner.environment": {"JUPYTER_PATH": str(kernelspecs(folder))},
                "Spawner.http_timeout": int(BOUND),
            }.items()
        )
    )
    hub = f"http://127.0.0.1:{port}/hub/api"
    command = [hub_programs / "jupyterhub", "-f", folder / "jupyterhub_config.py"]
    with running(command, folder, {"PATH": f"{hub_programs}{os.pathsep}{os.environ['PATH']}"}):
        answered(lambda: ask("GET", hub, service))
        scopes = {"note": "an agent", "scopes": [f"access:servers!user={USER}"]}
        token = ask("POST", f"{hub}/users/{USER}/tokens", service, scopes)["token"]
        ask("POST", f"{hub}/users/{USER}/server", service)
        server = f"http://127.0.0.1:{port}/user/{USER}"
        answered(lambda: ask("GET", f"{server}/api/status", token))
        open_notebook(server, token)
        work = folder / f"home-{USER}" / "work"
        work.mkdir()
        open_notebook(server, token, BOUNDED_NOTEBOOK, "marimo-bounded")
        stop = partial(ask, "DELETE", f"{hub}/users/{USER}/server", service)
        yield Place(server, token, {"notebook": NOTEBOOK}, {"notebook": BOUNDED_NOTEBOOK}, work, stop)


@contextmanager
def enterprise_gateway(folder: Path) -> Iterator[Place]:
    """A gateway to which an agent goes directly, with the kernel's id."""
    programs = environment("enterprise-gateway", "jupyter_enterprise_gateway>=3.2")
    port = free_port()
    command = [
        programs / "jupyter-enterprisegateway",
        "--EnterpriseGatewayApp.ip=127.0.0.1",
        f"--EnterpriseGatewayApp.port={port}",
        "--EnterpriseGatewayApp.port_retries=0",
        f"--EnterpriseGatewayApp.auth_token={TOKEN}",
        "--EnterpriseGatewayApp.list_kernels=True",
    ]
    with running(command, folder, {"JUPYTER_PATH": str(kernelspecs(folder))}):
        yield gateway_with_kernels(port, folder)


@contextmanager
def kernel_gateway(folder: Path) -> Iterator[Place]:
    """The smaller gateway of the same interface."""
    programs = environment("kernel-gateway", "jupyter_kernel_gateway>=3")
    port = free_port()
    command = [
        programs / "jupyter-kernelgateway",
        "--KernelGatewayApp.ip=127.0.0.1",
        f"--KernelGatewayApp.port={port}",
        "--KernelGatewayApp.port_retries=0",
        f"--KernelGatewayApp.auth_token={TOKEN}",
        "--JupyterWebsocketPersonality.list_kernels=True",
    ]
    with running(command, folder, {"JUPYTER_PATH": str(kernelspecs(folder))}):
        yield gateway_with_kernels(port, folder)


def gateway_with_kernels(port: int, folder: Path) -> Place:
    """Wait until a gateway answers, and start a kernel of each kind there."""
    url = f"http://127.0.0.1:{port}"
    answered(lambda: ask("GET", f"{url}/api", TOKEN))
    first, second = (start_kernel(url, TOKEN, name) for name in ("marimo", "marimo-bounded"))
    return Place(url, TOKEN, {"connection_file": first}, {"connection_file": second}, folder / "work")


@contextmanager
def jupyter_before(gateway: Callable[[Path], Any], folder: Path) -> Iterator[Place]:
    """A person's Jupyter server whose kernels all run at a gateway, with a notebook open."""
    with ExitStack() as stack:
        (folder / "gateway").mkdir()
        behind = stack.enter_context(gateway(folder / "gateway"))
        port = free_port()
        command = [
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
            f"--port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={folder}",
            f"--IdentityProvider.token={TOKEN}",
            f"--GatewayClient.url={behind.url}",
            f"--GatewayClient.auth_token={behind.token}",
        ]
        stack.enter_context(running(command, folder, {"KERNEL_USERNAME": USER}))
        url = f"http://127.0.0.1:{port}"
        answered(lambda: ask("GET", f"{url}/api/status", TOKEN))
        open_notebook(url, TOKEN)
        open_notebook(url, TOKEN, BOUNDED_NOTEBOOK, "marimo-bounded")
        yield Place(url, TOKEN, {"notebook": NOTEBOOK}, {"notebook": BOUNDED_NOTEBOOK}, behind.work)


# What they have in common


def kernelspecs(folder: Path) -> Path:
    """Make a folder of kernelspecs with two: marimo, with this interpreter, and the same with limits and a sandbox."""
    program = [sys.executable, "-P", "-m", "marimo_kernel_bridge", "kernel"]
    bounds = [word for option, value in BOUNDS.items() for word in (option, json.dumps(value))]
    for name, more in (("marimo", []), ("marimo-bounded", bounds)):
        spec = folder / "jupyter" / "kernels" / name
        spec.mkdir(parents=True)
        (spec / "kernel.json").write_text(
            json.dumps(
                {
                    "argv": [*program, *more, "-f", "{connection_file}"],
                    "display_name": "marimo (reactive Python)",
                    "language": "python",
                    "interrupt_mode": "signal",
                    "env": {"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
                }
            )
        )
    return folder / "jupyter"


def open_notebook(url: str, token: str, path: str = NOTEBOOK, kernel: str = "marimo") -> None:
    """Open a notebook as JupyterLab does."""
    body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel}}
    ask("POST", f"{url}/api/sessions", token, body)


def start_kernel(url: str, token: str, name: str) -> str:
    # Enterprise Gateway starts no kernel for root, as which containers run tests.
    body = {"name": name, "env": {"KERNEL_USERNAME": USER}}
    return ask("POST", f"{url}/api/kernels", token, body)["id"]


def ask(method: str, url: str, token: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(
        url,
        data=None if body is None and method == "GET" else json.dumps(body or {}).encode(),
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=BOUND) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def answered(call: Callable[[], Any]) -> None:
    """Wait until a server that comes up answers."""
    deadline = time.monotonic() + BOUND
    while True:
        try:
            call()
        except (OSError, urllib.error.URLError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)  # nothing announces it
        else:
            return


@contextmanager
def running(command: list[Any], folder: Path, environ: dict[str, str]) -> Iterator[None]:
    """Run a server whose home and runtime directory are its own: no file here tells of it.

    It works in a folder below its home: a sandbox takes no folder that holds a home.
    """
    (folder / "work").mkdir(exist_ok=True)
    own = {
        "HOME": str(folder),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=log,
            stderr=log,
            cwd=folder / "work",
            env={**os.environ, **own, **environ},
            start_new_session=True,
        )
    try:
        yield
    except BaseException:
        sys.stdout.write((folder / "log").read_text()[-3000:])
        raise
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def environment(name: str, *requirements: str) -> Path:
    """Return the programs of an environment with these packages, made if it is not there."""
    folder = BUILD / name
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != repr(requirements):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements]
        subprocess.run(pip, check=True)
        stamp.write_text(repr(requirements))
    return folder / "bin"


def npm_program(name: str, package: str) -> str:
    program = BUILD / "node_modules" / ".bin" / name
    if not program.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm")
        if npm is None:
            sys.exit("npm is needed: https://nodejs.org")
        options = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", "--prefix", str(BUILD))
        subprocess.run([npm, "install", *options, package], check=True)
    return str(program)
