"""`python -m api.auth`: API keys in the Redis that REDIS_URL names, and what is kept for each of them.

Each change is an entry of the audit log, which `audit` shows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime

from pydantic_core import to_json

from api.auth.api_keys import FRESH_S, ApiKeys
from api.auth.key_bodies import KeyIn, KeyPatchIn, RotateIn
from api.auth.key_options import OptionError, body_of, checked, parser
from api.auth.key_record import ApiKey
from api.auth.key_views import KeyViews
from api.schemas import api_keys as bodies
from tasks.console import aligned, replace_unencodable
from tasks.errors import ApiKeyNotFoundError, ConfigurationError, StoreUnavailableError
from tasks.settings import Settings
from tasks.store.audit import AuditEntry
from tasks.store.connection import require_one_redis
from tasks.store.jobs import JobStore
from tasks.store.kept import kept_bytes, purge


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    replace_unencodable()
    options = parser(__doc__).parse_args(arguments)
    try:
        store = JobStore.connect(Settings.read())
        require_one_redis(store.redis)
        print(_run(options, store))
    except ApiKeyNotFoundError as error:
        print(f"api.auth: no key has the id {error}; `list` shows them", file=sys.stderr)
    except StoreUnavailableError as error:
        print(f"api.auth: Redis does not answer: {error}", file=sys.stderr)
    except (ConfigurationError, OptionError) as error:
        print(f"api.auth: {error}", file=sys.stderr)
    else:
        return 0
    return 1


def _run(options: argparse.Namespace, store: JobStore) -> str:
    """Run a command; return what to print."""
    api_keys = ApiKeys(store)
    if options.command == "list":
        return _list(options, store, api_keys)
    if options.command == "audit":
        entries = api_keys.audit()
        return _json([asdict(entry) for entry in entries]) if options.json else _audit_table(entries)
    if options.command == "purge":
        return f"{purge(store, options.id)} jobs of key {options.id} are deleted"
    if options.command == "revoke":
        return _revoke(options, api_keys)
    return _change(options, store, api_keys)


def _list(options: argparse.Namespace, store: JobStore, api_keys: ApiKeys) -> str:
    kept = kept_bytes(store)
    views = KeyViews(api_keys, kept, store.now_ms())
    listed = [views.view(key) for key in api_keys.all()]
    return _json(listed) if options.json else _table(listed, kept)


def _change(options: argparse.Namespace, store: JobStore, api_keys: ApiKeys) -> str:
    if options.command in ("create", "rotate"):
        key, token = _with_new_secret(options, api_keys)
        if options.json:
            return _json(KeyViews(api_keys, kept_bytes(store), store.now_ms()).with_secret(key, token))
        return _shown_once(key, token) + (_old(key) if len(key.hashes) > 1 else "")
    if options.command == "change":
        key = api_keys.change(options.id, body_of(options, KeyPatchIn).applied)
        if options.json:
            return _json(KeyViews(api_keys, kept_bytes(store), store.now_ms()).view(key))
        return f"key {key.id} is changed; processes know it within {FRESH_S:g} s"
    if options.command == "weigh":
        key = api_keys.weigh(options.id, options.weight)
        return f"key {key.id} has the weight {key.weight:g}; leases follow it at once"
    disabled = options.command == "disable"
    api_keys.change(options.id, lambda key: replace(key, disabled=disabled))
    return f"key {options.id} is {options.command}d; processes know it within {FRESH_S:g} s"


def _with_new_secret(options: argparse.Namespace, api_keys: ApiKeys) -> tuple[ApiKey, str]:
    if options.command == "rotate":
        return api_keys.rotate(options.id, checked(RotateIn, {"overlap_s": options.overlap}).overlap_s)
    body = body_of(options, KeyIn)
    return api_keys.create(body.name, body.scopes, **body.terms)


def _revoke(options: argparse.Namespace, api_keys: ApiKeys) -> str:
    if options.old:
        api_keys.retire(options.id)
        return f"key {options.id} has one valid secret; the other stops working within {FRESH_S:g} s"
    api_keys.revoke(options.id)
    return f"key {options.id} is revoked; it stops working within {FRESH_S:g} s"


def _shown_once(key: ApiKey, token: str) -> str:
    return f"""key     {key.id}
name    {key.name}
scopes  {" ".join(sorted(key.scopes))}
weight  {key.weight:g}
secret  {token}

Only its hash is kept: this is the only time the secret is shown. Send it as
  Authorization: Bearer {token}"""


def _old(key: ApiKey) -> str:
    until = f"`revoke --old {key.id}`" if key.old_until_ms is None else f"{_time(key.old_until_ms)} UTC"
    return f"\nThe previous secret stays valid until {until}."


def _table(listed: Sequence[bodies.Key], kept: Mapping[str, int]) -> str:
    if not listed:
        return "no keys; `create NAME` makes one"
    rows: list[tuple[str, ...]] = [
        (
            "id",
            "name",
            "created",
            "secrets",
            "scopes",
            "weight",
            "kept bytes",
            "last used",
            "expires",
            "limits",
        )
    ]
    rows += [_row(key) for key in listed]
    revoked = sorted(set(kept) - {key["id"] for key in listed} - {""})
    rows += [(key_id, "(revoked)", "", "", "", "", str(kept[key_id]), "", "", "") for key_id in revoked]
    return aligned(rows)


def _row(key: bodies.Key) -> tuple[str, ...]:
    limits = {name: value for name, value in key["limits"].items() if value is not None}
    return (
        key["id"],
        key["name"] + (" (disabled)" if key["disabled"] else ""),
        _minute(key["created_at"]),
        str(key["secrets"]),
        " ".join(key["scopes"]),
        f"{key['weight']:g}",
        str(key["kept_bytes"]),
        _minute(key["last_used_at"]),
        _minute(key["expires_at"]),
        " ".join(f"{name}={_words(value)}" for name, value in limits.items()),
    )


def _audit_table(entries: Iterable[AuditEntry]) -> str:
    rows: list[tuple[str, ...]] = [
        ("time (UTC)", "action", "key", "by", "detail", "job", "address", "outcome")
    ]
    rows += [_audit_row(each) for each in entries]
    return aligned(rows)


def _audit_row(entry: AuditEntry) -> tuple[str, ...]:
    told = (entry.action, entry.key_id, entry.by, entry.detail, entry.job_id, entry.address, entry.outcome)
    return (_time(entry.at_ms), *told)


def _minute(time: str | None) -> str:
    return (time or "")[:16].replace("T", " ")


def _words(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else f"{value}"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _json(value: object) -> str:
    return to_json(value, indent=1).decode()


if __name__ == "__main__":
    sys.exit(main())
