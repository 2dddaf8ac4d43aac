"""The filter of system calls, run by an interpreter of classic BPF: what is refused, with which error, and what goes on."""

import errno
import os
import socket
import struct

import pytest

from marimo_kernel_bridge.sandbox.seccomp import Instruction, program
from marimo_kernel_bridge.sandbox.system_calls import ARCHITECTURES, number

ALLOWED = 0
CLONE_THREAD = 0x3D0F00  # what pthread_create asks for
SIGCHLD = 17


def decided(
    instructions: list[Instruction], nr: int, *arguments: int, architecture: int = ARCHITECTURES["x86_64"]
) -> int:
    """Return the error that a system call gets, 0 if it is allowed."""
    data = struct.pack("<IIQ6Q", nr, architecture, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, constant = instructions[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, constant)[0]
        elif code == 0x54:
            accumulator &= constant
        elif code == 0x06:
            return constant & 0xFFFF if constant & 0x00050000 and constant != 0x7FFF0000 else ALLOWED
        else:
            holds = {
                0x15: accumulator == constant,
                0x35: accumulator >= constant,
                0x45: bool(accumulator & constant),
            }[code]
            at += if_true if holds else if_false


@pytest.fixture(scope="module")
def filtered() -> list[Instruction]:
    return program("x86_64", own_ipc=True)


def called(filtered: list[Instruction], name: str, *arguments: int) -> int:
    nr = number(name, "x86_64")
    assert nr is not None
    return decided(filtered, nr, *arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ptrace", ()),
        ("process_vm_readv", ()),
        ("io_uring_setup", ()),
        ("bpf", ()),
        ("mount", ()),
        ("mount_setattr", ()),
        ("open_by_handle_at", ()),
        ("keyctl", ()),
        ("unshare", (0x10000000,)),
        ("clone", (0x10000000 | SIGCHLD,)),
        ("sendto", (3, 0, 0, 0x20000000)),
        ("sendmsg", (3, 0, 0x20000000)),
        ("prlimit64", (1234, 0)),
        ("setpriority", (0, 1234)),
        ("sched_setaffinity", (1234,)),
        ("setpriority", (2, 0)),
        ("chmod", (0, 0o4755)),
        ("fchmodat", (3, 0, 0o2755)),
        ("openat", (3, 0, os.O_CREAT | os.O_WRONLY, 0o4700)),
        ("openat", (3, 0, os.O_TMPFILE | os.O_RDWR, 0o4755)),
    ],
)
def test_it_is_refused(filtered: list[Instruction], name: str, arguments: tuple[int, ...]) -> None:
    assert called(filtered, name, *arguments) == errno.EPERM


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("socket", (socket.AF_UNIX, socket.SOCK_STREAM)),
        ("socket", (40, socket.SOCK_STREAM)),  # AF_VSOCK: the host of a virtual machine
        ("socket", (17, socket.SOCK_RAW)),  # AF_PACKET
        ("socketpair", (socket.AF_UNIX, socket.SOCK_DGRAM | 0o2000000)),
        ("ioctl", (0, 0x5412)),
        ("setsockopt", (3, 6, 30)),
    ],
)
def test_access_is_refused(filtered: list[Instruction], name: str, arguments: tuple[int, ...]) -> None:
    assert called(filtered, name, *arguments) == errno.EACCES


@pytest.mark.parametrize("name", ["clone3", "openat2"])
def test_calls_whose_arguments_no_filter_sees_do_not_exist(filtered: list[Instruction], name: str) -> None:
    assert called(filtered, name) == errno.ENOSYS


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("socket", (socket.AF_INET, socket.SOCK_STREAM)),
        ("socket", (socket.AF_INET6, socket.SOCK_DGRAM)),
        ("socketpair", (socket.AF_UNIX, socket.SOCK_STREAM | 0o2000000)),
        ("clone", (CLONE_THREAD,)),
        ("clone", (SIGCHLD,)),
        ("unshare", (0,)),
        ("prlimit64", (0, 7)),
        ("setpriority", (0, 0)),
        ("chmod", (0, 0o755)),
        ("openat", (3, 0, os.O_RDONLY, 0o7777)),  # without O_CREAT the mode is whatever a register holds
        ("openat", (3, 0, os.O_CREAT, 0o644)),
        ("openat", (3, 0, os.O_DIRECTORY, 0o4755)),
        ("sendto", (3, 0, 0, 0x4000)),
        ("setsockopt", (3, 6, 1)),
        ("setsockopt", (3, 1, 30)),
        ("ioctl", (0, 0x5413)),
        ("shmget", ()),
    ],
)
def test_what_python_needs_goes_on(
    filtered: list[Instruction], name: str, arguments: tuple[int, ...]
) -> None:
    assert called(filtered, name, *arguments) == ALLOWED


def test_another_policy_of_scheduling_is_said_to_be_set_and_is_not(filtered: list[Instruction]) -> None:
    """ZeroMQ ends a process whose threads are refused one."""
    nr = number("sched_setscheduler", "x86_64") or 0
    assert (0x06, 0, 0, 0x00050000) in filtered[filtered.index((0x15, 0, 4, nr)) :][:5]


def test_the_second_interface_of_the_processor_is_refused(filtered: list[Instruction]) -> None:
    assert decided(filtered, 39 | 0x40000000) == errno.EPERM


def test_calls_of_another_architecture_are_refused(filtered: list[Instruction]) -> None:
    assert decided(filtered, 4, architecture=0x40000003) == errno.EPERM  # i386


def test_memory_that_all_processes_share_is_refused_where_no_namespace_keeps_it_apart() -> None:
    assert decided(program("x86_64", own_ipc=False), number("shmget", "x86_64") or 0) == errno.EPERM


def test_the_filter_of_the_other_architecture_knows_its_own_numbers() -> None:
    other = program("aarch64", own_ipc=True)
    here = ARCHITECTURES["aarch64"]
    assert decided(other, 117, architecture=here) == errno.EPERM  # ptrace
    assert decided(other, 198, socket.AF_UNIX, architecture=here) == errno.EACCES  # socket
    assert decided(other, 101, architecture=here) == ALLOWED  # nanosleep; ptrace of x86_64
