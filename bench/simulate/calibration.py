"""Measure the parts of the service alone: calls of Redis, the API, the engine, a worker that idles."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sentiq import Sentiq

from bench.environ import environ
from bench.load.end_to_end import JOB_ITEMS, run_jobs
from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.load.single_jobs import run_single_jobs
from bench.queues.instant_engine import instant_engine
from bench.redis_meter import RedisMeter
from bench.report import environment
from bench.simulate.engine_times import Times, engine_times
from bench.simulate.parts import Call, Parts
from bench.simulate.store_calls import measure_calls
from bench.usage import CpuMeter, parts_of
from local.logs import Log
from local.ports import free_port
from local.processes import Group, Process, stop
from local.stack import Plan, Stack, running_stack
from samples.composed import composed_texts

UNLIMITED = LOAD_TEST_SETTINGS | {
    "SENTIMENT_TARGET_WAIT_BULK_S": "1000000",
    "SENTIMENT_TARGET_WAIT_INTERACTIVE_S": "1000000",
    "SENTIMENT_QUOTA_ITEMS": "100000000",
}
_IDLE_S = 10
_START_S = 15  # until a second worker is up


def calibrate(options: Namespace, log: Log) -> Parts:
    """Return the costs of the parts on this machine, for the pack that `options` names."""
    pack = {"SENTIMENT_PACK": str(options.pack.resolve())} if options.pack else {}
    with environ(UNLIMITED | pack):
        print("the engine", flush=True)
        times = engine_times(options.chunks, options.seed)
        print("calls of Redis", flush=True)
        calls: dict[str, Any] = dict(measure_calls(options.calls, options.seed))
        measured = environment() | {"seed": options.seed, "load_average": os.getloadavg()[0]}
    print("the service around an engine that answers at once", flush=True)
    with environ(UNLIMITED | instant_engine()), running_stack(Plan(free_port()), log) as stack:
        parts = replace(Parts(times.chunk_texts, times.chunk_s, measured=measured), **calls)
        return _service(stack, parts, times, options, log)


def _service(stack: Stack, parts: Parts, times: Times, options: Namespace, log: Log) -> Parts:
    with Sentiq(stack.url) as client:
        stack.await_api(client)
        stack.score(client, "等它醒来")
    texts = composed_texts(options.texts, options.seed)
    run_jobs(stack.url, texts)  # the warm-up
    bulk, redis = _used(stack, lambda: run_jobs(stack.url, texts))
    single, _ = _used(stack, lambda: run_single_jobs(stack.url, texts[: options.singles]))
    chunks = len(texts) / parts.chunk_texts
    children = len(os.sched_getaffinity(0))
    child_s = (bulk["worker children"] + bulk["worker parent"] / children) / chunks
    api_text_s = bulk["api"] / len(texts)
    return replace(
        parts,
        api_text_s=api_text_s,
        api_job_s=max(0.0, single["api"] / options.singles - api_text_s),
        child_chunk_s=max(0.0, child_s - times.read_s),
        wake=_rest(parts, redis, len(texts)),
        **_idle(stack, log),
    )


def _used(stack: Stack, load: Callable[[], object]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the CPU seconds of each part of a stack under a load, and what its Redis did."""
    with CpuMeter(parts_of(stack)) as cpu, RedisMeter(stack.redis_url) as redis:
        load()
    return dict(cpu.seconds), dict(redis.counts)


def _rest(parts: Parts, redis: dict[str, float], texts: int) -> Call:
    """Return what Redis does a chunk beside the calls that were measured alone: wake-ups, mostly."""
    chunks = texts / parts.chunk_texts
    known_us = parts.redis_text_us(1, JOB_ITEMS) * texts
    known_bytes = parts.redis_text_bytes(1, JOB_ITEMS) * texts
    sent = redis["bytes_in"] + redis["bytes_out"]
    return Call(
        chunk_us=max(0.0, redis["cpu_us"] - known_us) / chunks,
        chunk_bytes=max(0.0, sent - known_bytes) / chunks,
    )


def _idle(stack: Stack, log: Log) -> dict[str, Any]:
    """Return what a second worker adds to the work of Redis while nobody has anything to do."""
    before = _idling(stack)
    env = os.environ | {"REDIS_URL": stack.redis_url, "AUTH": "none"}
    with Group() as group:
        command = [sys.executable, "-m", "worker", "--hostname=second@%h"]
        second = Process("worker", group.popen(command, env), log)
        time.sleep(_START_S)
        after = _idling(stack)
        second.check()
        stop([second], _START_S)
    cpu_us, sent = (max(0.0, late - early) / _IDLE_S for early, late in zip(before, after, strict=True))
    return {"idle_us_per_s": cpu_us, "idle_bytes_per_s": sent}


def _idling(stack: Stack) -> tuple[float, float]:
    with RedisMeter(stack.redis_url) as redis:
        time.sleep(_IDLE_S)
    return redis.counts["cpu_us"], redis.counts["bytes_in"] + redis.counts["bytes_out"]


def describe(parts: Parts) -> Sequence[str]:
    """Return lines that show a calibration."""
    return [
        f"a text: {1000 * parts.text_s:.2f} ms of a worker's core",
        f"a chunk: {parts.chunk_texts} texts",
        *(
            f"{name:7}{call.base_us:8.0f} µs + {call.chunk_us:.0f} a chunk; "
            f"{call.base_bytes:.0f} bytes + {call.chunk_bytes:.0f}"
            for name in ("create", "wake", "lease", "finish", "read")
            for call in [getattr(parts, name)]
        ),
        f"API: {1e6 * parts.api_job_s:.0f} µs a job, {1e6 * parts.api_text_s:.1f} µs a text",
        f"idle: {parts.idle_us_per_s:.0f} µs/s of Redis, {parts.idle_bytes_per_s:.0f} bytes/s",
    ]
