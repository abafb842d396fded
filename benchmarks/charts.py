"""The three charts of benchmarks/README.md, drawn from the tables in benchmarks/results.

pip install matplotlib
python -m benchmarks.polling_rivals --quick --no-timestamps > benchmarks/results/polling_rivals.md
python -m benchmarks.campaign > benchmarks/results/campaign.md
python -m benchmarks.peers > benchmarks/results/peers.md
python -m benchmarks.charts
"""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

from .campaign import BOUNDS, LATENCY

RESULTS: Final = Path(__file__).parent / "results"
OURS, OTHERS, LIMITS = "#1d63b8", "#6b7280", "#c2410c"
"""The colours of this client, of other software, and of bounds."""
COLOURS: Final = {"plan, cold": OURS, "plan, warm": OURS, "clairvoyant": LIMITS}
PLACES: Final = {"plan, cold": (6, 12), "plan, warm": (-6, 4), "oracle": (6, -14), "fixed, equal": (-6, -12)}
"""Where the names of policies with near values are, in points from theirs."""
STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "smsc_async",  # the same table gives the same file
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
}


class Policy(NamedTuple):
    """How one policy did: the requests a message, and the mean delay in seconds."""

    name: str
    requests: float
    delay: float


def rows(table: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the Markdown tables in a text, heads included."""
    for line in table.splitlines():
        if line.startswith("| ") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def policies(text: str) -> dict[str, list[Policy]]:
    """Return what `polling_rivals` printed: the policies of each curve."""
    found: dict[str, list[Policy]] = {}
    for line in text.splitlines():
        if head := re.match(r"(\S.*), 1,000 messages: (.*)", line):
            found[f"{head[1]}: {head[2].rstrip('.').lower()}"] = []
        elif row := re.match(r"  (\S.*?) {2,}([\d.]+) +([\d.]+) ", line):
            found[list(found)[-1]].append(Policy(row[1], float(row[2]), float(row[3])))
    return found


def draw_delays(text: str) -> Any:
    """Draw the mean delay against the requests of each policy."""
    figure, panels = plt.subplots(2, 2, figsize=(9.6, 7.6), layout="constrained")
    for panel, (curve, found) in zip(panels.flat, policies(text).items(), strict=True):
        for each in found:
            colour, (x, y) = COLOURS.get(each.name, OTHERS), PLACES.get(each.name, (6, 3))
            panel.scatter(each.requests, each.delay, color=colour, zorder=3)
            panel.annotate(
                each.name,
                (each.requests, each.delay),
                (x, y),
                textcoords="offset points",
                ha="left" if x > 0 else "right",
                fontsize=9,
                color=colour if each.name in COLOURS else "#4b5563",
            )
        scale = "log" if max(each.requests for each in found) > 2 else "linear"
        panel.set(xscale=scale, yscale="log", xlabel="requests a message", ylabel="mean delay, s")
        panel.set_title(textwrap.fill(curve, 56), fontsize=10)
        panel.margins(x=0.25, y=0.2)
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("")
        if scale == "log":
            panel.xaxis.set_major_formatter("{x:g}")
            panel.xaxis.set_minor_formatter("")
        panel.grid(color="#e5e7eb", zorder=0)
    figure.suptitle("How late a final status is reported, and what it costs: 1,000 messages", x=0.01, ha="left")
    return figure


def bars(panel: Any, names: list[str], values: list[float], unit: Callable[[float], str]) -> None:
    """Draw a bar for each name, the first at the top, with its value."""
    colours = [OURS if name.startswith("smsc_async") else OTHERS for name in names]
    panel.barh(names, values, color=colours)
    for at, value in enumerate(values):
        panel.annotate(
            unit(value),
            (value, at),
            (-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=9,
            color="white",
        )
    panel.invert_yaxis()
    panel.set_xscale("log")
    panel.margins(x=0.15)
    panel.tick_params(axis="y", length=0)


def draw_campaign(text: str) -> Any:
    """Draw the messages a second of each client, and its bound."""
    found = {cells[0]: float(cells[1]) for cells in rows(text) if cells[0] in BOUNDS}
    figure, panel = plt.subplots(figsize=(9.6, 6.4), layout="constrained")
    bars(panel, list(found), list(found.values()), lambda value: f"{value:,.0f}")
    for at, name in enumerate(found):
        panel.plot([BOUNDS[name] / LATENCY] * 2, [at - 0.4, at + 0.4], color=LIMITS, linewidth=2)
    panel.plot([], [], color=LIMITS, linewidth=2, label="messages in flight divided by 60 ms, what an answer takes")
    panel.legend(loc="lower right", frameon=False, fontsize=9)
    panel.xaxis.set_major_formatter("{x:,g}")
    panel.set(title="A campaign: messages a second (logarithmic)", xlim=(5, 12_000))
    return figure


def draw_calls(text: str) -> Any:
    """Draw the CPU time a call of each client, for each number in flight."""
    found: dict[int, dict[str, float]] = {}
    for cells in rows(text):
        if len(cells) > 2 and cells[1].isdigit():
            found.setdefault(int(cells[1]), {})[cells[0]] = float(cells[2])
    sizes = [len(each) for each in found.values()]
    figure, panels = plt.subplots(
        len(found), 1, figsize=(9.6, 0.36 * sum(sizes) + 2), layout="constrained", sharex=True, height_ratios=sizes
    )
    for panel, (flight, each) in zip(panels, found.items(), strict=True):
        bars(panel, list(each), list(each.values()), lambda value: f"{value:,.0f} us")
        panel.set(title=f"{flight} in flight")
        panel.xaxis.set_major_formatter("{x:,g}")
    figure.suptitle("CPU time of one call, in microseconds (logarithmic)", x=0.01, ha="left")
    return figure


CHARTS: Final[dict[str, Callable[[str], Any]]] = {
    "polling_rivals": draw_delays,
    "campaign": draw_campaign,
    "peers": draw_calls,
}
"""How the table of each benchmark is drawn."""


def draw(names: Iterable[str], folder: Path) -> None:
    """Draw the tables of these benchmarks into a folder."""
    with plt.rc_context(STYLE):
        for name in names:
            figure = CHARTS[name]((RESULTS / f"{name}.md").read_text())
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)


if __name__ == "__main__":
    draw(CHARTS, RESULTS)
