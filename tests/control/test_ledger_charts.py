"""Charts of the ledger: days and months without gaps, and pictures that hold the figures."""

import re
from datetime import UTC, date, datetime
from xml.etree import ElementTree

import pytest

from strangler.control.dashboard.bars import Bar, BarChart, bars_svg, count_text
from strangler.control.dashboard.ledger_charts import (
    MAX_DAYS,
    MAX_MONTHS,
    by_day,
    by_hour,
    by_month,
    label,
    requests_chart,
    share_chart,
    share_percent,
)
from strangler.control.dashboard.ledger_pages import requests_charts, share_charts
from strangler.core.documents import LedgerHistoryDocument, LedgerHour
from tests.control.ledger_documents import day

TODAY = date(2027, 2, 3)


def heights(picture: str, series: str) -> list[float]:
    return [float(found) for found in re.findall(rf'<rect class="{series}"[^>]*height="([\d.]+)"', picture)]


def test_days_without_calls_are_days_too() -> None:
    days = [day("2027-01-30", legacy=5), day("2027-02-02", candidate=1)]
    assert [(name, calls is not None) for name, calls in by_day(days, TODAY)] == [
        ("2027-01-30", True),
        ("2027-01-31", False),
        ("2027-02-01", False),
        ("2027-02-02", True),
        ("2027-02-03", False),
    ]


def test_at_most_twelve_weeks_are_drawn_by_day() -> None:
    slots = by_day([day("2026-01-01", legacy=1), day("2027-02-03", legacy=2)], TODAY)
    assert (len(slots), slots[0][0], slots[-1][0]) == (MAX_DAYS, "2026-11-12", "2027-02-03")


@pytest.mark.parametrize("days", [[], [day("2027-03-01", legacy=1)]], ids=["no call", "a clock that was set back"])
def test_there_is_always_today(days: list[object]) -> None:
    assert [name for name, _ in by_day(days, TODAY)] == ["2027-02-03"]  # type: ignore[arg-type]


def test_a_month_has_its_days_that_are_not_summed_up_yet() -> None:
    months = [day("2026-10", legacy=100, statuses={"2xx": 100}), day("2026-11", legacy=7, statuses={"2xx": 7})]
    days = [
        day("2026-11-30", legacy=1, candidate=2, probes=3, statuses={"2xx": 2, "5xx": 1}),
        day("2027-02-03", candidate=4),
    ]
    slots = dict(by_month(days, months, TODAY))
    assert list(slots) == ["2026-10", "2026-11", "2026-12", "2027-01", "2027-02"]
    assert slots["2026-11"] == day("2026-11", legacy=8, candidate=2, probes=3, statuses={"2xx": 9, "5xx": 1})
    assert (slots["2026-12"], slots["2027-02"]) == (None, day("2027-02", candidate=4))


def test_months_are_bounded() -> None:
    assert len(by_month([], [day("1999-01", legacy=1)], TODAY)) == MAX_MONTHS


@pytest.mark.parametrize(("name", "text"), [("2027-02-03", "3 Feb"), ("2026-12", "Dec 2026")])
def test_a_label_is_short(name: str, text: str) -> None:
    assert label(name) == text


def test_bars_are_as_high_as_the_calls_and_stand_upon_each_other() -> None:
    picture = str(requests_chart([("2027-02-02", day("2027-02-02", 50, 50)), ("2027-02-03", None)], "Requests"))
    (legacy,), (candidate,) = heights(picture, "legacy"), heights(picture, "candidate")
    assert legacy == candidate == 70.0, "half of the scale each"
    assert "2027-02-02: 50 by legacy, 50 by candidates" in picture
    assert "2027-02-03: no requests" in picture


