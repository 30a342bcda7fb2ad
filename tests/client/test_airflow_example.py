"""The Airflow operator of docs/client.md, with the real service; stand-ins for what Airflow gives it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import jinja2
import pytest
from sentiq import Sentiq

from local.processes import ROOT
from tests.conftest import eventually

DOCUMENT = (ROOT / "docs" / "client.md").read_text("utf-8")
(EXAMPLE,) = [
    each
    for each in re.findall(r"^```python other\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    if "airflow" in each
]
TEXTS = ["服务很贴心", "这家餐厅太难吃了", "{{ no_template }}"]


@dataclass
class TimeDeltaTrigger:
    """A stand-in for Airflow's: it fires after the delay, in the triggerer."""

    delta: timedelta


class TaskDeferredError(BaseException):
    """A stand-in for TaskDeferred, with which Airflow frees the slot of a task."""

    def __init__(self, trigger: TimeDeltaTrigger, method_name: str, kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.trigger, self.method_name, self.kwargs = trigger, method_name, kwargs


class BaseOperator:
    """A stand-in for Airflow's: its contract of `template_fields` and `defer`."""

    template_fields: tuple[str, ...] = ()

    def __init__(self, *, task_id: str) -> None:
        self.task_id = task_id

    def defer(self, *, trigger: TimeDeltaTrigger, method_name: str, kwargs: dict[str, Any]) -> None:
        raise TaskDeferredError(trigger, method_name, kwargs)


Operator = Callable[..., Any]


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch, live_url: str) -> Operator:
    """Return the documented class."""
    for name, member in {
        "airflow.sdk": BaseOperator,
        "airflow.providers.standard.triggers.temporal": TimeDeltaTrigger,
    }.items():
        module = ModuleType(name)
        setattr(module, member.__name__, member)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("SENTIQ_URL", live_url)
    names: dict[str, Any] = {}
    exec(compile(EXAMPLE, "docs/client.md", "exec"), names)  # noqa: S102  our own document
    made: Operator = names["ScoreTexts"]
    return made


def context_of(run: str) -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="reviews", task_id="score", map_index=-1)
    return {"ds": "2026-11-27", "run_id": f"scheduled__{run}", "ti": ti}


def task_of(operator: Operator, context: dict[str, Any], **options: Any) -> Any:
    """Return a task as a worker has it: made anew, with its template fields rendered."""
    task = operator(task_id="score", texts=lambda _: TEXTS, **options)
    for name in task.template_fields:
        setattr(task, name, jinja2.Template(getattr(task, name)).render(**context))
    return task


def run_of(operator: Operator, context: dict[str, Any]) -> tuple[str, list[TaskDeferredError]]:
    """Run a task as Airflow does, without the pauses; return what it returns, and its deferrals."""
    deferred: list[TaskDeferredError] = []

    def step() -> str | None:
        task = task_of(operator, context)
        try:
            if not deferred:
                return str(task.execute(context))
            return str(getattr(task, deferred[-1].method_name)(context, **deferred[-1].kwargs, event="now"))
        except TaskDeferredError as each:
            deferred.append(each)
            return None

    return eventually(step) or "", deferred


def test_the_task_is_deferred_until_its_job_has_ended(operator: Operator, live_url: str) -> None:
    job_id, deferred = run_of(operator, context_of("2026-11-27T00:00:00+00:00"))
    assert deferred
    assert {each.kwargs["job_id"] for each in deferred} == {job_id}
    assert deferred[0].trigger.delta == timedelta(seconds=30)
    with Sentiq(live_url) as client:
        labels = [item["label"] for item in client.job(job_id).raw_results()]
        assert labels == [client.score(text).label for text in TEXTS]


def test_a_retry_gets_the_job_of_the_first_try_and_another_run_its_own(operator: Operator) -> None:
    first, _ = run_of(operator, context_of("2026-11-28T00:00:00+00:00"))
    again, deferred = run_of(operator, context_of("2026-11-28T00:00:00+00:00"))
    assert (again, deferred) == (first, [])
    other, _ = run_of(operator, context_of("2026-11-29T00:00:00+00:00"))
    assert other != first


def test_a_job_that_was_canceled_fails_the_task(operator: Operator, live_url: str) -> None:
    context = context_of("2026-11-30T00:00:00+00:00")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    with Sentiq(live_url) as client:
        key = task_of(operator, context).key
        job = client.submit(TEXTS, idempotency_key=key, not_before=tomorrow)
        job.cancel()
    task = task_of(operator, context)
    with pytest.raises(RuntimeError, match=f"job {job.id} is canceled"):
        task.resume(context, job.id)
