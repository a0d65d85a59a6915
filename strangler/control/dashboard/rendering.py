"""Templates and how figures are written. Everything that goes into a page is escaped, unless it is markup made here."""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from strangler.config.quantities import duration_text
from strangler.core.documents import ComparedDifference, SignatureRow
from strangler.core.gate import cut_percent
from strangler.core.plain import plain_line
from strangler.evidence.side_by_side import value_text
from strangler.evidence.stopped_routes import stopped_text

if TYPE_CHECKING:
    from jinja2 import Environment

_PLACE = {"status": "status", "header": "header", "body": ""}


@cache
def environment() -> "Environment":
    """The templates of this package. Their library is loaded for the first page: it takes 30 ms."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("strangler.control.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "count": lambda value: f"{value:,}",
        "rate": rate,
        "percent": percent,
        "share": share,
        "ms": milliseconds,
        "moment": moment,
        "seconds": lambda value: "none" if value is None else duration_text(value),
        "place": place,
        "told": value_text,
        "plain": plain_line,
        "stopped": stopped_text,
    }
    return made


def rate(value: float) -> str:
    """`12.3`, `1,234`"""
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.1f}"


def percent(value: float | None) -> str:
    """`25%`, `33.3%`, `–`"""
    return "–" if value is None else f"{round(value, 1):g}%"


def share(value: float | None) -> str:
    """`99.999%`, `–`, for a share of 0 to 1; cut and not rounded."""
    return "–" if value is None else f"{cut_percent(value):g}%"


def milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    value = seconds * 1000
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def moment(at: float) -> str:
    """`2026-11-23 08:00:00 UTC`"""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def place(row: SignatureRow | ComparedDifference) -> str:
    """`$.items[*].price`, `header cache-control`, `status`"""
    return " ".join(part for part in (_PLACE.get(row.in_, row.in_), row.path) if part)
