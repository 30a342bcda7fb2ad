"""Hosts of a bench: network namespaces that are linked to this machine, with a delay on the link.

Where the kernel has netem, it delays; elsewhere a proxy does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.load.slow_link import slow_link
from bench.program import BenchError


@dataclass(frozen=True)
class Host:
    """A namespace. `near` is the address of this machine on its link, `device` this machine's end of it."""

    name: str
    device: str
    near: str

    def command(self, *words: str) -> list[str]:
        """Return the command that runs `words` in the namespace."""
        return ["ip", "netns", "exec", self.name, *words]

    @contextmanager
    def redis(self, port: int, delay_s: float) -> Iterator[str]:
        """Yield a URL at which the host reaches the Redis on a port of this machine, so far away each way."""
        proxied = delay_s if delay_s and not has_netem() else 0.0
        with ExitStack() as stack:
            if delay_s and not proxied:
                stack.enter_context(self._delayed(delay_s))
            # The Redis listens on the loopback interface only, so a proxy leads to it in any case.
            link = stack.enter_context(slow_link(port, proxied, listen=self.near))
            yield f"redis://{self.near}:{link}/0"

    @contextmanager
    def _delayed(self, delay_s: float) -> Iterator[None]:
        """Delay what goes out at both ends of the link."""
        netem = ("root", "netem", "delay", f"{1000 * delay_s:g}ms")
        _run("tc", "qdisc", "add", "dev", self.device, *netem)
        _run(*self.command("tc", "qdisc", "add", "dev", "far", *netem))
        yield
        _run("tc", "qdisc", "del", "dev", self.device, "root")
        _run(*self.command("tc", "qdisc", "del", "dev", "far", "root"))


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """Make `count` namespaces, each with a link of its own, and remove them when the context ends.

    Raise BenchError without the right to do that.
    """
    with ExitStack() as stack:
        yield [stack.enter_context(_host(number)) for number in range(1, count + 1)]


@contextmanager
def _host(number: int) -> Iterator[Host]:
    if os.geteuid() != 0 or not shutil.which("ip"):
        raise BenchError("network namespaces need root and iproute2")
    host = Host(f"sentiq-{os.getpid()}-{number}", f"sq{os.getpid()}.{number}", f"10.77.{number}.1")
    _run("ip", "netns", "add", host.name)
    try:
        ends = ("type", "veth", "peer", "name", "far", "netns", host.name)
        _run("ip", "link", "add", host.device, *ends)
        _run("ip", "addr", "add", f"{host.near}/30", "dev", host.device)
        _run("ip", "link", "set", host.device, "up")
        _run(*host.command("ip", "addr", "add", f"10.77.{number}.2/30", "dev", "far"))
        for device in ("far", "lo"):
            _run(*host.command("ip", "link", "set", device, "up"))
        yield host
    finally:
        # The link goes with it.
        _run("ip", "netns", "del", host.name)


def has_netem() -> bool:
    """Return whether the kernel can delay packets."""
    name = f"sqn{os.getpid()}"
    _run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p")
    try:
        command = ["tc", "qdisc", "add", "dev", name, "root", "netem", "delay", "1ms"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    finally:
        _run("ip", "link", "del", name)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)}: {done.stderr.strip()}")
