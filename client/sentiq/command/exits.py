"""How the command ends: its exit codes, and the errors that lead to them."""

from __future__ import annotations

OK = 0
SOME_FAILED = 1  # the output is whole, and some rows have an error in place of a verdict
USAGE = 2
INPUT = 3  # a file cannot be read or written, or is not what the run began with
SERVICE = 4  # the service cannot be reached or refuses, or a job is gone
DEFECT = 70  # a fault of the command itself
INTERRUPTED = 130  # Ctrl-C, SIGTERM or SIGHUP: detached or canceled


class CommandError(Exception):
    """The command ends with `code`; the message says why and what to do."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class UsageError(CommandError):
    """The options do not fit together, or do not fit the files."""

    def __init__(self, message: str) -> None:
        super().__init__(message, USAGE)


class InputError(CommandError):
    """A file cannot be read or written, or is not what the run began with."""

    def __init__(self, message: str) -> None:
        super().__init__(message, INPUT)


class ServiceFault(CommandError):  # noqa: N818  an error of the service, told by the command
    """The service cannot be reached or refuses, or a job is gone."""

    def __init__(self, message: str) -> None:
        super().__init__(message, SERVICE)
