"""Rounds of measurements: each starts every contender anew, in another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from bench.peers.catalogue import Peer
from bench.peers.environments import EnvironmentFailedError, interpreter, versions
from bench.peers.services import Service
from bench.program import BenchError
from local.processes import ProcessDiedError

Start = Callable[[], AbstractContextManager[Service]]


def in_rounds(
    contenders: Mapping[str, Start],
    rounds: int,
    measure: Callable[[Service, int], dict[str, Any]],
    left_out: dict[str, str],
) -> dict[str, list[dict[str, Any]]]:
    """Return what `measure` gives for each contender in each round, by its name.

    One that fails goes to `left_out` with the reason, and is not tried again. Raise BenchError if all fail.
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in _turned([*contenders], number):
            if name in left_out:
                continue
            print(f"round {number + 1}: {name}", flush=True)
            try:
                with contenders[name]() as service:
                    found[name].append(measure(service, number))
            except (BenchError, ProcessDiedError, ExceptionGroup) as error:
                left_out[name] = f"It failed: {_first_line(error)}"
                print(f"    {left_out[name]}", flush=True)
    whole = {name: figures for name, figures in found.items() if len(figures) == rounds}
    if not whole:
        raise BenchError(f"nothing was measured: {left_out}")
    return whole


def made(peers: Iterator[Peer], left_out: dict[str, str], *, torch: bool) -> Iterator[tuple[Peer, Any]]:
    """Yield each peer with the Python of its environment; those that cannot be made go to `left_out`."""
    for peer in peers:
        try:
            yield peer, interpreter(peer.environment, torch=torch)
        except EnvironmentFailedError as error:
            left_out[peer.key] = f"It cannot be installed: {error}"


def described(peer: Peer, python: Any) -> dict[str, Any]:
    """Return the advice and the versions of a peer."""
    return {"advice": peer.advice, "versions": versions(python, peer.packages)}


def _turned(names: list[str], number: int) -> list[str]:
    turn = number % len(names)
    return [*names[turn:], *names[:turn]]


def _first_line(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
