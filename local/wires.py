"""Hosts as network namespaces, and wires between them, whose packets come late, get lost, or are cut off.

Each host has a TUN device; a thread of this process passes packets from one to another. So delay and loss
need no module of the kernel (netem), and are the same everywhere. Hosts are gone when this process ends.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations, count
from pathlib import Path

from local.processes import Group

# For tests of networks (RFC 2544), so that no real one is hidden.
_NETWORK = "198.18.77."
_PREFIX = 24
HERE = "here"  # the namespace of this process, from which clients call
_DEVICE = "sentiq"
_TUN = Path("/dev/net/tun")
_TOOLS = ("ip", "nsenter", "unshare")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_PACKET_BYTES = 65536
_FROM, _TO = slice(12, 16), slice(16, 20)  # where a packet of IPv4 has its addresses
_POLL_S = 0.2


def lacking() -> str:
    """Return what this machine lacks for hosts of its own; nothing if it has all."""
    for tool in _TOOLS:
        if not shutil.which(tool):
            return f"no {tool} on PATH"
    if not os.access(_TUN, os.R_OK | os.W_OK):
        return f"no access to {_TUN}"
    made = subprocess.run(["unshare", "--net", "--uts", "true"], capture_output=True, text=True, check=False)  # noqa: S607
    return f"network namespaces are not permitted: {made.stderr.strip()}" if made.returncode else ""


@dataclass(frozen=True, slots=True)
class Wire:
    """How packets pass between two hosts: cut off, or after `delay_s` (shortest, longest), save a share."""

    cut: bool = False
    delay_s: tuple[float, float] = (0.0, 0.0)
    loss: float = 0.0


class Wires:
    """The hosts by name, each with an address, and a wire between each two of them."""

    def __init__(self, group: Group, names: Sequence[str]) -> None:
        everyone = [HERE, *names]
        self.addresses = {name: f"{_NETWORK}{number}" for number, name in enumerate(everyone, 1)}
        self.passed = self.dropped = 0
        self._wires = {frozenset(pair): Wire() for pair in combinations(everyone, 2)}
        self._pids = {name: self._host(group, name) for name in names} | {HERE: os.getpid()}
        self._devices = {name: self._plug_in(name) for name in everyone}
        self._names = {packed(address): name for name, address in self.addresses.items()}
        self._random = random.Random(1)  # noqa: S311  a seeded one, so that losses repeat
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._pass_all, daemon=True)
        self._thread.start()

    def command(self, name: str, command: Iterable[str]) -> list[str]:
        """Return the command that runs another on a host."""
        return [*self._enter(name), *command]

    def set(self, wire: Wire, *pairs: tuple[str, str]) -> None:
        """Change the wires between pairs of hosts; without pairs, all."""
        for pair in [frozenset(pair) for pair in pairs] or list(self._wires):
            self._wires[pair] = wire

    def around(self, name: str) -> list[tuple[str, str]]:
        """Return the pairs of a host and each other one."""
        return [(name, other) for other in self.addresses if other != name]

    def stop(self) -> None:
        """Pull all plugs."""
        self._stopping.set()
        self._thread.join()
        for device in self._devices.values():
            os.close(device)

    def _host(self, group: Group, name: str) -> int:
        """Make a host; return the process that keeps it."""
        script = f"hostname {name.replace('_', '-')} && ip link set lo up && echo up && exec sleep infinity"
        keeper = group.popen(["unshare", "--net", "--uts", "sh", "-c", script], env=None)
        said = keeper.stdout.readline() if keeper.stdout else b""
        if said != b"up\n":
            raise OSError(f"host {name} did not start: {said.decode(errors='replace').strip()}")
        return keeper.pid

    def _enter(self, name: str) -> list[str]:
        spaces = [f"--{space}=/proc/{self._pids[name]}/ns/{space}" for space in ("net", "uts")]
        return [] if name == HERE else ["nsenter", *spaces]

    def _plug_in(self, name: str) -> int:
        """Give a host its device and its address; return what this process reads and writes of it."""
        opened: list[int] = []
        thread = threading.Thread(target=lambda: opened.append(open_device(self._pids[name])))
        thread.start()
        thread.join()
        (device,) = opened
        for arguments in (
            ("addr", "add", f"{self.addresses[name]}/{_PREFIX}", "dev", _DEVICE),
            ("link", "set", _DEVICE, "up"),
        ):
            subprocess.run([*self._enter(name), "ip", *arguments], check=True)
        return device

    def _pass_all(self) -> None:
        """Pass packets until the end; those of a pair of hosts stay in order, as they mostly do."""
        waiting: list[tuple[float, int, int, bytes]] = []
        numbers = count()
        last: dict[frozenset[str], float] = {}
        while not self._stopping.is_set():
            wait_s = min(_POLL_S, max(0.0, waiting[0][0] - time.monotonic())) if waiting else _POLL_S
            readable, _, _ = select.select(self._devices.values(), [], [], wait_s)
            for device in readable:
                packet = os.read(device, _PACKET_BYTES)
                source, target = self._names.get(packet[_FROM]), self._names.get(packet[_TO])
                if source is None or target is None or source == target:
                    continue  # IPv6, or a broadcast
                pair = frozenset((source, target))
                wire = self._wires[pair]
                if wire.cut or self._random.random() < wire.loss:
                    self.dropped += 1
                    continue
                due = max(last.get(pair, 0.0), time.monotonic() + self._random.uniform(*wire.delay_s))
                last[pair] = due
                heapq.heappush(waiting, (due, next(numbers), self._devices[target], packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, device, packet = heapq.heappop(waiting)
                os.write(device, packet)
                self.passed += 1


def packed(address: str) -> bytes:
    """Return an address as it stands in a packet."""
    return bytes(int(part) for part in address.split("."))


def open_device(pid: int) -> int:
    """Open a device in the namespace of a process. Call it in a thread of its own, which stays there."""
    libc = ctypes.CDLL(None, use_errno=True)
    space = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if libc.setns(space, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(space)
    device = os.open(_TUN, os.O_RDWR)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
    return device


@contextmanager
def wired(*names: str) -> Iterator[Wires]:
    """Make hosts and the wires between them while the context lasts."""
    with Group() as group:
        wires = Wires(group, names)
        try:
            yield wires
        finally:
            wires.stop()
