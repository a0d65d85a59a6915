"""The report's pictures, as SVG text. Needs matplotlib: `pip install 'strangler[report]'`."""

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

_INK = "#6b7280"
_LEGACY, _CANDIDATE = "#64748b", "#0f766e"
_OUTCOMES = (
    ("match", "#0f766e"),
    ("accepted", "#5eead4"),
    ("mismatch", "#dc2626"),
    ("not_comparable", "#d1d5db"),
)
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: smaller, searchable, in the page's own font
    "svg.hashsalt": "strangler",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def outcomes_over_time(timeline: Sequence[Mapping[str, int]], name: str) -> str:
    """Return a chart of the outcomes of pairs: a stacked bar per hour, or per day where hours were added up."""
    with rc_context(_STYLE):
        figure, axes = _figure()
        # matplotlib counts days of Unix time
        at = [hour["at"] / 86400 for hour in timeline]
        width = min([later - earlier for earlier, later in pairwise(at)], default=1 / 24) * 0.9
        bottom = [0.0] * len(at)
        for outcome, colour in _OUTCOMES:
            heights = [float(hour.get(outcome, 0)) for hour in timeline]
            if any(heights):
                label = outcome.replace("_", " ")
                axes.bar(at, heights, width, bottom=bottom, color=colour, label=label, align="edge")
            bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
        locator = AutoDateLocator(maxticks=8)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.xaxis_date()
        if len(at) == 1:
            axes.set_xlim(at[0] - 3 / 24, at[0] + 4 / 24)
        axes.set_ylabel("pairs")
        axes.legend(loc="upper left", ncols=4, bbox_to_anchor=(0, 1.16), borderaxespad=0)
        return _svg(figure, f"Outcomes of the pairs of route {name} over time")


def latency_of_both(latencies: Sequence[Sequence[float]], name: str) -> str:
    """Return a chart of the share of requests served within a time, for each arm."""
    with rc_context(_STYLE):
        figure, axes = _figure()
        for column, label, colour in ((1, "legacy", _LEGACY), (2, "candidate", _CANDIDATE)):
            ordered = sorted(1000 * pair[column] for pair in latencies)
            shares = [100 * (place + 1) / len(ordered) for place in range(len(ordered))]
            axes.step(ordered, shares, where="post", color=colour, label=label, linewidth=1.8)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ms"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
        axes.set_ylim(0, 101)
        axes.set_ylabel("served within")
        axes.legend(loc="upper left", ncols=2, bbox_to_anchor=(0, 1.16), borderaxespad=0)
        return _svg(figure, f"Response times of both arms of route {name}")


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 2.6), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def _svg(figure: Figure, title: str) -> str:
    """Return only the `<svg>` element, for use inside a page, with the title for screen readers."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Title": title})
    text = written.getvalue()
    return text[text.index("<svg") :].replace("<svg ", '<svg role="img" ', 1)
