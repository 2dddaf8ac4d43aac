"""What code in a sandbox must not be able to do: one function for each, run inside a kernel, or plainly to see that it would work.

A probe gets the world that the test has made outside. It raises `OSError` if it is refused, and returns if it got through.
Sent to the kernel as text, so it imports nothing of the tests.
"""

import contextlib
import ctypes
import errno
import os
import signal
import socket
import stat
import struct
import subprocess
from collections.abc import Callable
from typing import Any

World = dict[str, Any]
PROBES: dict[str, Callable[[World], object]] = {}
WITHOUT_PROOF = {
    "a name is resolved": "needs a name server",
    "a packet leaves the machine": "needs a route",
    "a system call of the 32 bit interface": "the system may have none",
    "a kernel module is loaded": "there is none to load",
    "a socket of the virtual machine's host": "not every kernel has it",
    "a socket that the kernel has accepted connects": "there is no kernel",
    "the memory of the sandbox's first process": "outside it is another's",
    "a network device is taken away from a socket of the kernel": "there is no kernel",
    "the filter of a socket of the kernel is taken away": "there is no kernel",
    "what io_uring sets up": "containers often refuse it",
    "the events of the system are watched": "containers often refuse it",
    "a program of the kernel's virtual machine": "containers often refuse it",
    "a page fault is handled": "containers often refuse it",
    "a key of the keyring": "containers often refuse it",
    "another process is traced": "containers often refuse it",
    "another process's memory is read": "containers often refuse it",
    "another process's file is opened": "containers often refuse it",
    "new namespaces": "containers often refuse them",
}
"""Probes that need not get through outside: why."""
OF_ROOT = {
    "a device is made",
    "a file system is mounted",
    "a setting of the system is opened",
    "the root is changed",
}
OF_A_USER = {"a program that runs as another user"}
LIBC = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"
NUMBERS = {
    # x86_64, aarch64
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "pidfd_getfd": (438, 438),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "unshare": (272, 97),
    "getpid": (39, 172),
    "finit_module": (313, 273),
    "shmat": (30, 196),
}


def call(name: str, *arguments: Any, bits: int = 0) -> int:
    number = NUMBERS[name][0 if X86 else 1] | bits
    converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return checked(LIBC.syscall(ctypes.c_long(number), *converted))


def checked(result: int) -> int:
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def probe(name: str) -> Callable[[Callable[[World], object]], Callable[[World], object]]:
    def add(function: Callable[[World], object]) -> Callable[[World], object]:
        PROBES[name] = function
        return function

    return add


def outcomes(world: World) -> dict[str, str]:
    """Return what became of each probe."""
    found = {}
    for name, function in PROBES.items():
        try:
            function(world)
        except OSError as error:
            found[name] = f"refused: {errno.errorcode.get(error.errno or 0, type(error).__name__)}"
        except Exception as error:
            found[name] = f"broken: {type(error).__name__}: {error}"
        else:
            found[name] = "got through"
    return found


# Files


@probe("a file of the home is read")
def _(world: World) -> None:
    with open(world["secret"]) as file:
        file.read()


@probe("a file of the home is read by another program")
def _(world: World) -> None:
    if subprocess.run(["cat", world["secret"]], capture_output=True, check=False).returncode:
        raise PermissionError(errno.EACCES, "cat failed")


@probe("a file of the home is changed")
def _(world: World) -> None:
    with open(world["secret"], "a") as file:
        file.write("")


@probe("a file of the home is cut")
def _(world: World) -> None:
    os.truncate(world["expendable"], 0)


@probe("a file of the home is removed")
def _(world: World) -> None:
    os.unlink(world["expendable"])


@probe("a file is made in the home")
def _(world: World) -> None:
    os.close(os.open(os.path.join(world["home"], "new"), os.O_CREAT | os.O_WRONLY))


@probe("the home is listed")
def _(world: World) -> None:
    if "secret.txt" not in os.listdir(world["home"]):
        raise FileNotFoundError(errno.ENOENT, "it is another one")


