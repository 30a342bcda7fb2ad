"""The whole content of a Redis: taken in one step, put back in one step, and compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import redis

# No key may end meanwhile: what has a lifetime gets this one when it is put back.
LIFETIME_MS = 10**9
TAKE = """
local reads = {
  string = {'GET'}, hash = {'HGETALL'}, list = {'LRANGE', 0, -1}, set = {'SMEMBERS'},
  zset = {'ZRANGE', 0, -1, 'WITHSCORES'},
}
local found = {}
for i, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local read = reads[kind]
  local content = redis.call(read[1], key, unpack(read, 2))
  found[i] = {key, kind, redis.call('PTTL', key) < 0 and 0 or 1, redis.call('DUMP', key), content}
end
return found
"""
PUT_BACK = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  redis.call('DEL', key)
end
for i = 1, #ARGV, 3 do
  redis.call('RESTORE', ARGV[i], ARGV[i + 1], ARGV[i + 2])
end
"""


@dataclass(frozen=True)
class Snapshot:
    """What each key holds, whether it has a lifetime, and its bytes as DUMP gives them."""

    content: Mapping[str, Any]
    dumps: tuple[tuple[bytes, int, bytes], ...]

    def digest(self, *ignored: str) -> bytes:
        """Return what is equal for equal contents, apart from the keys that begin with these."""
        named = sorted((key, value) for key, value in self.content.items() if not key.startswith(ignored))
        lasting = sorted((key, bool(life)) for key, life, _ in self.dumps)
        return blake2b(repr((named, lasting)).encode(), digest_size=16).digest()

    def hash(self, key: str) -> dict[str, bytes]:
        """Return the fields of a hash; none if there is no such key."""
        found: dict[str, bytes] = self.content.get(key, {})
        return found


def take(client: redis.Redis) -> Snapshot:
    """Return all that a server holds."""
    return taken(take_from(client))


def take_from(client: redis.Redis) -> Any:
    """Ask for all that a server holds; `taken` reads the answer, also of a pipeline."""
    return client.eval(TAKE, 0)


def taken(found: Any) -> Snapshot:
    """Return what the answer to `take_from` says."""
    content = {key.decode(): _plain(kind, value) for key, kind, _, _, value in found}
    dumps = tuple((key, LIFETIME_MS * has, dump) for key, _, has, dump, _ in found)
    return Snapshot(content, dumps)


def put_back(client: redis.Redis, snapshot: Snapshot) -> None:
    """Let a server hold this and nothing else."""
    client.eval(PUT_BACK, 0, *(part for dump in snapshot.dumps for part in dump))


def _plain(kind: bytes, value: Any) -> Any:
    if kind == b"hash":
        pairs = zip(value[::2], value[1::2], strict=True)
        return dict(sorted((name.decode(), content) for name, content in pairs))
    if kind == b"zset":
        return {member.decode(): float(score) for member, score in zip(value[::2], value[1::2], strict=True)}
    return sorted(value) if kind == b"set" else value
