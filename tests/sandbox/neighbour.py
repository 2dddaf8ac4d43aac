"""Another process of the same user, which code in a sandbox must not reach: it serves all kinds of sockets, and says where."""

import ctypes
import json
import os
import socket
import sys
import threading


def main(folder: str) -> None:
    libc = ctypes.CDLL(None)
    memory = ctypes.create_string_buffer(b"private")
    said: dict[str, object] = {"pid": os.getpid(), "address": ctypes.addressof(memory)}
    said["segment"] = segment = libc.shmget(0, 4096, 0o1600)
    shared = f"/dev/shm/victim-{os.getpid()}"
    with open(shared, "w") as file:
        file.write("private")
    said["shared_memory"] = shared
    _, terminal = os.openpty()
    said["terminal"] = os.ttyname(terminal)
    kept = []
    for name, family, address in (
        ("unix", socket.AF_UNIX, f"{folder}/unix"),
        ("pool", socket.AF_UNIX, f"{folder}/pool.sock"),
        ("server", socket.AF_UNIX, f"{folder}/server.sock"),
        ("abstract", socket.AF_UNIX, f"\0victim-{os.getpid()}"),
        ("tcp", socket.AF_INET, ("127.0.0.1", 0)),
        ("tcp6", socket.AF_INET6, ("::1", 0)),
    ):
        try:
            listening = socket.socket(family, socket.SOCK_STREAM)
            listening.bind(address)
        except OSError:  # a machine without IPv6
            said[name] = 9
            continue
        listening.listen(100)
        kept.append(listening)
        bound = listening.getsockname()
        said[name] = (
            bound[1] if family != socket.AF_UNIX else (bound.decode()[1:] if name == "abstract" else bound)
        )
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(f"{folder}/unix_datagram")
    said["unix_datagram"] = f"{folder}/unix_datagram"
    answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    answering.bind(("127.0.0.1", 0))
    said["udp"] = answering.getsockname()[1]

    def answer() -> None:
        while True:
            _, sender = answering.recvfrom(100)
            answering.sendto(b"answer", sender)

    threading.Thread(target=answer, daemon=True).start()
    print(json.dumps(said), flush=True)
    sys.stdin.read()  # until the test ends
    libc.shmctl(segment, 0, None)
    os.unlink(shared)


main(sys.argv[1])