@probe("a file is read through a link in the folder")
def _(world: World) -> None:
    link = os.path.join(world["folder"], "link")
    with contextlib.suppress(FileExistsError):
        os.symlink(world["secret"], link)
    with open(link) as file:
        file.read()


@probe("a file becomes one of the folder by a hard link")
def _(world: World) -> None:
    os.link(world["secret"], os.path.join(world["folder"], "hard"))


@probe("a file is moved into the folder")
def _(world: World) -> None:
    os.rename(world["movable"], os.path.join(world["folder"], "moved"))


@probe("a file is read by the way of the root in /proc")
def _(world: World) -> None:
    with open(f"/proc/self/root{world['secret']}") as file:
        file.read()


@probe("others may read a private file from now on")
def _(world: World) -> None:
    os.chmod(world["secret"], 0o644)


@probe("a file's time is changed")
def _(world: World) -> None:
    os.utime(world["secret"], (1, 1))


@probe("a private key is read")
def _(world: World) -> None:
    with open(world["private_key"]) as file:
        file.read()


@probe("what IPython runs at its start is written")
def _(world: World) -> None:
    with open(os.path.join(world["home"], ".ipython/profile_default/startup/00.py"), "w") as file:
        file.write("")


@probe("what Jupyter runs at its start is written")
def _(world: World) -> None:
    with open(os.path.join(world["home"], ".jupyter/jupyter_server_config.py"), "w") as file:
        file.write("")


@probe("a package of Python is changed")
def _(world: World) -> None:
    import ipykernel

    with open(ipykernel.__file__, "a") as file:
        file.write("")


@probe("a file of the folder gets another user's rights")
def _(world: World) -> None:
    path = os.path.join(world["folder"], "program")
    with open(path, "w") as file:
        file.write("")
    os.chmod(path, 0o4755)


@probe("shared memory of another process is opened")
def _(world: World) -> None:
    with open(world["shared_memory"], "rb") as file:
        file.read()


@probe("a device is made")
def _(world: World) -> None:
    os.mknod(os.path.join(world["folder"], "device"), stat.S_IFBLK | 0o600, os.makedev(7, 0))


# Processes


@probe("the environment of another process")
def _(world: World) -> None:
    with open(f"/proc/{world['pid']}/environ", "rb") as file:
        assert b"VICTIM" in file.read()


@probe("the memory of another process")
def _(world: World) -> None:
    os.close(os.open(f"/proc/{world['pid']}/mem", os.O_RDWR))


@probe("the memory of the sandbox's first process")
def _(world: World) -> None:
    os.close(os.open(f"/proc/{os.getppid()}/mem", os.O_RDWR))


@probe("a file is read by the way of another process")
def _(world: World) -> None:
    with open(f"/proc/{world['pid']}/cwd/secret.txt") as file:
        file.read()


@probe("another process gets a signal")
def _(world: World) -> None:
    os.kill(world["pid"], signal.SIGCONT)


@probe("another process gets a signal by a descriptor of it")
def _(world: World) -> None:
    descriptor = os.pidfd_open(world["pid"])
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGCONT)
    finally:
        os.close(descriptor)


@probe("another group of processes gets a signal")
def _(world: World) -> None:
    os.killpg(os.getpgid(world["pid"]), signal.SIGCONT)


@probe("another process is traced")
def _(world: World) -> None:
    call("ptrace", 0x4206, world["pid"], 0, 0)  # PTRACE_SEIZE
    call("ptrace", 17, world["pid"], 0, 0)


@probe("another process's memory is read")
def _(world: World) -> None:
    here = ctypes.create_string_buffer(8)
    vector = struct.pack("PN", ctypes.addressof(here), 8)
    there = struct.pack("PN", world["address"], 8)
    call("process_vm_readv", world["pid"], vector, 1, there, 1, 0)


