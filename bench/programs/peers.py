"""Compare the service with other ways to serve the same model.

Each peer runs in an environment of its own, made on first use from a lock file in requirements/peers.
The model has StructBERT-base's shape and random weights. Every round starts each service anew, and measures
bulk, a flood of callers, and the latency below its own capacity.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path
from typing import Any

from bench.base_model import SEED, base_checkpoint, int8_pack
from bench.peers.catalogue import LEFT_OUT, PEERS, Peer
from bench.peers.checkpoint import transformers_checkpoint
from bench.peers.measuring import measure
from bench.peers.reporting import SENTIQ, draw_rates, page
from bench.peers.rounds import Start, described, in_rounds, keep_in, made
from bench.peers.services import Service, running_peer, running_sentiq
from bench.program import BenchError, Program, Report
from bench.report import machine
from bench.texts import add_text_arguments, statistics_of, texts_name, texts_of_round
from bench.writing import add_out_argument, write_report
from local.logs import Log

_PACKAGES = ("openvino", "tokenizers", "celery", "redis", "gunicorn", "gevent")
_PROBES = 8  # texts whose verdicts show that peers have the same weights


def _add_arguments(parser: ArgumentParser) -> None:
    add_text_arguments(parser, count=5000, seed=SEED)
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="about, of each load (%(default)s)")
    names = sorted({peer.environment for peer in PEERS})
    parser.add_argument("--peers", nargs="*", choices=names, default=names, help="environments (all)")
    parser.add_argument(
        "--keep", type=Path, help="folder of each service's figures; a run that was cut off goes on from it"
    )
    add_out_argument(parser)


def _run(options: Namespace, log: Log) -> Report:
    kept = keep_in(options.keep, _circumstances(options)) if options.keep else None
    print("making the model and the environments", flush=True)
    left_out = dict(LEFT_OUT)
    peers = [*made((peer for peer in PEERS if peer.environment in options.peers), left_out, torch=True)]
    starts: dict[str, Start] = {
        SENTIQ: partial(running_sentiq, log, {"SENTIMENT_PACK": str(int8_pack().directory)})
    }
    starts |= {
        peer.key: partial(running_peer, peer, python, _checkpoint(peer), log) for peer, python in peers
    }
    services = in_rounds(starts, options.rounds, partial(_measure, options), left_out, kept)
    if SENTIQ not in services:
        raise BenchError(f"Sentiq was not measured. {left_out[SENTIQ]}")
    figures = {
        "name": "peers",
        **machine(_PACKAGES),
        "seed": options.seed,
        "rounds": options.rounds,
        "texts": texts_name(options),
        "text_chars": statistics_of(texts_of_round(options, 0)),
        "services": services,
        "peers": {peer.key: described(peer, python) for peer, python in peers},
        "left_out": left_out,
    }
    written = write_report(options.out, "peers", figures, page(figures), {"peers": draw_rates(services)})
    return Report(figures, "\n".join(map(str, written)))


def _circumstances(options: Namespace) -> dict[str, Any]:
    """Return what must not differ between the figures of one report."""
    return {
        **machine(_PACKAGES),
        "texts": texts_name(options),
        "count": options.count,
        "seconds": options.seconds,
    }


def _checkpoint(peer: Peer) -> Path:
    return base_checkpoint() if peer.checkpoint == "modelscope" else transformers_checkpoint()


def _measure(options: Namespace, service: Service, number: int) -> dict[str, Any]:
    verdicts = service.verdicts(texts_of_round(options, -1)[:_PROBES])
    figures = measure(service, texts_of_round(options, number), options.seconds, options.seed + number)
    print(
        f"    bulk {figures['bulk']['per_s']:.3g}, flood {figures['flood']['per_s']:.3g} texts/s", flush=True
    )
    return figures | {"verdicts": verdicts}


PROGRAM = Program(_add_arguments, _run)
