"""Job ids that prove by themselves that this service issued them, when, and for whom."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from ulid import ULID

_PREFIX = "job_"
_ULID_CHARS = 26
_TIME_CHARS = 10
_MAC_BYTES = 5


class JobIds:
    """Issues and checks `job_` + ULID + 8 characters of an HMAC-SHA256 over the ULID and the owner.

    The secret signs; ids that a former secret signed are genuine too.
    """

    def __init__(self, secret: bytes, former: Sequence[bytes] = ()) -> None:
        self._secrets = [secret, *former]

    def issue(self, owner: str = "") -> str:
        """Return an id that was never used."""
        ulid = str(ULID())
        return signed(ulid, owner, self._secrets[0])

    def issued_at_ms(self, job_id: str, owner: str = "") -> int | None:
        """Return when the id was issued for the owner, in ms since the epoch; None if it never was."""
        if not job_id.isascii():  # bytes of a command line that are no UTF-8 cannot be signed
            return None
        ulid = job_id[len(_PREFIX) : len(_PREFIX) + _ULID_CHARS]
        if not any(hmac.compare_digest(job_id, signed(ulid, owner, secret)) for secret in self._secrets):
            return None
        return int(ULID.from_str(ulid).timestamp * 1000)

    @staticmethod
    def lower_bound(ms: int) -> str:
        """Return the smallest id issued at `ms`: the lower bound of a range query."""
        return _PREFIX + str(ULID.from_timestamp(max(0, ms) / 1000))[:_TIME_CHARS]


def signed(ulid: str, owner: str, secret: bytes) -> str:
    """Return the id that a secret makes of a ULID for an owner."""
    digest = hmac.new(secret, (ulid + owner).encode(), hashlib.sha256).digest()
    return f"{_PREFIX}{ulid}{base64.b32encode(digest[:_MAC_BYTES]).decode()}"
