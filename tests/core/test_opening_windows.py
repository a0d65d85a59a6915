"""`within`: when steps up may happen. The days on which clocks change are cases of their own."""

import os
import re
import subprocess
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.opening_windows import opening_windows

OFFICE = "mon-fri 09:00-17:00 Europe/Berlin"
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("window", "time", "is_open"),
    [
        pytest.param(OFFICE, "2026-11-30 09:00", True, id="from its first minute on"),
        pytest.param(OFFICE, "2026-11-30 08:59:59", False, id="not a second earlier"),
        pytest.param(OFFICE, "2026-11-30 16:59:59", True, id="up to its end"),
        pytest.param(OFFICE, "2026-11-30 17:00", False, id="not at its end"),
        pytest.param(OFFICE, "2026-11-28 12:00", False, id="not on a Saturday"),
        pytest.param("12:00-13:00 Europe/Berlin", "2026-11-28 12:30", True, id="no days are all days"),
        pytest.param("sat 00:00-24:00 Europe/Berlin", "2026-11-28 23:59", True, id="a whole day"),
        pytest.param("fri 22:00-02:00 Europe/Berlin", "2026-11-27 23:00", True, id="over midnight: the evening"),
        pytest.param("fri 22:00-02:00 Europe/Berlin", "2026-11-28 01:59", True, id="over midnight: the day after"),
        pytest.param("fri 22:00-02:00 Europe/Berlin", "2026-11-27 01:00", False, id="not the night before"),
        pytest.param("sun 22:00-02:00 Europe/Berlin", "2026-11-30 01:00", True, id="over the end of the week"),
        pytest.param("sat-mon 09:00-10:00 Europe/Berlin", "2026-11-29 09:30", True, id="days over the end of the week"),
        pytest.param("sat-mon 09:00-10:00 Europe/Berlin", "2026-12-01 09:30", False, id="and no further"),
        pytest.param(f"{OFFICE}, sat 10:00-12:00 Europe/Berlin", "2026-11-28 11:00", True, id="one of several"),
        pytest.param("sun 02:30-04:00 Europe/Berlin", "2026-03-29 03:00", True, id="clocks went forward into it"),
        pytest.param("sun 02:00-03:00 Europe/Berlin", "2026-03-29 03:00", False, id="clocks went forward over it"),
    ],
)
def test_a_window_is_open_by_the_clock_on_the_wall(window: str, time: str, is_open: bool) -> None:
    assert opening_windows(window).is_open(at(time)) is is_open


def test_a_time_that_occurs_twice_is_open_twice() -> None:
    window = opening_windows("sun 02:15-02:45 Europe/Berlin")
    first, second = at("2026-10-25 02:30"), at("2026-10-25 02:30", fold=1)
    assert second - first == 3600
    assert window.is_open(first)
    assert window.is_open(second)
    assert not window.is_open(first + 1800)
    assert window.next_opening(first + 1800) == at("2026-10-25 02:15", fold=1)


@pytest.mark.parametrize(
    ("window", "now", "opens"),
    [
        pytest.param(OFFICE, "2026-11-30 12:00", "2026-11-30 12:00", id="now"),
        pytest.param(OFFICE, "2026-11-30 08:00", "2026-11-30 09:00", id="later today"),
        pytest.param(OFFICE, "2026-11-27 17:00", "2026-11-30 09:00", id="after the weekend"),
        pytest.param("fri 22:00-02:00 Europe/Berlin", "2026-11-28 02:00", "2026-12-04 22:00", id="in a week"),
        pytest.param("sun 02:30-04:00 Europe/Berlin", "2026-03-28 12:00", "2026-03-29 03:00", id="when clocks jump"),
        pytest.param("sun 02:00-03:00 Europe/Berlin", "2026-03-28 12:00", "2026-04-05 02:00", id="left out for a week"),
        pytest.param(OFFICE, "2026-03-27 18:00", "2026-03-30 09:00", id="over a change of clocks"),
        pytest.param(
            "sun 01:00-02:30 Europe/Berlin", "2026-10-25 02:40", "2026-10-25 02:00+01:00", id="clocks go back"
        ),
    ],
)
def test_the_next_opening(window: str, now: str, opens: str) -> None:
    expected = datetime.fromisoformat(opens)
    expected = expected if expected.tzinfo else expected.replace(tzinfo=BERLIN)
    assert opening_windows(window).next_opening(at(now)) == expected.timestamp()


def test_the_zone_is_that_of_the_window() -> None:
    windows = opening_windows("mon 09:00-10:00 Asia/Kolkata, mon 09:00-10:00 America/New_York")
    assert windows.is_open(at("2026-11-30 03:30", "UTC"))
    assert windows.next_opening(at("2026-11-30 05:00", "UTC")) == at("2026-11-30 14:00", "UTC")


@settings(max_examples=40)
@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.sampled_from(
        ["sun 02:30-04:00", "sun 01:00-02:30", "mon-fri 09:00-17:00", "sat 23:30-00:30", "sun 00:00-24:00"]
    ),
    st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01", "2026-07-01"]),
    st.integers(-3000, 3000),
)
def test_the_next_opening_is_the_first_minute_that_is_open(zone: str, window: str, day: str, minutes: int) -> None:
    windows = opening_windows(f"{window} {zone}")
    now = at(f"{day} 00:00", "UTC") + 60 * minutes
    found = windows.next_opening(now)
    assert found is not None
    naive = next(now + 60 * later for later in range(15 * 24 * 60) if windows.is_open(now + 60 * later))
    assert found == naive


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mon-fri 09:00-17:00 Europe/Berln", "unknown time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?"),
        ("mon-fri 09:00-17:00 ../../etc/passwd", "names are those of the IANA time zone database"),
        ("weekdays", "write days, hours and zone as in 'mon-fri 09:00-17:00 Europe/Berlin'"),
        ("mon 09:00-17:00", "is no window"),
        ("mon 9:00-17:00 UTC", "is no window"),
        ("mun 09:00-17:00 UTC", "'mun' is no day; days are mon, tue"),
        ("mon 09:00-25:00 UTC", "hours are from 00:00 to 24:00"),
        ("mon 09:61-10:00 UTC", "hours are from 00:00 to 24:00"),
        ("mon 24:00-10:00 UTC", "hours are from 00:00 to 24:00"),
        ("mon 09:00-09:00 UTC", "a whole day is 00:00-24:00"),
        ("", "is no window"),
    ],
)
def test_a_mistake_says_the_way_out(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        opening_windows(text)


def _parsed_without_system_zones(before: str) -> str:
    """The output of parsing a window in a process whose system has no time zones, as in a slim image."""
    code = f"""{before}
from strangler.core.opening_windows import opening_windows
try:
    print(opening_windows("mon 09:00-17:00 Europe/Berlin").is_open(1795392000.0))
except ValueError as error:
    print(error)
"""
    environ = {**os.environ, "PYTHONTZPATH": ""}
    return subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True).stdout


def test_a_system_without_time_zones_has_those_that_come_with_the_program() -> None:
    assert _parsed_without_system_zones("") == "False\n"


def test_the_way_out_is_named_where_there_are_no_time_zones_at_all() -> None:
    found = _parsed_without_system_zones("import sys; sys.modules['tzdata'] = None")
    assert found == "time zone 'Europe/Berlin' cannot be read; this machine has no time zones: pip install tzdata\n"
