"""Job ids that prove by themselves that this service minted them, and when."""

from __future__ import annotations

import base64
import hashlib
import hmac

from ulid import ULID

_PREFIX = "job_"
_ULID_CHARS = 26
_MAC_BYTES = 5


class IdMint:
    """Mints and checks `job_` + ULID + 8 characters of an HMAC-SHA256 over the ULID."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def mint(self) -> str:
        """Return an id that was never used."""
        ulid = str(ULID())
        return f"{_PREFIX}{ulid}{self._mac(ulid)}"

    def minted_ms(self, job_id: str) -> int | None:
        """Return when this service minted the id, in milliseconds since the epoch; None if it never did."""
        ulid = job_id[len(_PREFIX) : len(_PREFIX) + _ULID_CHARS]
        if not job_id.isascii() or not hmac.compare_digest(job_id, f"{_PREFIX}{ulid}{self._mac(ulid)}"):
            return None
        return int(ULID.from_str(ulid).timestamp * 1000)

    def _mac(self, ulid: str) -> str:
        digest = hmac.new(self._secret, ulid.encode(), hashlib.sha256).digest()
        return base64.b32encode(digest[:_MAC_BYTES]).decode()
