"""With SENTIMENT_SHARED_WEIGHTS children share equal blocks, and none can change what another reads."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sentiq import Sentiq

from local.stack import Stack
from tests.conftest import eventually, started_stack, worker_of
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.process.shared_weights import MIN_BLOCK_BYTES, SharedBlocks
from worker.scoring.classifier import Classifier

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "models" / "embedded"
SIZE = 4 * MIN_BLOCK_BYTES
_GUARD_INSTALL = 102  # Linux's MADV_GUARD_INSTALL
_NO_GUARDS = 77

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sharing needs Linux")


@pytest.fixture(scope="module")
def sharing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose worker has two children with shared weights."""
    folder = tmp_path_factory.mktemp("sharing")
    with started_stack(folder, SENTIMENT_SHARED_WEIGHTS="true", SENTIMENT_CONCURRENCY="2") as stack:
        yield stack


def aligned_block(content: bytes) -> ctypes.Array[ctypes.c_char]:
    """Allocate memory as numerical libraries do, and fill it."""
    address = ctypes.c_void_p()
    assert ctypes.CDLL(None).posix_memalign(ctypes.byref(address), 64, len(content)) == 0
    assert address.value is not None
    block = (ctypes.c_char * len(content)).from_address(address.value)
    block.raw = content
    return block


def in_child(work: Callable[[], str]) -> str:
    """Run `work` in a forked process; return its result."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, work().encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        result = answer.read()
    os.waitpid(child, 0)
    return result


def shared_kib(pid: int | str = "self") -> dict[str, int]:
    """Return the size and the PSS of a process's mappings of the shared file, in KiB."""
    totals = {"Size": 0, "Pss": 0}
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if "-" in name:
            inside = "memfd:sentiq-weights" in line
        elif inside and name in totals:
            totals[name] += int(rest.split()[0])
    return totals


def hold_once(stack: Stack, min_bytes: int) -> bool:
    """Return whether each child of the worker shares at least `min_bytes` with the others."""
    children = [shared_kib(child.pid) for child in worker_of(stack).children()]
    enough = all(child["Size"] * 1024 >= min_bytes for child in children)
    # PSS divides a shared page by its number of processes and counts a private copy whole.
    together = sum(child["Pss"] for child in children) <= 1.1 * max(child["Size"] for child in children)
    return enough and together


def test_by_default_children_share_nothing(live: Stack) -> None:
    # Before `sharing` starts: a stack that starts later than it would inherit its variable.
    children = worker_of(live).children()
    assert children
    assert [shared_kib(child.pid)["Size"] for child in children] == [0] * len(children)


def test_verdicts_from_shared_weights_equal_those_from_private_weights(
    sharing: Stack, reviews: list[dict[str, str]]
) -> None:
    texts = [review["text"] for review in reviews]
    pack = load_pack(EMBEDDED)
    engine = build_engine(pack, "openvino", device="cpu", threads=1)
    private = Classifier(pack, engine, batch_tokens=engine.batch_tokens).classify(texts)
    with Sentiq(sharing.url) as client:
        served = list(client.submit(texts).wait().raw_results())
    assert [item["positive_prob"] for item in served] == pytest.approx(
        [verdict.kept[1] for verdict in private], abs=1e-6
    )


def script() -> None:
    """Run by the test below in a fresh interpreter, whose heap no other test has touched."""
    shared = SharedBlocks(enabled=True)
    same, other = b"w" * SIZE, os.urandom(SIZE)

    def load() -> str:
        with shared.shared():
            one, two = aligned_block(same), aligned_block(other)
        mapped = shared_kib()["Size"]
        equal = (one.raw, two.raw) == (same, other)
        one[0] = b"!"
        return json.dumps([mapped, equal, one.raw == b"!" + same[1:]])

    print(json.dumps([json.loads(in_child(load)) for _ in range(2)]))  # noqa: T201  the result


def test_a_child_that_writes_to_a_shared_block_changes_its_own_copy() -> None:
    code = "from tests.worker.test_shared_weights import script; script()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    (first, *_), (second, *_) = answers = json.loads(done.stdout)
    assert first == second >= 2 * SIZE // 1024
    assert all(equal and written for _, equal, written in answers)


def guarded() -> None:
    """Run by the test below in a fresh interpreter: share while a page in the middle of memory is guarded."""
    shared = SharedBlocks(enabled=True)
    with mmap.mmap(-1, 3 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.write(b"x" * len(memory))
        try:
            memory.madvise(_GUARD_INSTALL, mmap.PAGESIZE, mmap.PAGESIZE)
        except OSError:
            sys.exit(_NO_GUARDS)

        def load() -> str:
            with shared.shared():
                kept.append(aligned_block(b"x" * SIZE))
            return str(shared_kib()["Size"])

        kept: list[object] = []
        print(in_child(load))  # noqa: T201  the result


def test_pages_that_nobody_may_read_are_left_alone() -> None:
    """The C library guards the stacks of threads with such pages inside of writable memory."""
    code = "from tests.worker.test_shared_weights import guarded; guarded()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == _NO_GUARDS:
        pytest.skip("Linux before 6.13 has no guards inside of a mapping")
    assert int(done.stdout or 0) * 1024 >= SIZE, done.stderr


def test_children_of_a_worker_hold_their_large_blocks_once(sharing: Stack) -> None:
    # Few matrices of the embedded pack are that large; tests/models makes a pack of large ones.
    eventually(lambda: hold_once(sharing, MIN_BLOCK_BYTES))
