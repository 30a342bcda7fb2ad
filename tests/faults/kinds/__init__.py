"""Every kind of fault. A new kind is a function in one of these files, and a row in docs/reliability.md."""

from __future__ import annotations

from tests.faults.kinds import links, machine, messages, processes, redis_server, texts
from tests.faults.kinds.kind import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for module in (processes, links, redis_server, messages, machine, texts)
    for kind in module.KINDS
}
