"""`python -m tests.worker.starved ENGINE PACK SEED MOMENTS`: score while memory is short, at seeded moments.

Prints how many texts got the right verdict, how many passes were refused, and how many verdicts were wrong.
"""

from __future__ import annotations

import json
import random
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.engines.factory import build_engine
from worker.engines.failure import EngineFailedError
from worker.packs.pack import load_pack
from worker.scoring.classifier import Classifier

TEXTS = 20
PARTS = (
    "菜非常好吃",
    "服务很贴心",
    "难吃又贵",
    "态度恶劣",
    "再也不来了",
    "环境也很干净",
    "一般般吧",
    "太差了",
)


@contextmanager
def starved(margin: int) -> Iterator[None]:
    """Let this process have `margin` bytes more than it has now; a negative margin lets it have nothing."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + margin
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def run(engine: str, directory: Path, seed: int, moments: int) -> Counter[str]:
    """Score random batches, some while memory is short, and count the outcomes."""
    pack, chosen, seen = load_pack(directory), random.Random(seed), Counter[str]()
    built = build_engine(pack, engine, device="cpu", threads=1)
    texts = ["，".join(chosen.choices(PARTS, k=chosen.choice((1, 3, 8, 20, 40)))) for _ in range(TEXTS)]
    exact = Classifier(pack, built, batch_tokens=built.batch_tokens)
    right = {text: exact.classify([text])[0].kept[1] for text in texts}
    child = Classifier(pack, built, batch_tokens=built.batch_tokens, cache_rows=30)
    for _ in range(moments):
        batch = chosen.sample(texts, chosen.choice((1, 2, 4, 4, 8)))
        try:
            with starved(chosen.choice((-(2**28), -(2**20), 0, 2**20, 2**23))):
                verdicts = child.classify(batch)
        except Exception as error:  # noqa: BLE001  whatever it is, no verdict was given
            seen[type(error).__name__] += 1
            seen["refused"] += 1
            continue
        for text, verdict in zip(batch, verdicts, strict=True):
            seen["right" if abs(verdict.kept[1] - right[text]) < 1e-5 else "wrong"] += 1
    for text in texts:
        try:
            (verdict,) = child.classify([text])
        except EngineFailedError:  # torch keeps primitives that could not be made: such a child is replaced
            seen["refused afterwards"] += 1
            continue
        seen["kept right" if abs(verdict.kept[1] - right[text]) < 1e-5 else "wrong"] += 1
    return seen


if __name__ == "__main__":
    engine, pack, seed, moments = sys.argv[1:]
    sys.stdout.write(json.dumps(run(engine, Path(pack), int(seed), int(moments))))
