"""The filter of system calls: what code in a sandbox cannot ask of the kernel.

Refused are calls that reach other processes or the system, that are ways around the other bounds, or that much of what was
ever exploited in the kernel needed. They fail with an error, so that programs that only try go on. `program` is pure.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.sandbox.landlock import no_new_privileges
from marimo_kernel_bridge.sandbox.system_calls import ARCHITECTURES, X32, call, machine, number

if TYPE_CHECKING:
    from collections.abc import Iterable

Instruction = tuple[int, int, int, int]
"""An instruction of classic BPF: code, how many to skip if true, if false, and a constant."""

_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_SET_MODE_FILTER: Final = 1
_ALL_THREADS: Final = 1

_NEW_NAMESPACES: Final = 0x7E020080  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET, TIME
_TYPE_BITS: Final = 0xF  # of a socket's type, without SOCK_NONBLOCK and SOCK_CLOEXEC
_FAST_OPEN: Final = 0x20000000  # MSG_FASTOPEN: connects without `connect`
_TCP, _FAST_OPEN_CONNECT = 6, 30
_MAKES_FILE: Final = os.O_CREAT | (getattr(os, "O_TMPFILE", 0) & ~getattr(os, "O_DIRECTORY", 0))
_SPECIAL_BITS: Final = 0o6000  # setuid, setgid
_TERMINAL_INPUT: Final = (
    0x5412,
    0x541C,
)  # TIOCSTI, TIOCLINUX: typing into the terminal that started the kernel
_PRIORITY_OF_USER, _IO_PRIORITY_OF_USER = 2, 3
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_NETLINK", 16))

_OTHER_PROCESSES: Final = "ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise process_mrelease migrate_pages move_pages"
_NAMESPACES_AND_MOUNTS: Final = (
    "mount umount2 pivot_root move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr setns "
    "chroot name_to_handle_at open_by_handle_at"
)
_SYSTEM: Final = (
    "acct adjtimex clock_adjtime clock_settime settimeofday delete_module finit_module init_module kexec_file_load "
    "kexec_load reboot swapon swapoff sethostname setdomainname ioperm iopl quotactl quotactl_fd nfsservctl syslog "
    "vhangup fanotify_init lookup_dcookie uselib modify_ldt"
)
_OFTEN_EXPLOITED: Final = "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register add_key request_key keyctl"
_REFUSED: Final = f"{_OTHER_PROCESSES} {_NAMESPACES_AND_MOUNTS} {_SYSTEM} {_OFTEN_EXPLOITED}".split()
_SHARED_BY_THE_USER: Final = ("shmget", "semget", "msgget", "mq_open")
"""Memory and queues that all processes of a user share, where no namespace keeps them apart."""


def confine(*, own_ipc: bool) -> None:
    """Filter the system calls of this process and its children, for good. Raises `OSError`."""
    _install(program(machine(), own_ipc=own_ipc))


def program(architecture: str, *, own_ipc: bool) -> list[Instruction]:
    """Return the filter for a processor. `own_ipc`: a namespace keeps System V's memory and queues apart."""

    def of(name: str) -> int | None:
        return number(name, architecture)

    names = [*_REFUSED, *(() if own_ipc else _SHARED_BY_THE_USER)]
    return _filter(
        architecture,
        [
            *(_refused(of(name), errno.EPERM) for name in names),
            # As on a kernel that has no such call: the C library then uses one whose arguments can be looked at.
            *(_refused(of(name), errno.ENOSYS) for name in ("clone3", "openat2")),
            _when(of("unshare"), _any_bit(0, _NEW_NAMESPACES)),
            _when(of("clone"), _any_bit(0, _NEW_NAMESPACES)),
            # Landlock lets `connect` to the path of a Unix socket through: Docker's is a way out.
            _when(of("socket"), _only(0, _INTERNET)),
            # A pair of datagram sockets can send to any path.
            _when(of("socketpair"), _none_of(1, (socket.SOCK_DGRAM, socket.SOCK_RAW), _TYPE_BITS)),
            _when(of("sendto"), _any_bit(3, _FAST_OPEN)),
            _when(of("sendmsg"), _any_bit(2, _FAST_OPEN)),
            _when(of("sendmmsg"), _any_bit(3, _FAST_OPEN)),
            _when(of("setsockopt"), _not_both(1, _TCP, 2, _FAST_OPEN_CONNECT)),
            # Of other processes of the user: a limit of CPU time would end them, another policy starve them.
            _when(of("prlimit64"), _zero(0)),
            _when(of("sched_setaffinity"), _zero(0)),
            # Done for nobody, but said to be: ZeroMQ ends a process whose threads are refused that.
            *(_when(of(f"sched_set{what}"), _zero(0, 0)) for what in ("attr", "param", "scheduler")),
            _when(of("setpriority"), _unless(0, _PRIORITY_OF_USER, _zero(1))),
            _when(of("ioprio_set"), _unless(0, _IO_PRIORITY_OF_USER, _zero(1))),
            _when(of("ioctl"), _none_of(1, _TERMINAL_INPUT)),
            _when(of("chmod"), _any_bit(1, _SPECIAL_BITS)),
            _when(of("fchmod"), _any_bit(1, _SPECIAL_BITS)),
            _when(of("fchmodat"), _any_bit(2, _SPECIAL_BITS)),
            _when(of("fchmodat2"), _any_bit(2, _SPECIAL_BITS)),
            _when(of("creat"), _any_bit(1, _SPECIAL_BITS)),
            _when(of("mknod"), _any_bit(1, _SPECIAL_BITS)),
            _when(of("mknodat"), _any_bit(2, _SPECIAL_BITS)),
            _when(of("open"), _if_bits(1, _MAKES_FILE, _any_bit(2, _SPECIAL_BITS))),
            _when(of("openat"), _if_bits(2, _MAKES_FILE, _any_bit(3, _SPECIAL_BITS))),
        ],
    )


