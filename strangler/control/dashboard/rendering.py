"""Templates and the formats of figures. Everything in a page is escaped, except markup that is made here."""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from strangler.config.quantities import duration_text
from strangler.control.dashboard.ledger_view import endpoint_url
from strangler.control.dashboard.rollout_view import rollout_text, rollout_url
from strangler.core.documents import ComparedDifference, SignatureRow
from strangler.core.gate import cut_percent
from strangler.core.ledger_text import meaning_of
from strangler.core.node_text import heard_text, is_absent
from strangler.core.plain import plain_line
from strangler.core.recording_text import recording_text
from strangler.core.rollout_text import waits_phrase
from strangler.store.evidence.side_by_side import value_text
from strangler.store.evidence.stopped_routes import stopped_text

if TYPE_CHECKING:
    from jinja2 import Environment

_PLACE = {"status": "status", "header": "header", "body": ""}


@cache
def environment() -> "Environment":
    """Return the templates of this package. Jinja is imported for the first page: that takes 30 ms."""
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
        "ms_of": lambda value: milliseconds(None if value is None else value / 1000),
        "moment": moment,
        "stamp": stamp,
        "seconds": lambda value: "none" if value is None else duration_text(value),
        "place": place,
        "told": value_text,
        "plain": plain_line,
        "heard": heard_text,
        "is_absent": is_absent,
        "stopped": stopped_text,
        "meaning": meaning_of,
        "recording_text": recording_text,
        "endpoint_url": endpoint_url,
        "exact": exact_percent,
        "rollout": rollout_text,
        "rollout_url": rollout_url,
        "waits": waits_phrase,
    }
    return made


def rate(value: float) -> str:
    """Return a rate as `12.3`, `1,234`."""
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.1f}"


def percent(value: float | None) -> str:
    """Return a percentage as `25%`, `33.3%`, `–`."""
    return "–" if value is None else f"{round(value, 1):g}%"


def exact_percent(value: float) -> str:
    """Return a percent of routes.yaml, with all of its decimals, as `25%`, `0.05%`."""
    return f"{value:g}%"


def share(value: float | None) -> str:
    """Return a share of 0 to 1 as `99.999%`, `–`; cut and not rounded."""
    return "–" if value is None else f"{cut_percent(value):g}%"


def milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    value = seconds * 1000
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"


def moment(at: float) -> str:
    """Return a Unix time as `2026-11-23 08:00:00 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def stamp(time: str | None) -> str:
    """Return a time of a document as `2027-02-01 09:00`, in UTC; `–` for none."""
    return "–" if time is None else time[:16].replace("T", " ")


def place(row: SignatureRow | ComparedDifference) -> str:
    """Return a place as `$.items[*].price`, `header cache-control`, `status`."""
    return " ".join(part for part in (_PLACE.get(row.in_, row.in_), row.path) if part)
