"""Charts as inline SVG. Drawn by pygal without its own style and script: colours come from the page's style sheet,
so that they follow dark mode and need no exception from the content security policy."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import floor, log10
from typing import Any
from xml.etree.ElementTree import Element, tostring

from markupsafe import Markup

_HEIGHT = 170
_WIDTH = 620
_SVG = "{http://www.w3.org/2000/svg}"
_UNWANTED = {"defs", "desc", "title"}


@dataclass(frozen=True, slots=True)
class Chart:
    """A line chart. `series`: by name, points of age in seconds and value; a value of None is a gap in the line."""

    name: str
    series: Mapping[str, Sequence[tuple[float, float | None]]]
    span_s: int
    text_of: Callable[[float], str]
    top: float | None = None
    """The highest value of the scale; None: as the values need."""


def svg(chart: Chart) -> Markup:
    """Return the SVG element. Everything in it is escaped by the XML writer."""
    top = chart.top or round_top(_highest(chart))
    drawn = _pygal().XY(
        width=_WIDTH,
        height=_HEIGHT,
        css=[],
        js=[],
        show_legend=False,
        show_dots=False,
        margin=4,
        margin_left=14,
        margin_right=10,
        spacing=4,
        include_x_axis=True,
        xrange=(-chart.span_s, 0),
        range=(0, top),
        y_labels=[0, top / 2, top],
        x_labels=_ages(chart.span_s),
        x_value_formatter=_age_text,
        value_formatter=chart.text_of,
        no_data_text="",
        truncate_label=-1,
        allow_interruptions=True,
    )
    drawn.x_labels_major = []
    for name, points in chart.series.items():
        drawn.add(name, _visible(points))
    tree: Element = drawn.render_tree()
    _clean(tree)
    tree.attrib = {
        "class": "chart",
        "viewBox": f"0 0 {_WIDTH} {_HEIGHT}",
        "role": "img",
        "aria-label": chart.name,
    }
    return Markup(tostring(tree, encoding="unicode"))  # noqa: S704 - written by an XML writer


def _visible(points: Sequence[tuple[float, float | None]]) -> list[tuple[float, float] | None]:
    """Return the points as pygal takes them. A point between two gaps is doubled: a line of no length is a dot."""
    placed = [None if value is None else (-age_s, value) for age_s, value in points]
    visible: list[tuple[float, float] | None] = []
    for before, here, after in zip([None, *placed], placed, [*placed[1:], None], strict=False):
        visible += [here, here] if here is not None and before is None and after is None else [here]
    return visible


@cache
def _pygal() -> Any:
    """Return the library, imported at the first chart: that takes 40 ms, and most starts of control see no visitor.

    It adds a finder for its map plugins to Python's import system. That kind of finder makes this Python warn at every
    missing module and is unknown to later ones; we draw no maps.
    """
    import pygal

    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != pygal.__name__]
    return pygal


def _highest(chart: Chart) -> float:
    return max((value for points in chart.series.values() for _, value in points if value is not None), default=0.0)


def round_top(highest: float) -> float:
    """Return 1, 2 or 5 times a power of ten: the lowest that is at least `highest`; 1 for nothing."""
    if highest <= 0:
        return 1.0
    power: float = 10.0 ** floor(log10(highest))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= highest)


def _ages(span_s: int) -> list[float]:
    parts = 6 if span_s >= 3600 else 5  # so that each is a round time
    return [-span_s + span_s * part / parts for part in range(parts + 1)]


def _age_text(seconds: float) -> str:
    age = round(-seconds)
    if age == 0:
        return "now"
    return f"−{age // 3600} h" if age >= 3600 else f"−{age // 60} min" if age % 60 == 0 else f"−{age} s"


def _clean(element: Element) -> None:
    """Remove what would need an exception from the policy, tool tips, identifiers and comments."""
    for child in list(element):
        if callable(child.tag) or child.tag.removeprefix(_SVG) in _UNWANTED:
            element.remove(child)
        else:
            _clean(child)
    for name in ("style", "id", "onclick"):
        element.attrib.pop(name, None)
