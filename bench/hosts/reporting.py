"""The page and the plot of the comparison of two workers with one."""

from __future__ import annotations

from typing import Any

from bench.writing import Draw, circumstances, digits, table


def page(figures: dict[str, Any]) -> str:
    """Return the Markdown page."""
    rows = [
        [f"{delay} ms", digits(each["one_per_s"]), digits(each["two_per_s"]), _ratio(each["ratio"])]
        for delay, each in figures["rates"].items()
    ]
    return f"""# Two workers on hosts of their own

Written by `make bench-hosts`.
API and Redis on this machine, each worker in a network namespace with one child on one core.
Medians of pairs of runs on the same texts; the ratio is that of each pair.

{circumstances(figures)}
- Pack: {figures["pack"]}. Links between TUN devices, through a thread of the benchmark, which delays packets.

{table(["round trip", "one worker, texts/s", "two, texts/s", "two against one"], rows)}

![Rates by delay](hosts.svg)

## Rows for the README

{readme_rows(figures)}
"""


def readme_rows(figures: dict[str, Any]) -> str:
    """Return a row for each delay."""
    rows = [
        [f"two workers against one, Redis {delay} ms away", _ratio(each["ratio"]), "`make bench-hosts`"]
        for delay, each in figures["rates"].items()
    ]
    return table(["what", "measured", "command"], rows)


def draw_rates(figures: dict[str, Any]) -> Draw:
    """Return a drawing of the rates of one worker and of two, by delay."""

    def draw(axes: Any) -> None:
        delays = [*figures["rates"]]
        for offset, name in ((-0.2, "one"), (0.2, "two")):
            rates = [each[f"{name}_per_s"] for each in figures["rates"].values()]
            axes.bar([place + offset for place in range(len(delays))], rates, width=0.38, label=name)
        axes.set_xticks(range(len(delays)), [f"{delay} ms" for delay in delays])
        axes.set(xlabel="round trip to Redis", ylabel="texts per second")
        axes.legend(title="workers")

    return draw


def _ratio(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f} times ({ratio['min']:.2f} to {ratio['max']:.2f})"
