# Compiled with mypyc: see docs/hot-path.md.
"""The end of a route: what its responses announce, and what requests get in a brownout and after the sunset."""

import math
from bisect import bisect_right
from collections.abc import Callable
from email.utils import formatdate
from html import escape
from typing import NamedTuple

from strangler.core.http.problem import Problem, page_of
from strangler.core.retire_settings import BrownoutSettings, RetireSettings, utc_stamp, utc_text
from strangler.core.routing.arm import Reason

Clock = Callable[[], float]
"""The wall clock, in Unix seconds. It is read for each request of a route that ends: it may be set at any time."""

ENDING_FIELDS = frozenset({b"deprecation", b"sunset"})
"""Fields of an upstream that ours replace. Each has one value (RFC 9745 section 2, RFC 8594 section 3)."""


class Refusal(NamedTuple):
    """Why a request of a route that ends is not forwarded, and the response that it gets."""

    reason: Reason
    problem: Problem


class Retirement:
    """The plan of a route's end, computed before a request comes. It keeps the last decision and the time for which it
    holds, which saves 0.1 µs; a clock that is set makes it decide again."""

    __slots__ = ("_begins", "_bounds", "_endings", "_ends", "_refusal", "_refusals", "announcement")

    _begins: float
    """The first second for which `_refusal` holds."""
    _ends: float
    """The first second for which it no longer does."""

    announcement: bytes
    """The lines that each response has: Deprecation, Sunset and Link."""

    def __init__(self, settings: RetireSettings) -> None:
        self.announcement = _announcement(settings)
        self._endings: dict[bytes, bytes] = {}
        bounds: list[float] = []  # alternating: a brownout begins, is over; at the end the sunset
        refusals: list[Refusal | None] = [None]
        for window in settings.windows:
            bounds += (float(window.begins), float(window.ends))
            refusals += (_brownout(settings, window, self.announcement), None)
        self._bounds = [*bounds, float(settings.sunset)]
        self._refusals = (*refusals, _gone(settings))
        self._refusal: Refusal | None = None
        self._begins = self._ends = 0.0  # it holds for no time yet

    def refusal(self, now: float) -> Refusal | None:
        """Return why a request of that time is not forwarded; None if it is. `now`: Unix time."""
        if not self._begins <= now < self._ends:
            self._decide(now)
        return self._refusal

    def _decide(self, now: float) -> None:
        place = bisect_right(self._bounds, now)
        self._begins = self._bounds[place - 1] if place else -math.inf
        self._ends = self._bounds[place] if place < len(self._bounds) else math.inf
        self._refusal = self._refusals[place]

    def ending(self, ending: bytes) -> bytes:
        """Return the last lines of a head with the announcement before them: one object for equal bytes."""
        found = self._endings.get(ending)
        if found is None:
            found = self._endings[ending] = self.announcement + ending
        return found


def _announcement(settings: RetireSettings) -> bytes:
    at, lines = settings.deprecated_at, b""
    if at is not None:
        lines = b"Deprecation: @%d\r\n" % at
    return b"%bSunset: %b\r\n%b" % (lines, _http_date(settings.sunset), _link(settings))


def _link(settings: RetireSettings) -> bytes:
    return b"" if settings.link is None else b'Link: <%b>; rel="sunset"\r\n' % settings.link.encode()


def _http_date(at: int) -> bytes:
    return formatdate(at, usegmt=True).encode()


def _brownout(settings: RetireSettings, window: BrownoutSettings, announcement: bytes) -> Refusal:
    """Return the refusal in a brownout. Nobody is asked to come back if it lasts until the sunset."""
    sunset = utc_text(settings.sunset)
    is_last = window.ends == settings.sunset
    retry = b"" if is_last else b"Retry-After: %b\r\n" % _http_date(window.ends)
    until = "" if is_last else f"until {utc_text(window.ends)}, and "
    title = f"This is switched off {until}for good on {sunset}." if not is_last else f"This ends on {sunset}."
    problem = Problem(
        503,
        Reason.BROWNOUT,
        title,
        lines=retry + announcement,
        page=page_of("This page is switched off for now", title, *_about(settings)),
        members=_members(settings),
    )
    return Refusal(Reason.BROWNOUT, problem)


def _gone(settings: RetireSettings) -> Refusal:
    """Return the refusal after the sunset. Only the link is left to be announced."""
    title = f"This ended on {utc_text(settings.sunset)}."
    problem = Problem(
        settings.status,
        Reason.RETIRED,
        title,
        lines=_link(settings),
        page=page_of("This page is gone", title, *_about(settings)),
        members=_members(settings),
    )
    return Refusal(Reason.RETIRED, problem)


def _members(settings: RetireSettings) -> tuple[tuple[str, str], ...]:
    link = () if settings.link is None else (("link", settings.link),)
    return (("sunset", utc_stamp(settings.sunset)), *link)


def _about(settings: RetireSettings) -> tuple[str, ...]:
    """Return the page's paragraph with the link, as HTML."""
    if settings.link is None:
        return ()
    return (f'<a href="{escape(settings.link)}">What this means, and what to use instead</a>',)
