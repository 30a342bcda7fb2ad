"""The figures of docs/scaling.md: tables and plots of what was simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.program import BenchError
from bench.simulate.scenarios import JOB_TEXTS, RTTS_S
from bench.writing import Draw, circumstances, digits, table

BEGIN, END = "<!-- figures: python -m bench.simulate report -->", "<!-- end of figures -->"


def section(figures: Mapping[str, Any], plots: str) -> str:
    """Return the Markdown between the marks; `plots` is the path of the folder of plots."""
    growth = f"![Rate by workers]({plots}/scaling-growth.svg)"
    servers = f"![Rate by Redis servers]({plots}/scaling-servers.svg)"
    day = f"![A day]({plots}/scaling-day.svg)"
    zone = f"![The loss of a zone]({plots}/scaling-zone.svg)"
    parts = {
        "Where each part ends": [_limits(figures)],
        "More workers on one Redis": [_growth(figures["growth"]), growth],
        "Jobs spread by id over several Redis servers": [_servers(figures["servers"]), servers],
        f"A day of {figures['days']['per_day']:.0e} texts": [_days(figures["days"]), day],
        "The loss of a zone": [_loss(figures["zone_loss"]), zone],
        "Validation": [_validation(figures["validation"])],
    }
    blocks = [block for title, body in parts.items() for block in (f"### {title}", *body)]
    return "\n\n".join([_head(figures), *blocks]) + "\n"


def _head(figures: Mapping[str, Any]) -> str:
    return f"""
Simulated from one calibration; only the row "measured" of the validation is not.

{circumstances(figures)}
- Pack: {figures["pack"]}. Jobs of {JOB_TEXTS} texts.
- {_prices(figures["prices"])}"""


def put_section(document: Path, text: str) -> None:
    """Replace what stands between the marks of a document. Raise BenchError if it has none."""
    before = document.read_text("utf-8")
    head, begun, rest = before.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not begun or not ended:
        raise BenchError(f"{document} has no marks {BEGIN} and {END}")
    document.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", "utf-8")


def plots(figures: Mapping[str, Any]) -> dict[str, Draw]:
    """Return the drawings, by the name of their file."""
    return {
        "scaling-growth": _draw_growth(figures["growth"]),
        "scaling-servers": _draw_servers(figures["servers"]),
        "scaling-day": _draw_day(figures["days"]),
        "scaling-zone": _draw_zone(figures["zone_loss"]),
    }


def _prices(prices: Mapping[str, Any]) -> str:
    core, redis = (f"{prices[name]} {prices['currency']}" for name in ("core_hour", "redis_hour"))
    return f"An hour of a core costs {core}, an hour of a Redis {redis}: assumptions."


def _limits(figures: Mapping[str, Any]) -> str:
    rows = [[name, digits(value)] for name, value in figures["limits"].items()]
    return table(["part", "texts/s at which it is full"], rows)


def _point(point: Mapping[str, Any]) -> list[str]:
    busy = [f"{point[name]:.0%}" for name in ("share", "redis_busy", "network_busy", "api_busy")]
    return [digits(point["per_s"]), *busy, digits(point["cost_per_million"])]


_HEADS = ["texts/s", "of the workers alone", "Redis busy", "network busy", "API busy", "a million texts"]


def _growth(points: Sequence[Mapping[str, Any]]) -> str:
    rows = [[f"{point['rtt_s'] * 1000:g} ms", f"{point['workers']:,}", *_point(point)] for point in points]
    return table(["round trip", "workers", *_HEADS], rows)


def _servers(points: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ["Redis servers", *_HEADS], [[str(point["redis_servers"]), *_point(point)] for point in points]
    )


def _days(days: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            digits(day["worker_hours"]),
            digits(day["cost_per_million"]),
            *(f"{day[wait]:.0f} s" for wait in ("p50_s", "p99_s")),
            f"{day['within_target']:.1%}",
        ]
        for name, day in days["policies"].items()
    ]
    heads = ["workers by", "worker hours", "a million texts", "p50 of the wait", "p99", "within the target"]
    return f"{table(heads, rows)}\n\nThe target is a wait of {days['target_wait_s']:g} s."


def _loss(loss: Mapping[str, Any]) -> str:
    series = loss["series"]
    # The first seconds find an empty service, and the last ones before the loss have jobs that it hit.
    calm, worst, last = series[1], max(series, key=lambda each: each["p99_s"]), series[-1]
    rows = [
        [name, *(f"{each[figure]:.2f} s" for figure in ("p50_s", "p99_s"))]
        for name, each in (("before", calm), ("at worst", worst), ("at the end", last))
    ]
    head = f"{loss['workers']} workers at {loss['load']:.0%} of their capacity lose a third at once."
    return f"{head}\n\n{table(['', 'p50 of a job', 'p99'], rows)}"


def _validation(checks: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [each["what"], digits(each["measured"]), digits(each["simulated"]), f"{each['deviation']:+.1%}"]
        for each in checks
    ]
    return table(["run", "measured", "simulated", "off"], rows) if rows else "Not validated on this machine."


def _draw_growth(points: Sequence[Mapping[str, Any]]) -> Draw:
    def draw(axes: Any) -> None:
        for rtt_s in RTTS_S:
            line = [point for point in points if point["rtt_s"] == rtt_s]
            workers, rates = [point["workers"] for point in line], [point["per_s"] for point in line]
            axes.plot(workers, rates, marker="o", label=f"{rtt_s * 1000:g} ms to Redis")
        alone = [point["workers"] * points[0]["per_s"] / points[0]["workers"] for point in line]
        axes.plot(workers, alone, linestyle=":", color="grey", label="the rate of one, times workers")
        axes.set(xscale="log", yscale="log", xlabel="workers", ylabel="texts per second")
        axes.legend()

    return draw


def _draw_servers(points: Sequence[Mapping[str, Any]]) -> Draw:
    def draw(axes: Any) -> None:
        servers = [point["redis_servers"] for point in points]
        axes.plot(servers, [point["per_s"] for point in points], marker="o")
        axes.set(xscale="log", xlabel="Redis servers", ylabel="texts per second")
        axes.set_xticks(servers, list(map(str, servers)))
        axes.set_ylim(bottom=0)

    return draw


def _draw_day(days: Mapping[str, Any]) -> Draw:
    def draw(axes: Any) -> None:
        for name, day in days["policies"].items():
            times, workers, _ = zip(*day["series"], strict=True)
            axes.plot([time / 3600 for time in times], workers, label=f"by {name}", linewidth=1)
        axes.set(xlabel="hour", ylabel="workers")
        axes.legend()

    return draw


def _draw_zone(loss: Mapping[str, Any]) -> Draw:
    def draw(axes: Any) -> None:
        times = [each["at_s"] for each in loss["series"]]
        for name in ("p50_s", "p99_s"):
            axes.plot(times, [each[name] for each in loss["series"]], marker=".", label=name[:3])
        axes.axvline(loss["lost_at_s"], linestyle=":", color="grey", label="a zone is lost")
        axes.set(xlabel="submitted at, s", ylabel="seconds of a job")
        axes.legend()

    return draw
