"""Rounds of measurements: each starts every contender anew, in another order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench.peers.catalogue import Peer
from bench.peers.environments import EnvironmentFailedError, interpreter, versions
from bench.peers.services import Service
from bench.program import BenchError, as_json
from local.processes import ProcessDiedError

Start = Callable[[], AbstractContextManager[Service]]


def in_rounds(
    contenders: Mapping[str, Start],
    rounds: int,
    measure: Callable[[Service, int], dict[str, Any]],
    left_out: dict[str, str],
    kept: Path | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Return what `measure` gives for each contender in each round, by its name.

    One that fails goes to `left_out` with the reason, and is not tried again. Raise BenchError if all fail.
    Figures are written to the folder `kept`, and those that are there already are not measured again.
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in _turned([*contenders], number):
            if name in left_out:
                continue
            print(f"round {number + 1}: {name}", flush=True)
            try:
                found[name].append(_measured(contenders[name], measure, number, _file(kept, name, number)))
            except (BenchError, ProcessDiedError, ExceptionGroup) as error:
                left_out[name] = f"It failed: {_first_line(error)}"
                print(f"    {left_out[name]}", flush=True)
    whole = {name: figures for name, figures in found.items() if len(figures) == rounds}
    if not whole:
        raise BenchError(f"nothing was measured: {left_out}")
    return whole


def _file(kept: Path | None, name: str, number: int) -> Path | None:
    return kept and kept / f"{number + 1}-{re.sub(r'[^a-z0-9]+', '-', name.lower())}.json"


def _measured(
    start: Start, measure: Callable[[Service, int], dict[str, Any]], number: int, file: Path | None
) -> dict[str, Any]:
    if file and file.is_file():
        figures: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return figures
    with start() as service:
        figures = measure(service, number)
    if file:
        draft = file.with_suffix(".draft")
        draft.write_text(as_json(figures), "utf-8")
        draft.rename(file)
    return figures


def keep_in(folder: Path, circumstances: dict[str, Any]) -> Path:
    """Return the folder, made if need be. Raise BenchError if it has figures of other circumstances."""
    folder.mkdir(parents=True, exist_ok=True)
    note, text = folder / "circumstances.txt", as_json(circumstances)
    if not note.is_file():
        note.write_text(text, "utf-8")
    if note.read_text("utf-8") != text:
        raise BenchError(f"{folder}: its figures were measured otherwise, see {note.name}")
    return folder


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
