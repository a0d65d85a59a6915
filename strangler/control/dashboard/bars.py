"""Charts of counts by day or month as inline SVG: one bar for each, its arms upon each other.

Colours come from the page's style sheet, as for the charts of lines.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

from strangler.control.dashboard.charts import round_top

_WIDTH, _HEIGHT = 620, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 8, 22
_LABELS = 6
_LABEL_WIDTH = 60
_MAX_WIDTH = 60.0
_GAP = 0.2
"""The part of a bar's place that stays empty."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One day or month. `parts`: values by series, the lowest first; none of them leaves a gap."""

    label: str
    title: str
    parts: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True, slots=True)
class BarChart:
    """A chart of bars. `name`: what it shows, for those who do not see it."""

    name: str
    bars: Sequence[Bar]
    text_of: Callable[[float], str]
    top: float | None = None
    """The highest value of the scale; None: as the values need."""


def bars_svg(chart: BarChart) -> Markup:
    """Return the SVG element. Everything in it is escaped by the XML writer."""
    top = chart.top or round_top(max((_height(bar) for bar in chart.bars), default=0.0))
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "chart",
            "viewBox": f"0 0 {_WIDTH} {_HEIGHT}",
            "role": "img",
            "aria-label": chart.name,
        },
    )
    _draw_scale(root, top, chart.text_of)
    _draw_labels(root, chart.bars)
    drawn = SubElement(root, "g", {"class": "bars"})
    for number, bar in enumerate(chart.bars):
        _draw_bar(drawn, bar, _place(number, len(chart.bars)), top)
    return Markup(tostring(root, encoding="unicode"))  # noqa: S704 - written by an XML writer


def count_text(value: float) -> str:
    """Return a count in few characters: `950`, `1.2k`, `30M`."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{sign}"
    return f"{value:g}"


def _height(bar: Bar) -> float:
    return sum(value for _, value in bar.parts)


def _place(number: int, count: int) -> tuple[float, float]:
    """Return where a bar begins, and how wide it is."""
    width = min(_MAX_WIDTH, (_WIDTH - _LEFT - _RIGHT) / max(1, count))
    return _LEFT + width * number + width * _GAP / 2, width * (1 - _GAP)


def _draw_bar(drawn: Element, bar: Bar, place: tuple[float, float], top: float) -> None:
    group = SubElement(drawn, "g")
    SubElement(group, "title").text = bar.title
    base = float(_HEIGHT - _BOTTOM)
    for series, value in bar.parts:
        height = (_HEIGHT - _TOP - _BOTTOM) * min(value, top) / top
        base -= height
        _draw_rectangle(group, series, place, base, height)


def _draw_rectangle(group: Element, series: str, place: tuple[float, float], y: float, height: float) -> None:
    x, width = place
    fields = {"x": x, "y": y, "width": width, "height": height}
    SubElement(group, "rect", {"class": series, **{name: f"{value:.2f}" for name, value in fields.items()}})


def _draw_scale(root: Element, top: float, text_of: Callable[[float], str]) -> None:
    axis = SubElement(root, "g", {"class": "axis y"})
    for value in (0.0, top / 2, top):
        y = f"{_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top:.2f}"
        group = SubElement(axis, "g")
        SubElement(group, "path", {"class": "guide line", "d": f"M{_LEFT} {y} H{_WIDTH - _RIGHT}"})
        SubElement(group, "text", {"x": f"{_LEFT - 5}", "y": y, "dy": "0.32em"}).text = text_of(value)


def _draw_labels(root: Element, bars: Sequence[Bar]) -> None:
    """Write the labels of a few bars, the last one among them; at the edge, a label ends where its bar does."""
    axis = SubElement(root, "g", {"class": "axis labels"})
    step = -(-len(bars) // _LABELS) or 1
    for number in reversed(range(len(bars) - 1, -1, -step)):
        x, width = _place(number, len(bars))
        is_at_edge = x + width / 2 + _LABEL_WIDTH / 2 > _WIDTH
        place = {
            "class": "end" if is_at_edge else "",
            "x": f"{x + width if is_at_edge else x + width / 2:.2f}",
            "y": f"{_HEIGHT - 6}",
        }
        SubElement(axis, "text", place).text = bars[number].label
