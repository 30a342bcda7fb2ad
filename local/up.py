"""`make up`: run the stack in the foreground; print its first verdict and its addresses."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from sentiq import Sentiq

from local.logs import Log
from local.model import Model, ModelError
from local.ports import PortError, port_from_env, require_free
from local.processes import ROOT, ProcessDiedError
from local.redis_server import RedisUnavailableError
from local.run_directory import RUN, RunDirectoryError, make_run_directory
from local.stack import Plan, Stack, StackError, interrupt_on_signals, running_stack
from tasks.console import replace_unencodable
from tasks.errors import ConfigurationError
from tasks.settings import Settings
from tasks.vocabulary.labels import FACES, NEUTRAL_FACE
from tasks.vocabulary.model_names import name_of
from worker.packs.pack import load_pack

_FIRST_TEXT = "这家餐厅太难吃了"
_RETRY_FOR_S = 10  # so that the end of a process shows soon
_NEXT_TEXT = "服务很贴心"


def main() -> int:
    """Run the stack; return 0 after Ctrl-C, 1 if it cannot start or one of its processes ends."""
    replace_unencodable()
    interrupt_on_signals()
    try:
        Settings.read()
        port, flower_port = _ports()
        prepare_models()
        log = Log(sys.stdout)
        with running_stack(_plan(port), log) as stack:
            _greet(stack, log, flower_port)
            stack.wait()
    except KeyboardInterrupt:
        return 0
    except (
        ConfigurationError,
        ModelError,
        PortError,
        RunDirectoryError,
        RedisUnavailableError,
        ProcessDiedError,
        StackError,
    ) as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
    return 1


def _ports() -> tuple[int, int]:
    """Return the ports of the API and of Flower. Raises PortError unless both are free."""
    port, flower_port = port_from_env("PORT", 8000), port_from_env("FLOWER_PORT", 5555)
    if port == flower_port:
        raise PortError(f"PORT and FLOWER_PORT are both {port}; they must differ")
    require_free("PORT", port)
    require_free("FLOWER_PORT", flower_port)
    return port, flower_port


def prepare_models() -> None:
    """Have the worker serve the packs of the models that MODEL names; make those that do not exist."""
    models = Model.all_from_env(os.environ)
    for model in models:
        if not model.made:
            model.make()
    if len(models) == 1:
        os.environ["SENTIMENT_PACK"] = str(models[0].pack)
    elif models:
        packs = {name_of(load_pack(model.pack).id): model.pack for model in models}
        if len(packs) < len(models):
            raise ModelError(f"MODEL={os.environ['MODEL']}: two packs have the same id; name them in PACKS")
        os.environ["PACKS"] = ",".join(f"{name}={pack}" for name, pack in packs.items())


def _plan(port: int) -> Plan:
    return Plan(
        port=port,
        host=os.environ.get("SENTIMENT_HOST") or Plan.host,
        redis_url=os.environ.get("REDIS_URL"),
        data_dir=make_run_directory() / "redis",
        durable=Settings.read().durable,
    )


def _greet(stack: Stack, log: Log, flower_port: int) -> None:
    """Score a first text, start Flower, and print the verdict and the addresses.

    Flower starts last, because its start would delay the verdict.
    """
    start = time.monotonic()
    with Sentiq(stack.url, os.environ.get("API_KEY"), retry_for=_RETRY_FOR_S) as client:
        log.line("up", "waiting for the API")
        stack.await_api(client)
        log.line("up", f"API ready after {time.monotonic() - start:.1f} s; waiting for the first verdict")
        item = stack.score(client, _FIRST_TEXT)
        models = client.info()["models"]
    log.line("up", f"first verdict after {time.monotonic() - start:.1f} s; starting Flower")
    stack.start_flower(flower_port)
    redis = "" if os.environ.get("REDIS_URL") else f". {_write_redis_url(stack.redis_url)} && "
    body = json.dumps({"text": _NEXT_TEXT}, ensure_ascii=False)
    headers = "-H 'content-type: application/json' -H 'prefer: wait=10'"
    print(
        f"""
  {_FIRST_TEXT}  {verdict(item)}

  model   {_names(models)}
  page    {stack.url}/
  flower  http://127.0.0.1:{flower_port}/
  try     curl -s {stack.url}/v1/jobs {headers} -d {shlex.quote(body)}
  secret  {redis}{shlex.quote(sys.executable)} -m webhooks secret    (signs webhooks)
  stop    Ctrl-C
""",
        flush=True,
    )


def _names(models: Sequence[Mapping[str, str]]) -> str:
    """Return the models that are ready so far, each with its pack."""
    return ", ".join(f"{each['id']} {each['revision']} ({each['engine']})" for each in models)


def _write_redis_url(url: str) -> str:
    """Write the URL to a file that a shell can read, for this user alone; return its path from the root."""
    path = RUN / "redis.env"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        parts = urlsplit(url)
        redis_cli = f"REDIS='-p {parts.port}' REDISCLI_AUTH='{parts.password}'"
        file.write(f"export REDIS_URL='{url}' {redis_cli}\n")
    return os.path.relpath(path, ROOT)


def verdict(item: dict[str, Any]) -> str:
    """Return the outcome of an item in one line."""
    if item["error"]:
        return f"⚠ {item['error']['code']}"
    shown = item["aspects"][0] if "aspects" in item else item
    return f"{face(shown['label'])} {shown['label']} {shown['confidence']:.1%}"


def face(label: str) -> str:
    """Return an emoji for a label by its id."""
    return FACES.get(label, NEUTRAL_FACE)


if __name__ == "__main__":
    sys.exit(main())
