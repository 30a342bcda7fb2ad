"""The URL of Redis, read in one way by every connection: the job store's, Celery's and Flower's.

Redis-py and kombu each read a URL in their own way, and both show parts of one that they cannot read. So a
URL is read here alone, and no message contains any part of it.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit, urlunsplit

REDIS_PORT, SENTINEL_PORT = 6379, 26379
_EXPECTED = (
    "expected redis://[[user]:password@]host[:port][/database], rediss:// for TLS, unix:///path/of/socket, "
    "or redis+sentinel://host[:port],host[:port]/service[/database]"
)
_ENCODE = "percent-encode the password: # is %23, / is %2F, ? is %3F, @ is %40, a space is %20"
_TLS_FILES = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
_SENTINEL_LOGIN = {"sentinel_user", "sentinel_password"}
_QUERIES = {
    "redis": set[str](),
    "rediss": _TLS_FILES | {"ssl_cert_reqs"},
    "unix": {"db"},
    "redis+sentinel": _SENTINEL_LOGIN,
    "rediss+sentinel": _SENTINEL_LOGIN | _TLS_FILES | {"ssl_cert_reqs"},
}
_DATABASE = "the database after the last / must be a number"
# Hosts with ports, of which an IPv6 address stands in brackets.
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:,]+)(?::(?P<port>[0-9]{1,5}))?")

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """What a URL says: `address`, `path` of a socket, or `sentinels` that know the primary of `service`."""

    address: Address | None = None
    path: str = ""
    sentinels: Sequence[Address] = ()
    service: str = ""
    database: int = 0
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    # Login at the Sentinels, as keywords of a client.
    sentinel_login: Mapping[str, str] = field(default_factory=dict, repr=False)
    # Options of a connection that verifies its server; None without TLS.
    tls: Mapping[str, object] | None = None

    def __json__(self) -> None:
        """Return what kombu writes in place of it, where a worker is asked for its options: nothing."""


def read_redis_url(url: str) -> RedisUrl:
    """Return what a URL says. Raises ValueError with a message that contains no part of it."""
    scheme = url.partition("://")[0]
    if scheme not in _QUERIES:
        raise ValueError(_EXPECTED)
    parts = _split(url)
    query = _checked_query(parts)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    read: dict[str, object] = {
        "user": unquote(user) or None,
        "password": unquote(password) or None,
        "tls": _tls(query) if scheme.startswith("rediss") else None,
    }
    if scheme == "unix":
        read |= _socket(hosts, parts.path, query)
    elif scheme.endswith("+sentinel"):
        read |= _sentinels(hosts, parts.path, query)
    else:
        read |= _server(hosts, parts.path)
    return RedisUrl(**read)  # type: ignore[arg-type]


def broker_url(url: str) -> str:
    """Return the URL that kombu gets: login, a name that can be shown, and database.

    Behind a socket or Sentinels the name is no address: the transport knows that.
    """
    read = read_redis_url(url)
    if read.address:
        return urlunsplit(urlsplit(url)._replace(query=""))
    login = ":".join(quote(part or "", safe="") for part in (read.user, read.password))
    name = quote(read.service, safe="") or "localhost"
    return f"redis://{login + '@' if login != ':' else ''}{name}/{read.database}"


def without_login(url: str) -> str:
    """Return scheme, hosts and path of a checked URL, to be shown."""
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
    return parts


def _server(hosts: str, path: str) -> dict[str, object]:
    if not hosts or hosts.startswith(":"):
        raise ValueError(f"{_EXPECTED}; {_ENCODE}" if path else _EXPECTED)
    return {"address": _address(hosts, REDIS_PORT), "database": _database(path)}


def _socket(hosts: str, path: str, query: Mapping[str, str]) -> dict[str, object]:
    if hosts or not path.strip("/"):
        raise ValueError(f"{_EXPECTED}; {_ENCODE}")
    if not re.fullmatch(r"[0-9]{1,9}", query.get("db", "0")):
        raise ValueError("db must be the number of a database")
    return {"path": unquote(path), "database": int(query.get("db", "0"))}


def _sentinels(hosts: str, path: str, query: Mapping[str, str]) -> dict[str, object]:
    service, _, database = path.removeprefix("/").partition("/")
    if not hosts or not service:
        raise ValueError(_EXPECTED)
    names = {"sentinel_user": "username", "sentinel_password": "password"}
    return {
        "sentinels": tuple(_address(host, SENTINEL_PORT) for host in hosts.split(",")),
        "service": unquote(service),
        "database": _database(database),
        "sentinel_login": {names[name]: query[name] for name in sorted(_SENTINEL_LOGIN & query.keys())},
    }


def _address(text: str, port: int) -> Address:
    found = _HOST.fullmatch(text)
    if found and 0 < int(found["port"] or port) < 65536:  # noqa: PLR2004
        return unquote(found["host"].strip("[]")), int(found["port"] or port)
    raise ValueError(f"the port must be a number from 1 to 65535; {_ENCODE}")


def _database(path: str) -> int:
    if not re.fullmatch(r"/?|/?[0-9]{1,9}", path):
        raise ValueError(_DATABASE)
    return int(path.strip("/") or 0)


def _tls(query: Mapping[str, str]) -> dict[str, object]:
    files = {name: path for name, path in query.items() if name in _TLS_FILES}
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True, **files}


def _checked_query(parts: SplitResult) -> dict[str, str]:
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if query.get("ssl_cert_reqs", "required") != "required":
        raise ValueError("ssl_cert_reqs must be required: the certificate of Redis is always verified")
    allowed = _QUERIES[parts.scheme]
    if (parts.query and not query) or set(query) - allowed:
        known = f"takes only {', '.join(sorted(allowed))} in its query" if allowed else "takes no query"
        raise ValueError(f"{parts.scheme}:// {known}; {_ENCODE}")
    return query
