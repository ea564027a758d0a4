"""Networks of a process's own: two namespaces with a faulty wire between them, and a name server.

Needs root and /dev/net/tun. The wire does what tc's netem would do, which not every kernel has.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")
_CLONE_NEWNS, _CLONE_NEWNET, _MS_BIND, _MS_PRIVATE = 0x20000, 0x40000000, 4096, 0x44000
_TUNSETIFF, _TUN_WITHOUT_HEADER = 0x400454CA, 0x1001
_QUEUE_PACKETS = 200  # that wait for a slow wire; more are lost
_LIBC = ctypes.CDLL(None, use_errno=True)

CLIENT, SERVER = "10.9.0.1", "10.9.0.2"


def why_not() -> str:
    """What this machine lacks for it; "" for nothing."""
    if not hasattr(os, "geteuid") or os.geteuid():
        return "needs root"
    return "" if Path("/dev/net/tun").exists() else "needs /dev/net/tun"


def enter_network(*, mounts: bool = False) -> None:
    """Give the calling thread, and those it starts, an empty network with a loopback interface."""
    if _LIBC.unshare(_CLONE_NEWNET | (_CLONE_NEWNS if mounts else 0)):
        raise OSError(ctypes.get_errno(), "unshare")
    _ip("link", "set", "lo", "up")


def in_network(run: Callable[[], _T]) -> _T:
    """Run something in a network of its own, as are the threads that it starts."""
    results: list[_T] = []

    def enter_and_run() -> None:
        enter_network()
        results.append(run())

    thread = threading.Thread(target=enter_and_run)
    thread.start()
    thread.join()
    return results[0]


def open_tun(address: str) -> int:
    """Make an interface of the calling thread's network; its packets are read from the result."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH14x", b"wire", _TUN_WITHOUT_HEADER))
    _ip("addr", "add", f"{address}/24", "dev", "wire")
    _ip("link", "set", "wire", "up")
    return tun


def change_address(old: str, new: str) -> None:
    """Let the interface of the calling thread's network have another address."""
    _ip("addr", "del", f"{old}/24", "dev", "wire")
    _ip("addr", "add", f"{new}/24", "dev", "wire")


def listen_on(server: Any, host: str, port: int = 0) -> None:
    """Let a running FakeServer listen on an address of its network instead of 127.0.0.1."""

    def replace() -> None:
        loop = server._loop
        loop.stop_listening()
        loop._listener = socket.create_server((host, port or loop.port), backlog=128)
        loop._listener.setblocking(False)
        loop.port = loop._listener.getsockname()[1]
        loop._selector.register(loop._listener, select.EPOLLIN)

    server._loop.call(replace)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Wire:
    """Passes packets between two interfaces; its attributes may be set at any time.

    Its daemon thread ends with the process.
    """

    def __init__(self, one: int, other: int) -> None:
        self.delay = 0.0
        """Seconds that each packet takes."""
        self.jitter = 0.0
        """Up to so many seconds more, drawn for each packet: they overtake each other."""
        self.loss = 0.0
        """The share of packets that is lost."""
        self.bytes_per_second: float | None = None
        self._ends = {one: other, other: one}
        self._free_at = dict.fromkeys(self._ends, 0.0)
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._numbers = itertools.count()
        self._dice = random.Random(3)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            wait = self._under_way[0][0] - time.monotonic() if self._under_way else 1.0
            for end in select.select(list(self._ends), [], [], max(0.0, wait))[0]:
                self._take(end, os.read(end, 65536), time.monotonic())
            while self._under_way and self._under_way[0][0] <= time.monotonic():
                *_, end, packet = heapq.heappop(self._under_way)
                os.write(end, packet)

    def _take(self, end: int, packet: bytes, now: float) -> None:
        if self._dice.random() < self.loss or len(self._under_way) >= _QUEUE_PACKETS:
            return
        due = now
        if self.bytes_per_second:
            due = max(now, self._free_at[end]) + len(packet) / self.bytes_per_second
            self._free_at[end] = due
        due += self.delay + self._dice.random() * self.jitter
        heapq.heappush(self._under_way, (due, next(self._numbers), self._ends[end], packet))


class NameServer:
    """The only name server of the calling process, which has to be in a network of its own.

    Made after `enter_network(mounts=True)`. `address` answers every A query; "" is "no such name",
    None no answer at all. Its daemon thread ends with the process.
    """

    def __init__(self, address: str | None, folder: Path) -> None:
        self.address = address
        _LIBC.mount(b"none", b"/", None, ctypes.c_ulong(_MS_PRIVATE), None)
        for name, text in (
            ("resolv.conf", "nameserver 127.0.0.1\n"),
            ("nsswitch.conf", "hosts: dns\n"),
        ):
            ours = folder / name
            ours.write_text(text)
            theirs = f"/etc/{name}"
            if _LIBC.mount(bytes(ours), theirs.encode(), None, ctypes.c_ulong(_MS_BIND), None):
                raise OSError(ctypes.get_errno(), f"mount {theirs}")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            if self.address is not None:
                self._socket.sendto(self._answer(query, self.address), client)

    def _answer(self, query: bytes, address: str) -> bytes:
        end = query.index(b"\0", 12) + 5
        (kind,) = struct.unpack(">H", query[end - 4 : end - 2])
        is_found = kind == 1 and address != ""
        flags = 0x8180 if address else 0x8183
        head = query[:2] + struct.pack(">HHHHH", flags, 1, is_found, 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4)
        found = record + socket.inet_aton(address) if is_found else b""
        return head + query[12:end] + found
