"""The charts of the ledger: requests, and the candidates' share of them, by day and by month. Days are those of UTC."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from markupsafe import Markup

from strangler.control.dashboard.bars import Bar, BarChart, bars_svg, count_text
from strangler.core.documents import LedgerDay, LedgerHour

MAX_DAYS = 84
"""Twelve weeks: the ledger keeps days a little longer, and then sums them up by month."""

MAX_MONTHS = 25
MAX_HOURS = 48

Slot = tuple[str, LedgerDay | None]
"""A day or month, and its calls; None: there were none."""


def by_day(days: Sequence[LedgerDay], today: date) -> list[Slot]:
    """Return the days from the first call to today, at most twelve weeks, days without calls among them."""
    known = {item.day: item for item in days}
    first = max(min(known, default=today.isoformat()), (today - timedelta(MAX_DAYS - 1)).isoformat())
    begin = min(date.fromisoformat(first), today)
    names = [(begin + timedelta(number)).isoformat() for number in range((today - begin).days + 1)]
    return [(name, known.get(name)) for name in names]


def by_hour(hours: Sequence[LedgerHour], now: datetime) -> list[Slot]:
    """Return the hours from the first call to the present one, at most two days of them."""
    known = {each.hour: LedgerDay(each.hour, each.legacy, each.candidate, 0, {}) for each in hours}
    names = [f"{now - timedelta(hours=back):%Y-%m-%dT%H}" for back in reversed(range(MAX_HOURS))]
    first = next((at for at, name in enumerate(names) if name in known), MAX_HOURS - 1)
    return [(name, known.get(name)) for name in names[first:]]


def by_month(days: Iterable[LedgerDay], months: Iterable[LedgerDay], today: date) -> list[Slot]:
    """Return the months from the first call to this one, with the days that are not yet summed up in them."""
    known: dict[str, LedgerDay] = {}
    for item in (*months, *days):
        name = item.day[:7]
        known[name] = _sum(name, known[name], item) if name in known else _sum(name, item)
    this = _number(today.isoformat())
    first = max(min(map(_number, known), default=this), this - MAX_MONTHS + 1)
    return [(name, known.get(name)) for name in map(_month, range(first, this + 1))]


def _sum(name: str, *items: LedgerDay) -> LedgerDay:
    statuses: dict[str, int] = {}
    for item in items:
        for status, calls in item.statuses.items():
            statuses[status] = statuses.get(status, 0) + calls
    return LedgerDay(
        name,
        sum(item.legacy for item in items),
        sum(item.candidate for item in items),
        sum(item.probes for item in items),
        statuses,
    )


def _number(day: str) -> int:
    return int(day[:4]) * 12 + int(day[5:7]) - 1


def _month(number: int) -> str:
    return f"{number // 12:04}-{number % 12 + 1:02}"


def requests_chart(slots: Sequence[Slot], name: str) -> Markup:
    """Return the requests by arm."""
    bars = [Bar(label(day), f"{day}: {_words(calls)}", _parts(calls)) for day, calls in slots]
    return bars_svg(BarChart(name, bars, count_text))


def share_chart(slots: Sequence[Slot], name: str) -> Markup:
    """Return the share that candidates served, in percent; a gap where nothing was called."""
    bars = []
    for day, calls in slots:
        value = share_percent(calls)
        text = "no requests" if value is None else f"{value:.4g}%"
        bars.append(Bar(label(day), f"{day}: {text}", () if value is None else (("candidate", value),)))
    return bars_svg(BarChart(name, bars, lambda value: f"{value:g}%", 100.0))


def share_percent(calls: LedgerDay | None) -> float | None:
    total = 0 if calls is None else calls.legacy + calls.candidate
    return 100 * calls.candidate / total if calls is not None and total else None


def _parts(calls: LedgerDay | None) -> Sequence[tuple[str, float]]:
    return () if calls is None else (("candidate", calls.candidate), ("legacy", calls.legacy))


def _words(calls: LedgerDay | None) -> str:
    return "no requests" if calls is None else f"{calls.legacy:,} by legacy, {calls.candidate:,} by candidates"


_MONTHS: Mapping[str, str] = dict(
    zip(
        (f"{number:02}" for number in range(1, 13)),
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        strict=True,
    )
)


def label(day: str) -> str:
    """Return `09:00` for an hour, `1 Feb` for a day, and `Feb 2027` for a month."""
    if len(day) > 10:
        return f"{day[11:]}:00"
    month = _MONTHS[day[5:7]]
    return f"{int(day[8:])} {month}" if len(day) > 7 else f"{month} {day[:4]}"
