"""The log of every program: a record is one line, and no character of it steers a terminal."""

from __future__ import annotations

import logging

# C0 without the tab, DEL, C1, the separators of lines, and the marks that reverse or hide text.
_UNSAFE = [
    *(code for code in range(0x20) if code != ord("\t")),
    *range(0x7F, 0xA0),
    *(0x200E, 0x200F, 0x2028, 0x2029),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
]
_ESCAPES = {code: ascii(chr(code))[1:-1] for code in _UNSAFE}
_CONTINUED = "\n  | "


def one_line(text: str) -> str:
    r"""Return the text with control characters as escapes: a line feed as `\n`, ESC as `\x1b`."""
    return text.translate(_ESCAPES)


class LineFormatter(logging.Formatter):
    """Formats a record as one line. The lines of a traceback follow, each behind a bar.

    A message may hold what a caller sent: no caller can add a line that looks like a record.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        """Return the line of the record."""
        return one_line(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802  logging's name
        """Return the traceback, with a bar before each line."""
        return _behind_bar(super().formatException(ei))  # type: ignore[arg-type]  # the stubs' type is private

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  logging's name
        """Return the stack, with a bar before each line."""
        return _behind_bar(super().formatStack(stack_info))


def start_logging(level: str, line: str = "%(levelname)s %(message)s") -> None:
    """Log to stderr from this level on; `line` is the format of a record."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(line))
    logging.basicConfig(level=level.upper(), handlers=[handler])


def _behind_bar(text: str) -> str:
    return _CONTINUED.removeprefix("\n") + _CONTINUED.join(map(one_line, text.split("\n")))