def test_a_share_has_a_gap_where_nothing_was_called() -> None:
    slots = [
        ("2027-02-01", day("2027-02-01", 30, 10)),
        ("2027-02-02", day("2027-02-02", probes=9)),
        ("2027-02-03", None),
    ]
    assert [share_percent(calls) for _, calls in slots] == [25.0, None, None]
    picture = str(share_chart(slots, "Share"))
    assert heights(picture, "candidate") == [35.0], "a quarter of the height"
    assert "2027-02-01: 25%" in picture


def test_a_picture_is_well_formed_whatever_its_texts_are() -> None:
    evil = '"><script>alert(1)</script>&'
    picture = str(bars_svg(BarChart(evil, [Bar("<b>", "</title>", (("legacy", 1.0),))], count_text)))
    assert "<script" not in picture
    root = ElementTree.fromstring(picture)
    assert (root.get("role"), root.get("aria-label")) == ("img", evil)
    assert not [part for part in root.iter() if "style" in part.attrib], "the policy allows no style of its own"


@pytest.mark.parametrize("bars", [0, 1, 2, 7, 84])
def test_a_few_bars_have_labels_and_the_last_is_among_them(bars: int) -> None:
    picture = str(bars_svg(BarChart("x", [Bar(f"day {number}", "x") for number in range(bars)], count_text)))
    labels = re.findall(r">day (\d+)<", picture)
    assert len(labels) <= 6
    assert len(labels) == bars or len(labels) >= 4
    assert labels[-1:] == ([str(bars - 1)] if bars else [])


@pytest.mark.parametrize(("bars", "width"), [(1, 48.0), (9, 48.0), (84, 5.39)])
def test_a_few_bars_are_not_wide(bars: int, width: float) -> None:
    picture = str(bars_svg(BarChart("x", [Bar("x", "x", (("legacy", 1.0),))] * bars, count_text)))
    assert {float(found) for found in re.findall(r'<rect[^>]* width="([\d.]+)"', picture)} == {width}


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (5, "5"), (0.5, "0.5"), (1000, "1k"), (2500, "2.5k"), (5e7, "50M"), (1e9, "1G")]
)
def test_a_scale_has_short_figures(value: float, text: str) -> None:
    assert count_text(value) == text


def test_months_are_drawn_once_there_are_earlier_ones() -> None:
    days, months = [day("2027-02-01", 1)], [day("2026-09", 5)]
    captions = [
        [caption for caption, _ in requests_charts(LedgerHistoryDocument(days, of), TODAY)] for of in ([], months)
    ]
    assert captions == [
        ["requests by day, last 12 weeks"],
        ["requests by day, last 12 weeks", "requests by month"],
    ]
    assert requests_charts(LedgerHistoryDocument([], []), TODAY) == []


@pytest.mark.parametrize(("span", "bars"), [("days", 3), ("months", 6)])
def test_the_overview_draws_a_long_span_by_day_or_by_month(span: str, bars: int) -> None:
    history = LedgerHistoryDocument([day("2027-02-01", 3, 1)], [day("2026-09", 5)])
    share, requests = share_charts(history, span, datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC))
    assert [str(picture).count("<title>") for _, picture in (share, requests)] == [bars, bars]
    assert 'aria-label="Share of traffic served by candidates' in share[1]


def test_hours_are_those_of_two_days_from_the_first_call_on() -> None:
    now = datetime(2027, 2, 3, 1, 30, tzinfo=UTC)
    slots = by_hour([LedgerHour("2027-01-01T00", 9, 9), LedgerHour("2027-02-02T23", 3, 1)], now)
    assert [(name, calls and calls.legacy) for name, calls in slots] == [
        ("2027-02-02T23", 3),
        ("2027-02-03T00", None),
        ("2027-02-03T01", None),
    ]
    assert label("2027-02-02T23") == "23:00"
    assert [name for name, _ in by_hour([], now)] == ["2027-02-03T01"]
    [(caption, picture), _] = share_charts(
        LedgerHistoryDocument([], [], [LedgerHour("2027-02-02T23", 3, 1)]), "hours", now
    )
    assert caption == "share by hour (UTC), last two days"
    assert "25%" in picture