@probe("another process's file is opened")
def _(world: World) -> None:
    descriptor = os.pidfd_open(world["pid"])
    try:
        os.close(call("pidfd_getfd", descriptor, 0, 0))
    finally:
        os.close(descriptor)


@probe("another process's limits are lowered")
def _(world: World) -> None:
    import resource

    resource.prlimit(world["pid"], resource.RLIMIT_CORE, (0, 0))


@probe("another process is slowed down")
def _(world: World) -> None:
    os.setpriority(os.PRIO_PROCESS, world["pid"], 19)


@probe("another process may run on one processor only")
def _(world: World) -> None:
    os.sched_setaffinity(world["pid"], os.sched_getaffinity(world["pid"]))


@probe("another process runs when nothing else does")
def _(world: World) -> None:
    os.sched_setscheduler(world["pid"], os.SCHED_IDLE, os.sched_param(0))
    if os.sched_getscheduler(world["pid"]) != os.SCHED_IDLE:
        raise PermissionError(errno.EPERM, "nothing was done")


@probe("a terminal of the person")
def _(world: World) -> None:
    os.close(os.open(world["terminal"], os.O_RDWR | os.O_NOCTTY))


@probe("a program that runs as another user")
def _(world: World) -> None:
    printed = subprocess.run(
        [world["setuid_program"], "-u"], capture_output=True, text=True, check=True
    ).stdout
    if int(printed) == os.getuid():
        raise PermissionError(errno.EPERM, "it runs as this user")


@probe("System V's memory of another process")
def _(world: World) -> None:
    LIBC.shmat.restype = ctypes.c_long
    checked(LIBC.shmat(world["segment"], None, 0o10000))


# Sockets


@probe("a Unix socket at a path")
def _(world: World) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(world["unix"])


@probe("a Unix socket at a path, by one of a pair")
def _(world: World) -> None:
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        ends[0].sendto(b"x", world["unix_datagram"])
    finally:
        for end in ends:
            end.close()


@probe("an abstract Unix socket")
def _(world: World) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(f"\0{world['abstract']}")


@probe("a server on the loopback")
def _(world: World) -> None:
    socket.create_connection(("127.0.0.1", world["tcp"]), timeout=5).close()


@probe("a server on the loopback of IPv6")
def _(world: World) -> None:
    socket.create_connection(("::1", world["tcp6"]), timeout=5).close()


