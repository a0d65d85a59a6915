"""Times in the forms of logs, read as Unix times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.imports.timestamps import AnyClock, ClfClock, IsoClock

AT = 971211336.0

TEXTS = {
    "common log format": ("10/Oct/2000:13:55:36 -0700", AT),
    "in brackets": ("[10/Oct/2000:20:55:36 +0000]", AT),
    "east of Greenwich, half an hour": ("11/Oct/2000:02:25:36 +0530", AT),
    "without a zone": ("10/Oct/2000:20:55:36", AT),
    "RFC 3339": ("2000-10-10T20:55:36Z", AT),
    "a fraction": ("2000-10-10T20:55:36.250Z", AT + 0.25),
    "nanoseconds": ("2000-10-10T20:55:36.500000001Z", AT + 0.5),
    "an offset": ("2000-10-10T13:55:36-07:00", AT),
    "an offset without a colon": ("2000-10-10 13:55:36 -0700", AT),
    "a comma": ("2000-10-10 20:55:36,250", AT + 0.25),
    "without seconds": ("2000-10-10T20:55Z", AT - 36),
    "seconds": ("971211336", AT),
    "seconds with a fraction": ("971211336.250", AT + 0.25),
    "a number": (971211336, AT),
    "milliseconds": (971211336250, AT + 0.25),
    "microseconds": (971211336250000, AT + 0.25),
    "nanoseconds since 1970": (971211336250000000, AT + 0.25),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_a_time_is_read(text: object, expected: float) -> None:
    assert AnyClock().at(text) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "yesterday", "40/Oct/2000:13:55:36 -0700", "10/Foo/2000:13:55:36 -0700", "10/Oct/2000:13:55:36 +99",
        "2000-13-10T20:55:36Z", "2000-10-10T25:55:36Z", "2000-10-10T20:55:nanZ", None, True, [], {}, -1, 0, 1e300,
        "inf", "nan", "1" * 5000, "2000-10-10", "Z",
    ],
)  # fmt: skip
def test_what_is_no_time_gives_none(text: object) -> None:
    assert AnyClock().at(text) is None


def test_a_remembered_minute_does_not_hide_a_broken_second() -> None:
    clock = IsoClock()
    assert clock.at("2000-10-10T20:55:36Z") == AT
    assert clock.at("2000-10-10T20:55:99Z") is None
    assert clock.at("2000-10-10T20:55:xxZ") is None
    assert clock.at("2000-10-10T20:55Z") == AT - 36


MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.lists(st.tuples(MOMENTS, ZONES), max_size=5))
def test_every_time_is_that_of_datetime(moments: list[tuple[datetime, timezone]]) -> None:
    clf, iso = ClfClock(), IsoClock()
    for moment, zone in moments:
        local = moment.replace(tzinfo=zone)
        stamp = local.strftime("%d/%b/%Y:%H:%M:%S").encode()
        assert clf.at(stamp, local.strftime("%z").encode()) == local.replace(microsecond=0).timestamp()
        assert iso.at(local.isoformat()) == pytest.approx(local.timestamp(), abs=1e-5)
        utc = local.astimezone(UTC).replace(tzinfo=None)
        assert iso.at(utc.isoformat(timespec="milliseconds") + "Z") == pytest.approx(local.timestamp(), abs=1e-2)
