"""The URL of Redis, read in one way by every connection: the job store's, Celery's and Flower's.

Redis-py and kombu each read a URL in their own way, and both show parts of one that they cannot read. So a
URL is checked here first, and no message contains any part of it.
"""

from __future__ import annotations

import re
import ssl
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

_EXPECTED = "expected redis://[[user]:password@]host[:port][/database], or rediss:// for TLS"
_ENCODE = "percent-encode the password: # is %23, / is %2F, ? is %3F, @ is %40, a space is %20"
_TLS_FILES = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}


def check_redis_url(url: str) -> None:
    """Raise ValueError unless every connection can read the URL; the message contains no part of it."""
    if not re.match(r"rediss?://", url):
        raise ValueError(_EXPECTED)
    parts = _split(url)
    if not parts.hostname:
        raise ValueError(_EXPECTED)
    if not re.fullmatch(r"/?|/[0-9]{1,9}", parts.path):
        raise ValueError("the database after the last / must be a number")
    _check_query(parts)


def tls_options(url: str) -> dict[str, object] | None:
    """Return the options with which a `rediss://` connection verifies its server; None without TLS.

    The query of the URL may name files: `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile`.
    """
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return None
    files = {name: path for name, path in parse_qsl(parts.query) if name in _TLS_FILES}
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True, **files}


def without_query(url: str) -> str:
    """Return the URL without the names of files for TLS."""
    return urlunsplit(urlsplit(url)._replace(query=""))


def without_login(url: str) -> str:
    """Return scheme, host, port and database of a checked URL, to be shown."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _split(url: str) -> SplitResult:
    """Return the parts of the URL. Raises ValueError if characters of the password divide it wrongly."""
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket outside an IPv6 address
        raise ValueError(_ENCODE) from None
    if parts.fragment or "#" in url or "@" in parts.path + parts.query or not re.fullmatch(r"[!-~]+", url):
        raise ValueError(_ENCODE)
    try:
        valid = parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"the port must be a number from 1 to 65535; {_ENCODE}")
    return parts


def _check_query(parts: SplitResult) -> None:
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "ssl_cert_reqs" and value != "required":
            raise ValueError("ssl_cert_reqs must be required: the certificate of Redis is always verified")
        if parts.scheme != "rediss" or name not in {*_TLS_FILES, "ssl_cert_reqs"}:
            raise ValueError(f"only rediss:// takes a query, of {', '.join(sorted(_TLS_FILES))}; {_ENCODE}")
