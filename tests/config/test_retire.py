"""`retire` of a route: its times, its link, and what `check` says of them."""

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest

from strangler.config.load import Loaded, parse
from strangler.config.moments import MOMENT_PATTERN, moment
from strangler.core.retire_settings import BrownoutSettings, RetireSettings

NOW = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
HEAD = """\
version: 1
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001"}
routes:
"""
SUNSET = int(datetime(2027, 3, 1, tzinfo=UTC).timestamp())


def load(retire: str, more: str = "candidate: orders", head: str = HEAD) -> Loaded:
    text = f"{head}  - {{name: orders, match: {{prefix: /api/orders}}, {more}{', ' if more else ''}retire: {retire}}}\n"
    return parse(text, "routes.yaml", {}, date(2027, 1, 1), now=NOW)


def messages(retire: str, more: str = "candidate: orders") -> list[str]:
    loaded = load(retire, more)
    return [str(problem).partition(": ")[2] for problem in (*loaded.problems, *loaded.warnings)]


def built(retire: str, more: str = "candidate: orders") -> RetireSettings:
    loaded = load(retire, more)
    assert (loaded.problems, loaded.warnings) == ((), ())
    assert loaded.settings is not None
    (route,) = loaded.settings.routes
    assert route.retire is not None
    return route.retire


MOMENTS = [
    ("2027-03-01", SUNSET),
    ("2027-03-01T00:00Z", SUNSET),
    ("2027-03-01T00:00:00z", SUNSET),
    ("2027-03-01 01:30+01:30", SUNSET),
    ("2027-02-28T19:00:05-05:00", SUNSET + 5),
    ("1970-01-01", 0),
    ("2028-02-29T12:00Z", 1835438400),
]


@pytest.mark.parametrize(("text", "at"), MOMENTS)
def test_a_date_or_a_time_with_its_zone_is_read(text: str, at: int) -> None:
    assert moment(text) == at
    assert re.search(MOMENT_PATTERN, text)


WRONG_MOMENTS = [
    ("soon", "write a date such as 2027-03-01, or a time with its zone such as 2027-03-01T09:00Z"),
    ("", "write a date such as"),
    ("01.03.2027", "write a date such as"),
    ("2027-3-1", "write a date such as"),
    ("20270301", "write a date such as"),
    ("2027-W09-1", "write a date such as"),
    ("2027-03-01T09", "write a date such as"),
    ("1772323200", "write a date such as"),
    ("٢٠٢٧-٠٣-٠١", "write a date such as"),
    ("2027-03-01T09:00", "its zone is missing: write 2027-03-01T09:00Z for UTC, or another one such as"),
    ("2027-03-01T09:00:00", "its zone is missing: write 2027-03-01T09:00:00Z"),
    ("2027-03-01T09:00:00.5Z", "write whole seconds"),
    ("2027-03-01T09:00 CET", "write its zone as Z for UTC"),
    ("2027-03-01T09:00+1", "write its zone as Z"),
    ("2027-03-01T09:00+25:00", "write its zone as Z"),
    ("2027-02-29", "there is no such day"),
    ("2027-13-01", "there is no such day"),
    ("2027-03-01T24:30Z", "there is no such day, or no such time"),
    ("2027-03-01T09:00:60Z", "there is no such day, or no such time"),
    ("0000-01-01", "there is no such day"),
    ("1969-12-31", "times begin at 1970-01-01"),
    ("0001-01-01T00:00+01:00", "times begin at 1970-01-01"),
    ("9999-12-31T23:59-23:59", "there is no such day"),
]


@pytest.mark.parametrize(("text", "way_out"), WRONG_MOMENTS)
def test_any_other_time_is_refused_with_the_way_out(text: str, way_out: str) -> None:
    with pytest.raises(ValueError, match=re.escape(way_out)):
        moment(text)


def test_all_keys_are_read() -> None:
    retire = built(
        "{sunset: 2027-03-01, since: 2026-12-01, link: 'https://example.com/x?y=1#end', status: 404,"
        " brownouts: [{from: 2027-02-01T09:00Z, to: 2027-02-01T11:00+01:00}]}"
    )
    begins = int(datetime(2027, 2, 1, 9, tzinfo=UTC).timestamp())
    since = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())
    link = "https://example.com/x?y=1#end"
    assert retire == RetireSettings(SUNSET, since, link, 404, (BrownoutSettings(begins, begins + 3600),))


def test_the_sunset_is_enough() -> None:
    assert built("{sunset: 2027-03-01}") == RetireSettings(SUNSET, None, None, 410, ())


def test_a_variable_may_name_the_link_or_leave_it_out() -> None:
    assert built("{sunset: 2027-03-01, link: '${LINK:-}'}").link is None


def test_a_route_that_only_ends_is_served_by_legacy() -> None:
    loaded = load("{sunset: 2027-03-01}", "")
    assert loaded.settings is not None
    (route,) = loaded.settings.routes
    assert (route.candidate, route.aggregate, route.split.percent, route.is_passthrough) == ("legacy", None, 0, False)


@pytest.mark.parametrize("more", ["passthrough: orders", "candidate: legacy"])
def test_any_route_may_end(more: str) -> None:
    loaded = load("{sunset: 2027-03-01}", more)
    assert loaded.settings is not None
    assert loaded.settings.routes[0].retire == RetireSettings(SUNSET, None, None, 410, ())


def test_defaults_of_a_migration_are_left_out_of_a_route_that_only_ends() -> None:
    loaded = load(
        "{sunset: 2027-03-01}", "", HEAD.replace("routes:", "defaults: {routes: {shadow: {percent: 5}}}\nroutes:")
    )
    assert loaded.problems == ()
    assert loaded.settings is not None
    assert loaded.settings.routes[0].shadow is None


