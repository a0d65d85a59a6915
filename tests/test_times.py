"""Times in UTC, written in one way."""

import re
import time
from datetime import UTC, datetime

import pytest

from strangler.times import rfc3339, utc_day, utc_now


@pytest.mark.parametrize(
    ("at", "text"),
    [
        pytest.param(0.0, "1970-01-01T00:00:00.000Z", id="whole seconds have milliseconds as well"),
        pytest.param(1_795_435_200.125, "2026-11-23T12:00:00.125Z", id="milliseconds"),
        pytest.param(1_795_435_200.9999, "2026-11-23T12:00:00.999Z", id="less than a millisecond is cut off"),
    ],
)
def test_a_time_is_written_to_the_millisecond(at: float, text: str) -> None:
    assert rfc3339(at) == text


def test_the_present_is_written_in_the_same_way() -> None:
    before, text, after = time.time(), utc_now(), time.time()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert rfc3339(before) <= text <= rfc3339(after)


def test_today_is_the_day_in_utc() -> None:
    before = datetime.now(UTC).date()
    assert before <= utc_day() <= datetime.now(UTC).date()