@probe("a datagram to the loopback")
def _(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(1.0)
        connection.sendto(b"question", ("127.0.0.1", world["udp"]))
        connection.recv(100)


@probe("a name is resolved")
def _(world: World) -> None:
    socket.getaddrinfo("example.org", 443)


@probe("a packet leaves the machine")
def _(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.sendto(b"x", ("198.51.100.1", 53))


@probe("a socket of the virtual machine's host")
def _(world: World) -> None:
    socket.socket(40, socket.SOCK_STREAM).close()


def kernels_own(world: World) -> tuple[list[socket.socket], list[socket.socket]]:
    """Return copies of the sockets of the kernel that listen at its ports, and of those that it has accepted.

    Others that listen are in the network inside, where they reach nothing.
    """
    listening, accepted = [], []
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            copy = socket.socket(fileno=os.dup(int(name)))
            if copy.family not in (socket.AF_INET, socket.AF_INET6):
                copy.close()
            elif copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                if copy.getsockname()[1] in world["ports"]:
                    listening.append(copy)
            else:
                accepted.append(copy)
        except OSError:
            continue
    if not listening:
        raise LookupError("the kernel has no sockets here")
    return listening, accepted


def connects(copy: socket.socket, world: World) -> None:
    """Take a socket apart and connect it to the victim."""
    checked(LIBC.connect(copy.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16))
    copy.settimeout(2.0)
    copy.connect(("127.0.0.1", world["tcp"]))


@probe("a socket that the kernel has accepted connects")
def _(world: World) -> None:
    _, accepted = kernels_own(world)
    # That of the heartbeat, whose client connects again.
    inner = [copy for copy in accepted if copy.getsockname()[1] == world["ports"][3]]
    if not inner:
        raise LookupError("no client is connected")
    connects(inner[-1], world)


def any_is_set(sockets: list[socket.socket], option: int, value: bytes | int) -> None:
    """Set an option of one of the sockets; raise if all refuse that."""
    refused = None
    for each in sockets:
        try:
            each.setsockopt(socket.SOL_SOCKET, option, value)
        except OSError as error:
            refused = error
        else:
            return
    raise refused or LookupError("there are no sockets")


@probe("a network device is taken away from a socket of the kernel")
def _(world: World) -> None:
    any_is_set(kernels_own(world)[0], socket.SO_BINDTODEVICE, b"\0")


@probe("the filter of a socket of the kernel is taken away")
def _(world: World) -> None:
    any_is_set(kernels_own(world)[0], 27, 0)


# The system


@probe("what io_uring sets up")
def _(world: World) -> None:
    os.close(call("io_uring_setup", 1, ctypes.create_string_buffer(120)))


@probe("a system call of the 32 bit interface")
def _(world: World) -> None:
    if not X86:
        raise OSError(errno.ENOSYS, "there is none")
    call("getpid", bits=0x40000000)


@probe("new namespaces")
def _(world: World) -> None:
    child = os.fork()
    if not child:
        try:
            call("unshare", 0x10000000)
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise PermissionError(errno.EPERM, "refused")


@probe("a file system is mounted")
def _(world: World) -> None:
    checked(LIBC.mount(b"tmpfs", world["mount_point"].encode(), b"tmpfs", 0, None))
    checked(LIBC.umount(world["mount_point"].encode()))


@probe("the root is changed")
def _(world: World) -> None:
    child = os.fork()
    if not child:
        try:
            os.chroot(world["folder"])
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise PermissionError(errno.EPERM, "refused")


@probe("a setting of the system is opened")
def _(world: World) -> None:
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))


@probe("a program of the kernel's virtual machine")
def _(world: World) -> None:
    os.close(call("bpf", 0, struct.pack("IIII", 2, 4, 4, 1) + bytes(100), 116))  # BPF_MAP_CREATE, an array


@probe("the events of the system are watched")
def _(world: World) -> None:
    attributes = struct.pack("IIQ", 1, 128, 0) + bytes(112)
    os.close(call("perf_event_open", attributes, 0, -1, -1, 0))


@probe("a page fault is handled")
def _(world: World) -> None:
    os.close(call("userfaultfd", 1))


@probe("a key of the keyring")
def _(world: World) -> None:
    call("add_key", b"user", b"probe", b"x", 1, -3)


@probe("a kernel module is loaded")
def _(world: World) -> None:
    call("finit_module", 0, b"", 0)


# What is ours


@probe("a token in the environment")
def _(world: World) -> None:
    with open("/proc/self/environ", "rb") as file:
        if b"PERSONS_TOKEN" not in file.read() and "PERSONS_TOKEN" not in os.environ:
            raise PermissionError(errno.EACCES, "it is not there")


@probe("the connection file of another kernel")
def _(world: World) -> None:
    with open(world["connection_file"]) as file:
        file.read()


@probe("the socket of a pool")
def _(world: World) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(world["pool"])


@probe("the socket of a running server")
def _(world: World) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(world["server"])


@probe("the token of the server")
def _(world: World) -> None:
    with open(world["token"]) as file:
        file.read()


@probe("the audit log is read")
def _(world: World) -> None:
    with open(world["audit_log"]) as file:
        file.read()


@probe("the audit log is written")
def _(world: World) -> None:
    with open(world["audit_log"], "a") as file:
        file.write("")


@probe("the key of the person's checkpoints")
def _(world: World) -> None:
    with open(world["checkpoint_key"], "rb") as file:
        file.read()


@probe("a pause is ended")
def _(world: World) -> None:
    os.unlink(world["pause"])


@probe("the black box of another kernel")
def _(world: World) -> None:
    with open(world["black_box"], "r+b") as file:
        file.read()
