"""Children hold equal blocks of memory once, and none can change what another reads."""

import ctypes
import json
import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local.client import Client
from local.stack import Stack
from tests.conftest import eventually, worker_of
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.process.shared_weights import LARGE, SharedBlocks
from worker.scoring.classifier import Classifier

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "models" / "embedded"
SIZE = 4 * LARGE
_GUARD_INSTALL = 102  # Linux's MADV_GUARD_INSTALL

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each child keeps its own")


def aligned_block(content: bytes) -> "ctypes.Array[ctypes.c_char]":
    """Memory as libraries of arithmetic ask for it, filled."""
    address = ctypes.c_void_p()
    assert ctypes.CDLL(None).posix_memalign(ctypes.byref(address), 64, len(content)) == 0
    assert address.value is not None
    block = (ctypes.c_char * len(content)).from_address(address.value)
    block.raw = content
    return block


def in_child(work: Callable[[], str]) -> str:
    """Run it in a forked process; return what it returned."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, work().encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def shared_kib(pid: int | str = "self") -> dict[str, int]:
    """Of the shared blocks, in KiB: mapped, and in memory by this process's part of it."""
    found = {"Size": 0, "Pss": 0}
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if "-" in name:
            inside = "memfd:sentiq-weights" in line
        elif inside and name in found:
            found[name] += int(rest.split()[0])
    return found


def hold_once(stack: Stack, least: int) -> bool:
    """Whether each child of the worker holds at least so many bytes together with the others."""
    found = [shared_kib(child.pid) for child in worker_of(stack).children()]
    enough = all(one["Size"] * 1024 >= least for one in found)
    # What a process holds together with others counts for it by its part; a copy of its own counts whole.
    together = sum(one["Pss"] for one in found) <= 1.1 * max(one["Size"] for one in found)
    return enough and together


def script() -> None:
    """What the test below runs alone in a fresh interpreter, whose memory nobody else has laid out."""
    shared = SharedBlocks()
    same, other = b"w" * SIZE, os.urandom(SIZE)

    def load() -> str:
        with shared.shared():
            one, two = aligned_block(same), aligned_block(other)
        mapped = shared_kib()["Size"]
        equal = (one.raw, two.raw) == (same, other)
        one[0] = b"!"
        return json.dumps([mapped, equal, one.raw == b"!" + same[1:]])

    print(json.dumps([json.loads(in_child(load)) for _ in range(2)]))  # noqa: T201  its answer


def test_a_child_that_writes_to_a_shared_block_changes_its_own_copy() -> None:
    code = "from tests.worker.test_sharing import script; script()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    (first, *_), (second, *_) = answers = json.loads(done.stdout)
    assert first == second >= 2 * SIZE // 1024
    assert all(equal and written for _, equal, written in answers)


def test_pages_that_nobody_may_read_are_left_alone() -> None:
    """The C library guards the stacks of threads with such pages inside of writable memory."""
    with mmap.mmap(-1, 3 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.write(b"x" * len(memory))
        try:
            memory.madvise(_GUARD_INSTALL, mmap.PAGESIZE, mmap.PAGESIZE)
        except OSError:
            pytest.skip("Linux before 6.13 has no guards inside of a mapping")

        def load() -> str:
            with SharedBlocks().shared():
                kept.append(aligned_block(b"x" * SIZE))
            return str(shared_kib()["Size"])

        kept: list[object] = []
        assert int(in_child(load) or 0) * 1024 >= SIZE


def test_children_of_a_worker_hold_their_large_blocks_once(live: Stack) -> None:
    # Few of the embedded pack's matrices are that large; tests/models has a pack of large ones.
    eventually(lambda: hold_once(live, LARGE))


def test_verdicts_from_shared_weights_are_those_of_weights_of_ones_own(
    live: Stack, reviews: list[dict[str, str]]
) -> None:
    texts = [review["text"] for review in reviews]
    pack = load_pack(EMBEDDED)
    engine = build_engine(pack, "openvino", device="cpu", threads=1)
    own = Classifier(pack, engine, batch_tokens=engine.batch_tokens).classify(texts)
    with Client(live.url) as client:
        job = client.submit(texts)
        while job["counts"]["pending"]:
            job = client.job(job["id"], wait_s=10)
        served = client.results(job["id"])
    assert [item["positive_prob"] for item in served] == pytest.approx(
        [verdict.positive_prob for verdict in own], abs=1e-6
    )
