"""The twin that awaits: the same service, the same answers, the same faults."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import pytest
from sentiq import AsyncJob, AsyncSentiq, Counts, GoneError, Item, Job, NoVerdictError, Sentiq

from tests.client.proxy import Plan, proxied
from tests.client.test_faults import ITEMS, LINES
from tests.client.test_jobs import BAD, GOOD, texts


def awaited(url: str, work: Callable[[AsyncSentiq], Awaitable[None]]) -> None:
    async def main() -> None:
        async with AsyncSentiq(url, retry_for=30) as client:
            await work(client)

    asyncio.run(main())


async def asynchronous(given: Iterable[str | Item]) -> AsyncIterator[str | Item]:
    for each in given:
        await asyncio.sleep(0)
        yield each


@pytest.mark.parametrize(("twin", "other"), [(Sentiq, AsyncSentiq), (Job, AsyncJob)])
def test_twins_have_the_same_calls(twin: type, other: type) -> None:
    def calls(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(kind, callable)
            if not name.startswith("_") and name != "score_frame"
        }

    assert calls(twin) == calls(other)


def test_a_text_and_many_have_verdicts(live_url: str) -> None:
    async def work(client: AsyncSentiq) -> None:
        assert (await client.score(BAD)).label == "negative"
        with pytest.raises(NoVerdictError, match="empty_text"):
            await client.score("")
        for given in (texts(300), asynchronous(texts(300))):
            verdicts = [verdict async for verdict in client.score(given)]
            assert [verdict.index for verdict in verdicts] == list(range(300))
            assert [verdict.raw["chars"] for verdict in verdicts] == [len(text) for text in texts(300)]

    awaited(live_url, work)


def test_calls_run_beside_each_other(live_url: str) -> None:
    async def work(client: AsyncSentiq) -> None:
        verdicts = await asyncio.gather(*(client.score(text) for text in texts(20)))
        assert [verdict.raw["chars"] for verdict in verdicts] == [len(text) for text in texts(20)]

    awaited(live_url, work)


def test_a_job_is_submitted_waited_for_and_read(live_url: str) -> None:
    async def work(client: AsyncSentiq) -> None:
        tag, seen = uuid.uuid4().hex, list[Counts]()

        async def watch(counts: Counts) -> None:
            seen.append(counts)

        job = await client.submit(asynchronous(texts(2500)), metadata={"tag": tag})
        assert [each.id async for each in client.jobs(metadata={"tag": tag})] == [job.id]
        assert (await job.wait(timeout=100, progress=watch)).status == "succeeded"
        assert seen[-1].finished == 2500
        assert [result.index async for result in job.results()] == list(range(2500))
        assert {result["index"] async for result in job.raw_results(follow=True)} == set(range(2500))
        rows = b"".join([block async for block in job.results_csv(columns="index")])
        assert rows.split() == [b"index", *(b"%d" % number for number in range(2500))]
        assert (await job.summary())["items"] == 2500
        assert [event.event async for event in job.events()] == ["snapshot", "done"]
        await (await job.refresh()).delete()
        with pytest.raises(GoneError):
            await client.job(job.id)

    awaited(live_url, work)


def test_nothing_is_left_when_the_caller_stops_early(live_url: str) -> None:
    async def work(client: AsyncSentiq) -> None:
        tag = uuid.uuid4().hex
        verdicts = client.score(texts(400), metadata={"tag": tag})
        assert (await anext(verdicts)).index == 0
        await verdicts.aclose()  # type: ignore[attr-defined]
        assert [job async for job in client.jobs(metadata={"tag": tag})] == []

    awaited(live_url, work)


def test_cut_connections_are_resumed(live_url: str) -> None:
    async def work(client: AsyncSentiq) -> None:
        job = await client.submit(asynchronous(ITEMS[:5000]))
        assert job.counts.total == 5000
        await job.wait(timeout=100)
        assert [result.id async for result in job.results()] == [item.id for item in ITEMS[:5000]]
        again = await client.upload(LINES, idempotency_key=(key := uuid.uuid4().hex))
        assert await client.recorded(key) == again.counts.total == len(LINES)
        await again.delete()
        await job.delete()

    plans = [Plan(cut_up=30_000), Plan(cut_up=40_000), Plan(cut_down=3_000), Plan(cut_down=20_000)]
    with proxied(live_url, *plans) as proxy:
        awaited(proxy.url, work)
        assert len(proxy.received) > len(plans)


def test_the_service_describes_itself(live_url: str) -> None:
    async def work(client: AsyncSentiq) -> None:
        assert await client.ready()
        assert (await client.models())[0]["default"]
        assert (await client.info())["service"] == "sentiq"
        assert (await client.queue())["workers"]["alive"] == 1
        assert (await client.submit(GOOD)).counts.total == 1

    awaited(live_url, work)
