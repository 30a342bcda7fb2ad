"""Reports on disk: a JSON file, a Markdown page and plots of one measurement, below one folder."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.program import as_json
from bench.report import version_line
from local.processes import ROOT

DRAFTS = ROOT / ".run" / "bench" / "reports"

Draw = Callable[[Any], None]  # draws on matplotlib's axes
Row = Sequence[str]


def add_out_argument(parser: ArgumentParser) -> None:
    """Add the option that says where the report goes."""
    parser.add_argument(
        "--out",
        type=Path,
        default=DRAFTS,
        help="folder of the report (.run/bench/reports); docs/benchmarks to publish",
    )


def write_report(
    out: Path, name: str, figures: dict[str, Any], page: str, plots: Mapping[str, Draw]
) -> list[Path]:
    """Write `name`.json, `name`.md and a plot for each of `plots`; return the paths."""
    out.mkdir(parents=True, exist_ok=True)
    written = [out / f"{name}.json", out / f"{name}.md"]
    written[0].write_text(as_json(figures) + "\n", "utf-8")
    written[1].write_text(page.strip() + "\n", "utf-8")
    return written + [_plot(out / f"{plot}.svg", draw) for plot, draw in plots.items()]


def table(heads: Row, rows: Sequence[Row]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def best(values: Mapping[str, float], shown: Callable[[float], str], *, highest: bool) -> dict[str, str]:
    """Return the values as text, with the best one in bold, ours or a peer's."""
    if not values:
        return {}
    winner = (max if highest else min)(values, key=lambda name: values[name])
    return {name: f"**{shown(value)}**" if name == winner else shown(value) for name, value in values.items()}


def digits(value: float) -> str:
    """Return a number with three digits, or all of those before the point."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"  # noqa: PLR2004  three digits


def circumstances(figures: Mapping[str, Any]) -> str:
    """Return the lines that say where, with which versions and with which seed it was measured."""
    return "\n".join(
        [
            f"- Machine: {figures['processor']}, {figures['cores']} cores, Python {figures['python']}.",
            f"- Versions: {version_line(figures['versions'])}.",
            f"- Seed: {figures['seed']}.",
        ]
    )


def _plot(path: Path, draw: Draw) -> Path:
    import matplotlib as mpl  # noqa: PLC0415  most benchmarks draw nothing

    mpl.use("svg")
    # The same figures give the same bytes.
    mpl.rcParams["svg.hashsalt"] = path.stem
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    draw(axes)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
