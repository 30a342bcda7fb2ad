"""The wires do what they say, or the tests of hosts would see nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from local.wires import HERE, Wire, Wires, lacking, wired

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())
PINGS = 20
_PING = """
import socket, sys, time
ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ours.settimeout(0.3)
times = []
for number in range(int(sys.argv[2])):
    began = time.monotonic()
    ours.sendto(b"%d" % number, (sys.argv[1], 9999))
    try:
        while ours.recv(99) != b"%d" % number: pass
        times.append(time.monotonic() - began)
    except TimeoutError: pass
print(len(times), min(times, default=0))
"""
_ECHO = """
import socket
ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ours.bind(("", 9999))
print("bound", flush=True)
while True:
    data, address = ours.recvfrom(99)
    ours.sendto(data, address)
"""


@pytest.fixture(scope="module")
def wires() -> Iterator[Wires]:
    with wired("left", "right") as wires:
        echo = subprocess.Popen(wires.command("right", ["python3", "-c", _ECHO]), stdout=subprocess.PIPE)
        assert echo.stdout
        assert echo.stdout.readline()
        yield wires
        echo.kill()
        echo.wait()


def ping(wires: Wires, source: str) -> tuple[int, float]:
    """Send datagrams to the right host; return how many came back, and how soon the first did."""
    command = ["python3", "-c", _PING, wires.addresses["right"], str(PINGS)]
    said = subprocess.run(wires.command(source, command), capture_output=True, text=True, check=True).stdout
    came, first_s = said.split()
    return int(came), float(first_s)


@pytest.mark.parametrize("source", [HERE, "left"])
def test_a_wire_passes_everything_at_first(source: str, wires: Wires) -> None:
    wires.set(Wire())
    assert ping(wires, source)[0] == PINGS


def test_a_cut_wire_passes_nothing_and_the_others_all(wires: Wires) -> None:
    wires.set(Wire())
    wires.set(Wire(cut=True), ("left", "right"))
    assert ping(wires, "left")[0] == 0
    assert ping(wires, HERE)[0] == PINGS


def test_a_slow_wire_takes_its_time_in_both_directions(wires: Wires) -> None:
    wires.set(Wire(delay_s=(0.04, 0.05)))
    came, first_s = ping(wires, "left")
    assert came == PINGS
    assert first_s >= 0.08


def test_a_lossy_wire_loses_some(wires: Wires) -> None:
    wires.set(Wire(loss=0.3))
    assert 0 < ping(wires, "left")[0] < PINGS


def test_each_host_has_a_name_of_its_own(wires: Wires) -> None:
    names = [subprocess.check_output(wires.command(name, ["hostname"])) for name in ("left", "right")]
    assert names == [b"left\n", b"right\n"]
