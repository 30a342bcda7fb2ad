"""The command `sentiq`: reads its options, calls a subcommand, and prints errors with what to do."""

from __future__ import annotations

import io
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Sequence

from rich.console import Console

from sentiq.client import Sentiq
from sentiq.command.arguments import parser
from sentiq.command.exits import DEFECT, INPUT, INTERRUPTED, OK, SERVICE, USAGE, CommandError
from sentiq.command.profile import access
from sentiq.command.score import score
from sentiq.command.signals import interrupt_on_signals
from sentiq.command.views import view
from sentiq.errors import (
    AuthenticationError,
    BadRequestError,
    BusyError,
    ConfigurationError,
    GoneError,
    PermissionDeniedError,
    SentiqConnectionError,
    SentiqError,
)
from sentiq.tables.table import NameClashError, TableError

# For how long the first call is repeated, and those of a run that has begun.
_FIRST_S, _LATER_S = 3.0, 300.0
_PIPE_COLUMNS = 500

_ADVICE: Sequence[tuple[type[SentiqError], str]] = (
    (SentiqConnectionError, "Is the service running? SENTIQ_URL, --url or a profile says where."),
    (AuthenticationError, "Set SENTIQ_API_KEY, or the key of a profile, to a key of this service."),
    (PermissionDeniedError, "Use a key with the scopes submit, read and cancel."),
    (
        BusyError,
        "The service has no room now. Give the same command later; sentiq score goes on where it was.",
    ),
    (GoneError, "Its results cannot be fetched any more; sentiq score --restart scores them anew."),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    _replace_unencodable()
    interrupt_on_signals()
    try:
        return _flushed(_run(parser().parse_args(given), given))
    except (CommandError, TableError, SentiqError) as error:
        message, code = _told(error)
        print(f"sentiq: {message}", file=sys.stderr)
        return code
    except BrokenPipeError:
        _leave_stdout()
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        _leave_stdout()
        print(f"sentiq: {_of_files(error)}", file=sys.stderr)
        return INPUT
    except Exception:  # noqa: BLE001  Python would end with 1, which says that the output is whole
        traceback.print_exc()
        return DEFECT


def _run(options: Namespace, argv: Sequence[str]) -> int:
    if options.command == "completion":
        return _complete(options.shell)
    place = access(options.url, options.profile)
    key = place.key or ""  # the library would look for one in the environment
    with Sentiq(place.url, key, retry_for=_FIRST_S) as client:
        if options.command != "score":
            return view(options, client, _console())
        client.info()
    with Sentiq(place.url, key, retry_for=_LATER_S) as client:
        return score(options, client, argv, _console(stderr=True))


def _flushed(code: int) -> int:
    """Write what is buffered, while a reader that has left is still no fault."""
    sys.stdout.flush()
    return code


def _leave_stdout() -> None:
    """Drop what standard output does not take; Python would complain once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _console(*, stderr: bool = False) -> Console:
    """Return the console of a stream, which prints names of files and columns as they are, brackets too.

    Lines in a pipe or a file are not folded.
    """
    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if is_terminal else _PIPE_COLUMNS
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def _complete(shell: str) -> int:
    import shtab  # noqa: PLC0415  only here

    print(shtab.complete(parser(), shell))
    return OK


def _told(error: Exception) -> tuple[str, int]:
    """Return what went wrong with what to do, and the exit code."""
    if isinstance(error, CommandError):
        return str(error), error.code
    if isinstance(error, SentiqError):
        return _of_service(error), USAGE if isinstance(error, ConfigurationError) else SERVICE
    return str(error), USAGE if isinstance(error, NameClashError) else INPUT


def _of_files(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}. Correct that, and give the same command."


def _of_service(error: SentiqError) -> str:
    advice = next((advice for kind, advice in _ADVICE if isinstance(error, kind)), "")
    fields = "; ".join(f"{each.get('pointer')}: {each.get('detail')}" for each in error.errors)
    detail = fields if isinstance(error, BadRequestError) and fields else error.detail
    request = f" (request {error.request_id})" if error.request_id else ""
    return f"{error.code}: {detail}{request} {advice}".rstrip()


def _replace_unencodable() -> None:
    """Let both streams write a question mark for a character that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
