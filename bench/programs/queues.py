"""Compare the queue alone, without a model, with other task queues.

Each queue runs a task that does nothing, behind the same Flask route, with a Redis of its own. Sentiq runs
with an engine that answers at once.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path
from typing import Any

from bench.peers.rounds import Start, described, in_rounds, made
from bench.peers.services import Service, running_peer, running_sentiq
from bench.program import BenchError, Program, Report
from bench.queues.catalogue import QUEUES
from bench.queues.instant_engine import instant_engine
from bench.queues.measuring import measure
from bench.queues.reporting import SENTIQ, draw_rates, page
from bench.report import machine
from bench.texts import add_text_arguments, texts_of_round
from bench.writing import add_out_argument, write_report
from local.logs import Log

_PACKAGES = ("celery", "redis", "gunicorn", "gevent", "flask")


def _add_arguments(parser: ArgumentParser) -> None:
    add_text_arguments(parser, count=20_000, seed=20260101)
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="about, of each load (%(default)s)")
    names = [queue.name for queue in QUEUES]
    parser.add_argument("--queues", nargs="*", choices=names, default=names, help="(all)")
    add_out_argument(parser)


def _run(options: Namespace, log: Log) -> Report:
    left_out: dict[str, str] = {}
    queues = [*made((queue for queue in QUEUES if queue.name in options.queues), left_out, torch=False)]
    starts: dict[str, Start] = {SENTIQ: partial(running_sentiq, log, instant_engine())}
    starts |= {queue.name: partial(running_peer, queue, python, Path(), log) for queue, python in queues}
    services = in_rounds(starts, options.rounds, partial(_measure, options), left_out)
    if SENTIQ not in services:
        raise BenchError(f"Sentiq was not measured. {left_out[SENTIQ]}")
    figures = {
        "name": "queues",
        **machine(_PACKAGES),
        "seed": options.seed,
        "rounds": options.rounds,
        "services": services,
        "peers": {queue.name: described(queue, python)["versions"] for queue, python in queues},
        "left_out": left_out,
    }
    written = write_report(options.out, "queues", figures, page(figures), {"queues": draw_rates(services)})
    return Report(figures, "\n".join(map(str, written)))


def _measure(options: Namespace, service: Service, number: int) -> dict[str, Any]:
    figures = measure(service, texts_of_round(options, number), options.seconds, options.seed + number)
    rates = figures["single"]["per_s"], figures["bulk"]["out_per_s"]
    print(f"    single {rates[0]:.0f}, bulk {rates[1]:.0f} jobs/s", flush=True)
    return figures


PROGRAM = Program(_add_arguments, _run)
