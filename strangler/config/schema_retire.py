"""The keys of `retire`: how and when a route ends."""

from typing import Annotated, Literal

from strangler.config import moments, scalars, urls
from strangler.config.leaf import leaf
from strangler.config.section import REQUIRED, Section, key
from strangler.config.types import LIST
from strangler.core.retire_settings import utc_stamp

STATUSES: tuple[Literal[404, 410, 501], ...] = (404, 410, 501)

_WRITE_MOMENT = "write a date such as 2027-03-01, or a time with its zone such as 2027-03-01T09:00Z"
_MOMENT = {"type": "string", "pattern": moments.MOMENT_PATTERN}

Moment = Annotated[int, *leaf(moments.moment, "date, or time with zone", _WRITE_MOMENT, _MOMENT, write=utc_stamp)]
MaybeMoment = Annotated[
    int | None, *leaf(moments.moment, "date, time with zone, or null", _WRITE_MOMENT, _MOMENT, nullable=True)
]


MaybeLink = Annotated[
    str | None,
    *leaf(
        urls.link,
        "URL or null",
        "write a URL such as https://example.com/ends",
        {"type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://"},
        nullable=True,
    ),
]


def _status(text: str) -> int:
    found = next((status for status in STATUSES if str(status) == text), None)
    if found is None:
        raise ValueError(f"write {scalars.listed(STATUSES)}")
    return found


Status = Annotated[
    Literal[404, 410, 501],
    *leaf(_status, ", ".join(f"`{status}`" for status in STATUSES), "write 410", {"enum": list(STATUSES)}),
]


class Brownout(Section):
    from_: Moment = key(REQUIRED, "When it begins.", "2027-02-01T09:00Z", name="from")
    to: Moment = key(REQUIRED, "When it is over; Retry-After names this time.", "2027-02-01T10:00Z")


class Retire(Section):
    sunset: Moment = key(
        REQUIRED,
        "When the route ends: `status` from then on, `Sunset` in all responses before. A date alone means 00:00 UTC.",
        "2027-03-01",
    )
    since: MaybeMoment = key(
        None,
        "Since when it is deprecated, for `Deprecation`; null: since the proxy first loaded its `retire`.",
        "2026-12-01",
    )
    link: MaybeLink = key(
        None,
        'Page for those who still call, for `Link: <…>; rel="sunset"` and the body of refusals; null: none.',
        "https://example.com/orders-v1-ends",
    )
    status: Status = key(410, "Status after the sunset.", "404")
    brownouts: Annotated[tuple[Brownout, ...], LIST] = key(
        (),
        "Announced windows in which the route is off already: 503 with `Retry-After`.",
        "[{from: 2027-02-01T09:00Z, to: 2027-02-01T10:00Z}]",
    )
