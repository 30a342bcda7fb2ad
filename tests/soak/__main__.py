"""Keep a stack under a steady load, and check that nothing of it grows: docs/reliability.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from local.run_directory import make_run_directory
from local.stack import Stack, interrupt_on_signals
from samples.shipped import read_reviews
from tests.conftest import started_stack
from tests.soak.judging import Judgement, described, judge, table
from tests.soak.load import KEPT_S, Load
from tests.soak.samples import Sampler
from tests.webhooks.receiver import Receiver, receiving

# What is kept for longer than a run would grow all the time: results expire after a minute.
SETTINGS = {
    "SENTIMENT_API_PROCESSES": "2",
    "SENTIMENT_CONCURRENCY": "2",
    "SENTIMENT_RESULT_TTL_S": str(KEPT_S),
    "SENTIMENT_WEBHOOK_ALLOW": "127.0.0.1",
    "SENTIMENT_RATE_PER_S": "100000",
    "SENTIMENT_RATE_BURST": "100000",
}
# Expiry, the answers of scripts that are remembered, and the memory pools of processes take minutes to fill.
WARM_UP_SHARE, MOST_WARM_UP_S = 0.4, 900
WEBHOOKS_KEPT = 100


def main() -> int:
    """Run the soak; return 1 if something grows or a call went wrong, 130 on Ctrl-C."""
    options = _parser().parse_args()
    interrupt_on_signals()
    folder = make_run_directory() / "soak"
    folder.mkdir(exist_ok=True)
    with receiving(Receiver()) as receiver, started_stack(folder, **SETTINGS) as stack:
        load = Load(stack.url, receiver.url, [review.text for review in read_reviews()])
        sampler = Sampler(stack)
        try:
            _soak(options, stack, load, sampler, receiver)
        except KeyboardInterrupt:
            return 130
    seconds = _seconds(options)
    judgements = judge(sampler.series, _warm_up_s(seconds))
    print(table(judgements))
    return _report(options.json or folder / "results.json", seconds, judgements, load, sampler)


def _soak(
    options: argparse.Namespace, stack: Stack, load: Load, sampler: Sampler, receiver: Receiver
) -> None:
    seconds = _seconds(options)
    load.crowd()
    begun = time.monotonic()
    length = f"{seconds / 60:.1f} min, of which {_warm_up_s(seconds):.0f} s are to warm up"
    print(f"soak: {length}, a sample every {options.every:g} s", flush=True)
    load.start()
    while (at_s := time.monotonic() - begun) < seconds:
        stack.check()
        sampler.sample(at_s)
        del receiver.received[:-WEBHOOKS_KEPT]
        time.sleep(options.every)
    load.stop()


def _report(path: Path, seconds: float, judgements: list[Judgement], load: Load, sampler: Sampler) -> int:
    """Write the figures, print what is wrong, and return the exit code."""
    growing = [each for each in judgements if each.grows]
    told = {
        "seconds": seconds,
        "done": dict(load.done),
        "problems": load.problems,
        "restarts": dict(sampler.restarts),
        "judgements": [described(each) for each in judgements],
        "series": {
            f"{who}: {what}": [list(each.times), list(each.values)]
            for (who, what), each in sampler.series.items()
        },
    }
    path.write_text(json.dumps(told, ensure_ascii=False, indent=1), "utf-8")
    acts = ", ".join(f"{name} {count}" for name, count in sorted(load.done.items()))
    print(f"done: {acts}")
    for name, count in sorted(sampler.restarts.items()):
        print(f"{name} was replaced {count} times")
    for problem in load.problems:
        print(f"wrong: {problem}")
    for each in growing:
        print(f"grows: {each.what} of {each.who}")
    print(f"figures: {path}")
    return int(bool(growing or load.problems))


def _seconds(options: argparse.Namespace) -> float:
    return float(options.hours * 3600 + options.minutes * 60)


def _warm_up_s(seconds: float) -> float:
    return min(MOST_WARM_UP_S, seconds * WARM_UP_SHARE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=0)
    parser.add_argument("--minutes", type=float, default=0, help="in addition to the hours")
    parser.add_argument("--every", type=float, default=5, help="seconds between two samples")
    parser.add_argument("--json", type=Path, help="where the figures go; without it .run/soak/results.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
