"""Runs code that uses Redis one command at a time, so that another program can decide what comes between.

A program is called again from its beginning for each command: the client gives it the answers that it has had
already, and stops it before the first command that has none. So a program that waits needs no thread, and is
described by its answers alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from redis.client import Pipeline

Answer = Any


@dataclass(frozen=True)
class Command:
    """A command that a program is about to send."""

    args: Sequence[Any]
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def words(self) -> list[str]:
        """Return its name and arguments as text."""
        return [
            word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in self.args
        ]


class _Stopped(BaseException):
    """Leaves a program; no error of Redis, so that no handler of the program catches it."""

    def __init__(self, command: Command) -> None:
        super().__init__()
        self.command = command


class SteppedClient(redis.Redis):
    """Gives the answers of `answers` in turn; the command behind them stops the program."""

    answers: Sequence[Answer] = ()
    _given = 0

    def start(self, answers: Sequence[Answer]) -> None:
        """Let the next program have these answers."""
        self.answers, self._given = answers, 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return self.answer(Command(args, tuple(options.items())))

    def answer(self, command: Command) -> Any:
        """Return the recorded answer to a command, or stop the program."""
        if self._given == len(self.answers):
            raise _Stopped(command)
        self._given += 1
        return self.answers[self._given - 1]

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Any:  # noqa: FBT002  as redis-py's
        return _SteppedPipeline(self, transaction, shard_hint)


class _SteppedPipeline(Pipeline):
    """Sends its commands one by one, as if it were no transaction: others come between, which is harder."""

    def __init__(self, client: SteppedClient, transaction: Any, shard_hint: Any) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client

    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: ARG002, FBT001, FBT002
        commands = [Command(args, tuple(options.items())) for args, options in self.command_stack]
        self.command_stack = []
        return [self._client.answer(command) for command in commands]


def next_command(
    client: SteppedClient, program: Callable[[], Any], answers: Sequence[Answer]
) -> Command | Ended:
    """Return what a program sends after these answers, or what it returned."""
    client.start(answers)
    logging.disable()  # it logs the same again with each step
    try:
        return Ended(program())
    except _Stopped as stopped:
        return stopped.command
    finally:
        logging.disable(logging.NOTSET)


@dataclass(frozen=True)
class Ended:
    """A program has ended with a value."""

    value: Any
