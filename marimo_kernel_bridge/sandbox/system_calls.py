"""Linux's system calls that Python has no function for: their numbers on this machine's processor, and calling them."""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache
from typing import Final

from marimo_kernel_bridge.errors import BridgeError

ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""As the kernel calls them in a seccomp filter: `AUDIT_ARCH_*`."""
X32: Final = 0x40000000
"""The bit of system calls of x86_64's second, 32 bit wide, interface."""

_NUMBERS: Final[dict[str, tuple[int | None, int | None]]] = {
    # name: (x86_64, aarch64); None: it has no such call
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "creat": (85, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open": (2, None),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "openat": (257, 56),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "sendmmsg": (307, 269),
    "sendmsg": (46, 211),
    "sendto": (44, 206),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "setsockopt": (54, 208),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "uselib": (134, None),
    "vhangup": (153, 58),
}


def machine() -> str:
    """Return the name of this processor's architecture. Raises `BridgeError`: sandbox_unavailable."""
    found = platform.machine()
    if os.name != "posix" or (not hasattr(os, "setns") and not os.path.exists("/proc/self")):  # noqa: PTH110
        raise BridgeError("sandbox_unavailable", "Sandboxes need Linux; nothing was started.")
    if found not in ARCHITECTURES:
        raise BridgeError(
            "sandbox_unavailable",
            f"Sandboxes need {' or '.join(ARCHITECTURES)}, and this processor is {found}; nothing was started.",
        )
    return found


def number(name: str, of: str | None = None) -> int | None:
    """Return the number of a system call, None if this architecture has none of that name."""
    return _NUMBERS[name][list(ARCHITECTURES).index(of or machine())]


@cache
def libc() -> ctypes.CDLL:
    """Return the C library of this process."""
    return ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> int:
    """Make a system call. Raises `OSError`."""
    nr = number(name)
    assert nr is not None, f"{name} is called on processors that have it"
    converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return checked(name, libc().syscall(ctypes.c_long(nr), *converted))


def control_process(option: int, *arguments: int) -> int:
    """Call `prctl`. Raises `OSError`."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return checked("prctl", libc().prctl(option, *(ctypes.c_ulong(each) for each in padded)))


def checked(what: str, result: int) -> int:
    """Return the result of a function of the C library. Raises `OSError` if it is -1."""
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result