def _filter(architecture: str, parts: Iterable[list[Instruction]]) -> list[Instruction]:
    """Return a filter of parts, each of which decides or leaves the number of the call loaded."""
    instructions = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, ARCHITECTURES[architecture]),
        _error(errno.EPERM),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if architecture == "x86_64":
        instructions += [(_AT_LEAST, 0, 1, X32), _error(errno.EPERM)]
    for part in parts:
        instructions += part
    return [*instructions, (_RETURN, 0, 0, _ALLOW)]


def _refused(nr: int | None, error: int) -> list[Instruction]:
    return _when(nr, [_error(error)])


def _when(nr: int | None, body: list[Instruction]) -> list[Instruction]:
    """Return what decides one system call by `body`, which never goes on after its end."""
    return [] if nr is None else [(_EQUAL, 0, len(body), nr), *body]


def _any_bit(argument: int, bits: int) -> list[Instruction]:
    return [_argument(argument), (_ANY_BIT, 0, 1, bits), _error(errno.EPERM), (_RETURN, 0, 0, _ALLOW)]


def _zero(argument: int, error: int = errno.EPERM) -> list[Instruction]:
    return [_argument(argument), (_EQUAL, 0, 1, 0), (_RETURN, 0, 0, _ALLOW), _error(error)]


def _unless(argument: int, value: int, body: list[Instruction]) -> list[Instruction]:
    return [_argument(argument), (_EQUAL, 0, 1, value), _error(errno.EPERM), *body]


def _if_bits(argument: int, bits: int, body: list[Instruction]) -> list[Instruction]:
    return [_argument(argument), (_ANY_BIT, 1, 0, bits), (_RETURN, 0, 0, _ALLOW), *body]


def _only(argument: int, values: Iterable[int]) -> list[Instruction]:
    allowed = [part for value in values for part in ((_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW))]
    return [_argument(argument), *allowed, _error(errno.EACCES)]


def _none_of(argument: int, values: Iterable[int], mask: int = 0xFFFFFFFF) -> list[Instruction]:
    refused = [part for value in values for part in ((_EQUAL, 0, 1, value), _error(errno.EACCES))]
    return [_argument(argument), (_AND, 0, 0, mask), *refused, (_RETURN, 0, 0, _ALLOW)]


def _not_both(first: int, value: int, second: int, other: int) -> list[Instruction]:
    return [
        _argument(first),
        (_EQUAL, 1, 0, value),
        (_RETURN, 0, 0, _ALLOW),
        *_none_of(second, (other,)),
    ]


def _argument(index: int) -> Instruction:
    """Return what loads the lower half of an argument: all that the kernel itself looks at in these."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)


def _error(number_: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | number_)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _install(instructions: list[Instruction]) -> None:
    packed = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in instructions))
    program_ = _Program(len(instructions), ctypes.cast(packed, ctypes.c_void_p))
    no_new_privileges()
    call("seccomp", _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program_))
