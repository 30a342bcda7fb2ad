"""`python -m api.auth`: API keys in the Redis that REDIS_URL names, and what is kept for each of them.

Each change is an entry of the audit log, which `audit` shows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from api.auth.api_keys import FRESH_S, MAX_WEIGHT, MIN_WEIGHT, ApiKey, ApiKeyNotFoundError, ApiKeys
from api.auth.scopes import Scope
from tasks.console import replace_unencodable
from tasks.errors import ConfigurationError, StoreUnavailableError
from tasks.log_format import one_line
from tasks.settings import Settings
from tasks.store.audit import AuditEntry
from tasks.store.connection import require_one_redis
from tasks.store.jobs import JobStore
from tasks.store.kept import kept_bytes, purge

_DEFAULT = (Scope.SUBMIT, Scope.READ, Scope.CANCEL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    replace_unencodable()
    options = _options().parse_args(arguments)
    try:
        store = JobStore.connect(Settings.read())
        require_one_redis(store.redis)
        print(_run(options, store))
    except ApiKeyNotFoundError as error:
        print(f"api.auth: no key has the id {error}; `list` shows them", file=sys.stderr)
    except StoreUnavailableError as error:
        print(f"api.auth: Redis does not answer: {error}", file=sys.stderr)
    except ConfigurationError as error:
        print(f"api.auth: {error}", file=sys.stderr)
    else:
        return 0
    return 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m api.auth", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    create = commands.add_parser("create", help="make a key and show its secret, once")
    create.add_argument("name", help="who uses it, for people to read")
    create.add_argument(
        "--scope",
        type=Scope,
        choices=list(Scope),
        action="append",
        help="what the key may do; repeat it for more; submit, read and cancel if left out",
    )
    create.add_argument(
        "--weight", type=_weight, default=1.0, help="its share beside other keys (%(default)g)"
    )
    commands.add_parser("list", help="show all keys, without secrets")
    commands.add_parser("audit", help="show who changed which key, and when")
    rotate = commands.add_parser(
        "rotate", help="add a secret and show it, once; the previous one stays valid"
    )
    revoke = commands.add_parser("revoke", help="delete a key")
    revoke.add_argument("--old", action="store_true", help="only the secret from before the last rotation")
    erase = commands.add_parser("purge", help="delete all jobs of a key, also of one that is revoked")
    weigh = commands.add_parser("weigh", help="change a key's share of a full service beside other keys")
    for command in (rotate, revoke, erase, weigh):
        command.add_argument("id", help="the key's id, as `list` shows it")
    weigh.add_argument(
        "weight", type=_weight, help=f"{MIN_WEIGHT:g} to {MAX_WEIGHT:g}; 3 gets three times what 1 gets"
    )
    return parser


def _weight(text: str) -> float:
    """Read a weight. Raises ArgumentTypeError naming the limits."""
    try:
        weight = float(text)
    except ValueError:
        weight = 0
    if not MIN_WEIGHT <= weight <= MAX_WEIGHT:
        message = f"expected a number from {MIN_WEIGHT:g} to {MAX_WEIGHT:g}, not {text}"
        raise argparse.ArgumentTypeError(message)
    return weight


def _run(options: argparse.Namespace, store: JobStore) -> str:
    """Run a command; return what to print."""
    api_keys = ApiKeys(store)
    if options.command == "list":
        return _table(api_keys.all(), kept_bytes(store))
    if options.command == "audit":
        return _audit_table(api_keys.audit())
    if options.command == "purge":
        return f"{purge(store, options.id)} jobs of key {options.id} are deleted"
    return _change(options, api_keys)


def _change(options: argparse.Namespace, api_keys: ApiKeys) -> str:
    if options.command == "create":
        key, token = api_keys.create(options.name, options.scope or _DEFAULT, options.weight)
        return _shown_once(key, token)
    if options.command == "rotate":
        key, token = api_keys.rotate(options.id)
        shown = _shown_once(key, token)
        old = f"\nThe previous secret stays valid until `revoke --old {key.id}`."
        return shown + (old if len(key.hashes) > 1 else "")
    if options.command == "weigh":
        key = api_keys.weigh(options.id, options.weight)
        return f"key {key.id} has the weight {key.weight:g}; leases follow it at once"
    if options.old:
        api_keys.retire(options.id)
        return f"key {options.id} has one valid secret; the other stops working within {FRESH_S:g} s"
    api_keys.revoke(options.id)
    return f"key {options.id} is revoked; it stops working within {FRESH_S:g} s"


def _shown_once(key: ApiKey, token: str) -> str:
    return f"""key     {key.id}
name    {key.name}
scopes  {_scopes(key)}
weight  {key.weight:g}
secret  {token}

Only its hash is kept: this is the only time the secret is shown. Send it as
  Authorization: Bearer {token}"""


def _table(keys: Sequence[ApiKey], kept: Mapping[str, int]) -> str:
    if not keys:
        return "no keys; `create NAME` makes one"
    rows = [("id", "name", "created", "secrets", "scopes", "weight", "kept bytes")]
    for key in keys:
        created, secrets = _time(key.created_ms)[:16], str(len(key.hashes))
        weight, bytes_kept = f"{key.weight:g}", str(kept.get(key.id, 0))
        rows.append((key.id, key.name, created, secrets, _scopes(key), weight, bytes_kept))
    revoked = sorted(set(kept) - {key.id for key in keys} - {""})
    rows += [(key_id, "(revoked)", "", "", "", "", str(kept[key_id])) for key_id in revoked]
    return _aligned(rows)


def _audit_table(entries: Iterable[AuditEntry]) -> str:
    rows = [("time (UTC)", "action", "key", "by", "detail")]
    rows += [(_time(each.at_ms), each.action, each.key_id, each.by, each.detail) for each in entries]
    return _aligned(rows)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        one_line("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        for row in rows
    )


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _scopes(key: ApiKey) -> str:
    return " ".join(scope for scope in Scope if scope in key.scopes)


if __name__ == "__main__":
    sys.exit(main())