PLACE = "route 'orders': "
ERRORS: list[Any] = [
    pytest.param("{}", "retire.sunset is missing; add `sunset: 2027-03-01`", id="no sunset"),
    pytest.param(
        "{sunset: 2027-03-01T09:00}",
        "retire.sunset is '2027-03-01T09:00'; its zone is missing: write 2027-03-01T09:00Z for UTC, or another one such"
        " as 2027-03-01T09:00+01:00",
        id="no zone",
    ),
    pytest.param(
        "{sunset: 2027-03-01, since: 2027-03-02}",
        "retire.since is '2027-03-02'; it is after the sunset; a route is deprecated first (RFC 9745 section 4)",
        id="since after the sunset",
    ),
    pytest.param("{sunset: 2027-03-01, status: 200}", "retire.status is 200; write 404, 410 or 501", id="status"),
    pytest.param(
        "{sunset: 2027-03-01, link: docs/ends}",
        "retire.link is 'docs/ends'; it must start with http:// or https://",
        id="link without a scheme",
    ),
    pytest.param(
        "{sunset: 2027-03-01, link: 'https://a.example/x>;rel=y'}",
        "retire.link is 'https://a.example/x>;rel=y'; a link has only the characters of a URL (RFC 3986);"
        " percent-encode others",
        id="link that would end early",
    ),
    pytest.param(
        "{sunset: 2027-03-01, brownouts: [{from: 2027-02-01T09:00Z, to: 2027-02-01T09:00Z}]}",
        "retire.brownouts[0].to is '2027-02-01T09:00Z'; it must be after from, 2027-02-01 09:00 UTC",
        id="an empty brownout",
    ),
    pytest.param(
        "{sunset: 2027-03-01, brownouts: [{from: 2027-02-01T09:00Z}]}",
        "retire.brownouts[0].to is missing; add `to: 2027-02-01T10:00Z`",
        id="a brownout without an end",
    ),
    pytest.param(
        "{sunset: 2027-03-01, brownout: []}", "unknown key 'retire.brownout'; did you mean 'brownouts'?", id="a slip"
    ),
]


@pytest.mark.parametrize(("retire", "message"), ERRORS)
def test_errors(retire: str, message: str) -> None:
    assert messages(retire) == [PLACE + message]
    assert load(retire).settings is None


WARNINGS: list[Any] = [
    pytest.param(
        "{sunset: 2026-12-31}",
        ["retire.sunset, 2026-12-31 00:00 UTC, is past; the route refuses every request with 410 now"],
        id="sunset past",
    ),
    pytest.param(
        "{sunset: 2027-03-01, brownouts: [{from: 2027-03-02, to: 2027-03-03}]}",
        ["retire.brownouts[0] begins after retire.sunset; it never takes place; take it out, or correct it"],
        id="brownout after the sunset",
    ),
    pytest.param(
        "{sunset: 2027-03-01, brownouts: [{from: 2027-02-28, to: 2027-03-02}]}",
        ["retire.brownouts[0] ends after retire.sunset; the route is retired before it is over"],
        id="brownout beyond the sunset",
    ),
    pytest.param(
        "{sunset: 2027-03-01, brownouts: [{from: 2026-11-01, to: 2026-11-02}]}",
        ["retire.brownouts[0] was over on 2026-11-02 00:00 UTC; it has no effect any more; take it out"],
        id="brownout past",
    ),
    pytest.param(
        "{sunset: 2027-03-01, brownouts: [{from: 2027-02-03, to: 2027-02-05}, {from: 2027-02-01, to: 2027-02-04}]}",
        ["retire.brownouts[0] overlaps retire.brownouts[1]; they count as one; write them as one"],
        id="overlap",
    ),
    pytest.param(
        "{sunset: 2027-03-01, brownouts: [{from: 2027-02-01, to: 2027-02-02}, {from: 2027-02-02, to: 2027-02-03}]}",
        [],
        id="brownouts that touch",
    ),
]


@pytest.mark.parametrize(("retire", "found"), WARNINGS)
def test_warnings(retire: str, found: list[str]) -> None:
    assert messages(retire) == [f"warning: {PLACE}{message}" for message in found]
    assert load(retire).settings is not None


def test_what_needs_an_arm_is_pointless_after_the_sunset() -> None:
    more = "candidate: orders, split: {percent: 5, sticky: ['cookie:sid']}, shadow: {percent: 1}"
    found = messages("{sunset: 2026-12-31}", more)
    assert [message for message in found if "no effect" in message] == [
        f"warning: {PLACE}{key} has no effect after retire.sunset; neither arm is asked any more; take it out"
        for key in ("split", "shadow")
    ]


def test_a_disabled_route_is_not_retired() -> None:
    (found,) = messages("{sunset: 2026-12-31}", "candidate: orders, enabled: false")
    assert found.endswith("without `enabled: false` the route would refuse every request with 410")


def test_a_wrong_end_is_no_misspelt_rewrite() -> None:
    (found,) = messages("{sunset: soon}", "")
    assert found.startswith(f"{PLACE}retire.sunset is 'soon'")


@pytest.mark.parametrize("key", ["split: {percent: 5}", "shadow: {percent: 5}", "rewrite: {prefix: /x}"])
def test_a_route_without_a_candidate_has_nothing_to_move(key: str) -> None:
    name = key.partition(":")[0]
    expected = f"{PLACE}{name} has no meaning with retire and no candidate; take it out, or name a candidate"
    assert expected in messages("{sunset: 2027-03-01}", key)
