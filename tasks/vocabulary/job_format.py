"""The format of a job: of its record, chunks and results, so that old and new code may run side by side.

A record carries its number. What cannot be read is left in the queue for a program that can.
"""

from __future__ import annotations

FORMAT = 3  # raise it with each change that older code would misread
READABLE = (
    2,
    3,
)  # jobs of format 2 have a `ticket` in the line of all owners in place of a `place` in their own
