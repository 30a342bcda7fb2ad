"""Lua scripts: one a change, so that no crash leaves half of it.

A script is called with one JSON object of named arguments, `args`, and with the payloads that it stores as
they are, `payload(i)` from 1 on. It builds the names of keys from `keys`. A line `-- include: NAME …` puts
files of `lua/include` before it, each once, with what they include themselves.

Every script is safe to repeat: the client sends a call again when the connection breaks before the answer.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
from pydantic_core import to_json

from tasks.store.connection import store_errors
from tasks.store.keys import FOR_SCRIPTS, JOB_PARTS, RESULT_PARTS, WORK_PARTS

LUA = Path(__file__).parent / "lua"
_ONCE = LUA / "include" / "once.lua"  # keeps answers by the id of a call
_CALL_BYTES = 12
_INCLUDE = re.compile(r"^-- include: (.*)$", re.MULTILINE)
_KEYS = "".join(f"  {name} = '{key}',\n" for name, key in FOR_SCRIPTS.items())
_LISTS = {"parts": JOB_PARTS, "work_parts": WORK_PARTS, "result_parts": RESULT_PARTS}
_PARTS = "".join(
    "  {} = {{\n{}  }},\n".format(name, "".join(f"    ':{part}',\n" for part in parts))
    for name, parts in _LISTS.items()
)
_HEAD = f"""local keys = {{
{_KEYS}{_PARTS}}}
local args = cjson.decode(ARGV[1])
local function payload(i)
  return ARGV[i + 1]
end
"""


class Scripts:
    """The scripts of `lua/`, by name."""

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        self._scripts = {path.stem: client.register_script(source(path)) for path in LUA.glob("*.lua")}
        self._remembered = {path.stem for path in LUA.glob("*.lua") if _ONCE in _included(path)}

    def run(
        self,
        name: str,
        args: dict[str, Any],
        payloads: Sequence[bytes] = (),
        pipe: redis.Redis | None = None,
    ) -> Any:
        """Run a script, in a pipeline if one is given. Arguments that are None are left out.

        Raises StoreUnavailableError.
        """
        call = {"call": secrets.token_hex(_CALL_BYTES)} if name in self._remembered else {}
        given = to_json({key: value for key, value in (args | call).items() if value is not None})
        with store_errors():
            return self._scripts[name](args=[given, *payloads], client=pipe)

    def add(self, pipe: Any, name: str, args: dict[str, Any], payloads: Sequence[bytes] = ()) -> None:
        """Add a script to a pipeline of `pipelined`."""
        given = to_json({key: value for key, value in args.items() if value is not None})
        pipe.evalsha(self._scripts[name].sha, 0, given, *payloads)

    def pipelined(self, fill: Callable[[Any], None]) -> list[Any]:
        """Return the answers of a pipeline, in one round trip: that Redis has the scripts is not asked first.

        `fill` adds its commands; once more, with the scripts loaded, if Redis has lost them.
        """
        with store_errors():
            try:
                return self._execute(fill)
            except redis.exceptions.NoScriptError:
                for script in self._scripts.values():
                    self._client.script_load(script.script)
                return self._execute(fill)

    def _execute(self, fill: Callable[[Any], None]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        fill(pipe)
        answers: list[Any] = pipe.execute()
        return answers


def source(path: Path) -> str:
    """Return a script behind the names of keys, its arguments and what it includes."""
    return _HEAD + "".join(part.read_text("utf-8") for part in dict.fromkeys([*_included(path), path]))


def _included(path: Path) -> Iterator[Path]:
    """Yield what a file includes, each behind what it includes itself."""
    for names in _INCLUDE.findall(path.read_text("utf-8")):
        for name in names.split():
            include = LUA / "include" / f"{name}.lua"
            yield from _included(include)
            yield include
