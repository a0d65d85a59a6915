"""How single values are read."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.config import quantities, scalars, urls
from strangler.core.listener_settings import Address
from strangler.core.settings import StickySource, Url


def _duration(text: str) -> float:
    return quantities.duration(text, zero=True)


def _longer(text: str) -> float:
    return quantities.duration(text, zero=False)


_RIGHT: list[tuple[Callable[[str], object], str, object]] = [
    (_duration, "250ms", 0.25),
    (_duration, "2s", 2.0),
    (_duration, "1.5s", 1.5),
    (_duration, "5m", 300.0),
    (_duration, "24h", 86400.0),
    (_duration, "7d", 604800.0),
    (_duration, "0", 0.0),
    (_duration, "0s", 0.0),
    (quantities.size, "64KiB", 65536),
    (quantities.size, "1MB", 1_000_000),
    (quantities.size, "65_536", 65536),
    (quantities.size, "0", 0),
    (quantities.percent, "25", 25.0),
    (quantities.percent, "25%", 25.0),
    (quantities.percent, "25 %", 25.0),
    (quantities.percent, "0.01", 0.01),
    (quantities.percent, "12.50", 12.5),
    (quantities.percent, "100.00%", 100.0),
    (quantities.share, "99.9%", 0.999),
    (quantities.share, "0.5%", 0.005),
    (quantities.share, "1", 0.01),
    (quantities.share, "0", 0.0),
    (scalars.boolean, "yes", True),
    (scalars.boolean, "Off", False),
    (quantities.integer(0, 5000), "1_000", 1000),
    (quantities.integer(0, 5000), "0", 0),
    (quantities.tolerance, "0.010", "0.010"),
    (quantities.tolerance, "1e-6", "0.000001"),
    (quantities.relative_tolerance, "5e-3", "0.005"),
    (quantities.relative_tolerance, "1e0%", "0.01"),
    (quantities.decimal_number(0.01, 1000), "1.1e1", 11.0),
    (quantities.integer(1, 10_000), "1e3", 1000),
    (quantities.integer(1, 10_000), "1.5E+3", 1500),
    (quantities.size, "1e6", 1_000_000),
    (quantities.percent, "2.5e1", 25.0),
    (quantities.percent, "5e-1", 0.5),
    (quantities.share, "1e1", 0.1),
    (quantities.relative_tolerance, "1%", "0.01"),
    (quantities.relative_tolerance, "0.05", "0.05"),
    (quantities.tolerance, "1e-05", "0.00001"),
    (quantities.tolerance, "1E-9", "1E-9"),
    (quantities.tolerance, "2.5e+3", "2.5E+3"),
    (quantities.relative_tolerance, "1e-05", "0.00001"),
    (quantities.relative_tolerance, "5e-1 %", "0.005"),
    (quantities.decimal_number(0.01, 1000), "11e-1", 1.1),
    (quantities.decimal_number(0.01, 1000), "1.5E+00", 1.5),
    (scalars.rule_value, "", ""),
    (scalars.rule_value, "1e-05", "1e-05"),
    (scalars.day, "2027-01-31", "2027-01-31"),
    (scalars.method, "get", "GET"),
    (scalars.header_value, "1.10", "1.10"),
    (scalars.json_path, "$..items[*].price", "$..items[*].price"),
    (scalars.body_path, "$.total", "$.total"),
    (scalars.body_path, "/feed//entry/@id", "/feed//entry/@id"),
    (scalars.selector, " main > .price::text ", "main > .price::text"),
    (scalars.selector, "a::attr(href)", "a::attr(href)"),
    (scalars.redaction, "header:X-Tenant", "header:x-tenant"),
    (scalars.fault_or_status(scalars.UPSTREAM_FAULTS), "503", 503),
    (scalars.fault_or_status(scalars.UPSTREAM_FAULTS), "connect", "connect"),
    (urls.address, "127.0.0.1:8080", Address("127.0.0.1", 8080)),
    (urls.address, "[::1]:8080", Address("::1", 8080)),
    (urls.address, "LocalHost:0", Address("localhost", 0)),
    (urls.base_url, "http://a", Url("http", "a", 80, "")),
    (urls.base_url, "https://A.example/", Url("https", "a.example", 443, "")),
    (urls.base_url, "http://[::1]:81/x/", Url("http", "::1", 81, "/x")),
    (urls.network, "10.0.0.0/8", "10.0.0.0/8"),
    (urls.network, "::1", "::1"),
    (urls.sticky, "header:X-User-Id", StickySource("header", "x-user-id")),
    (urls.sticky, "cookie:Sid", StickySource("cookie", "Sid")),
    (urls.sticky, "client_ip", StickySource("client_ip", "")),
]

_WRONG: list[tuple[Callable[[str], object], str, str]] = [
    (_duration, "5", "a duration needs a unit; write 5s, 5ms or 5m"),
    (_duration, "12:30", "a clock time can be read in two ways"),
    (_duration, "-2s", "a duration cannot be negative"),
    (_duration, "2 weeks", "write a duration such as"),
    (_duration, "9999d", "at most a year"),
    (_longer, "0", "longer than 0"),
    (_longer, "0.0000001ms", "longer than 0"),
    (quantities.size, "64k", "write 64KiB"),
    (quantities.size, "64 mb", "write 64MiB"),
    (quantities.size, "-1", "write a size such as"),
    (quantities.size, "9999999GiB", "at most 1 PiB"),
    (quantities.percent, "120", "it must be 0 to 100"),
    (quantities.percent, "-1", "it must be 0 to 100"),
    (quantities.percent, "0.001", "two decimals at most"),
    (quantities.percent, "half", "write a percent such as"),
    (quantities.percent, "1e3", "it must be 0 to 100"),
    (quantities.percent, "1e-3", "it may have two decimals at most"),
    (quantities.integer(1, 9), "1e-1", "it must be a whole number from 1 to 9"),
    (quantities.integer(1, 9), "1e99", "it must be a whole number from 1 to 9"),
    (_duration, "1m30s", "write 90s"),
    (_duration, "1h30m", "write 90m"),
    (_duration, "1h 30 min", "write 90m"),
    (_duration, "1d12h", "write 36h"),
    (_duration, "7 days", "write 7d"),
    (_duration, "1 day", "write 1d"),
    (_duration, "30 seconds", "write 30s"),
    (_duration, "5min", "write 5m"),
    (_duration, "2 HOURS", "write 2h"),
    (_duration, "1.5 hrs", "write 1.5h"),
    (_duration, "250 ms", "write 250ms"),
    (_duration, "1s500ms", "write 1.5s"),
    (_duration, "1m and 3s", "write a duration such as"),
    (quantities.share, "0.5", "two ways; write 50% or 0.5%"),
    (quantities.share, "0.999", "two ways; write 99.9%"),
    (scalars.boolean, "1", "write true or false"),
    (quantities.integer(1, 5), "6", "a whole number from 1 to 5"),
    (quantities.integer(1, 5), "2.0", "a whole number from 1 to 5"),
    (quantities.integer(1, 100), "010", "a leading zero can be read in two ways"),
    (quantities.integer(1, 100), "١", "a whole number from 1 to 100"),
    (quantities.tolerance, "-1", "write a number such as 0.01"),
    (quantities.tolerance, "1e-9999", "write a number such as 0.01"),
    (quantities.tolerance, "e5", "write a number such as 0.01"),
    (quantities.tolerance, ".inf", "write a number such as 0.01"),
    (quantities.relative_tolerance, "1e-999%", "write a share such as 0.01 or 1%"),
    (quantities.relative_tolerance, "1e5e5", "write a share such as 0.01 or 1%"),
    (quantities.decimal_number(0.01, 1000), "1e9", "it must be a number from 0.01 to 1000"),
    (quantities.decimal_number(0.01, 1000), "1e-05", "it must be a number from 0.01 to 1000"),
    (scalars.rule_value, "a\nb", "write them as JSON does"),
    (scalars.day, "2027-02-30", "write a date as year-month-day"),
    (scalars.day, "20270131", "write a date as year-month-day"),
    (scalars.method, "GTE", "did you mean 'GET'?"),
    (scalars.method, "CONNECT", "405"),
    (scalars.header_name, "X User", "a header's name has"),
    (scalars.header_value, "a\r\nX: b", "line ends"),
    (scalars.header_value, "é", "ASCII"),
    (scalars.header_value, " a", "no space around it"),
    (scalars.json_path, "$.x[0]", "array indices are folded, so write [*]"),
    (scalars.json_path, "items", "must start with $"),
    (scalars.body_path, "/feed/a:entry", "write local names without prefix"),
    (scalars.body_path, "feed/entry", "a path into XML such as /feed/title"),
    (scalars.selector, "main >", "write one such as main > .price"),
    (scalars.selector, "p::before", "only ::text and ::attr(name), at the end, are supported"),
    (scalars.selector, "a, b::text", "write one rule for each selector"),
    (scalars.redaction, "email", "write a JSON path such as $..email"),
    (scalars.fault_or_status(scalars.UPSTREAM_FAULTS), "5xx", "each status by itself"),
    (scalars.fault_or_status(scalars.UPSTREAM_FAULTS), "open", "write connect, reset, timeout, bad_response"),
    (scalars.fault_or_status(scalars.UPSTREAM_FAULTS), "200", "a status from 400 to 599"),
    (scalars.fault_or_status(scalars.UPSTREAM_FAULTS), "conect", "did you mean 'connect'?"),
    (urls.address, "8080", "write host:port"),
    (urls.address, ":8080", "write 0.0.0.0:8080 for all addresses"),
    (urls.address, "::1:8080", "in brackets"),
    (urls.address, "1.2.3:80", "not an IPv4 address"),
    (urls.address, "[::g]:80", "not an IPv6 address"),
    (urls.address, "a:99999", "0 to 65535"),
    (urls.base_url, "ftp://a", "http:// or https://"),
    (urls.base_url, "127.0.0.1:8000", "http:// or https://"),
    (urls.base_url, "http://", "no host"),
    (urls.base_url, "http://a:0", "1 to 65535"),
    (urls.base_url, "http://a:99999", "1 to 65535"),
    (urls.base_url, "http://a:", "1 to 65535"),
    (urls.base_url, "http://a?x=1", "cannot have a query"),
    (urls.base_url, "http://a#x", "no fragment"),
    (urls.base_url, "http://u:p@a", "user and password"),
    (urls.base_url, "http://1.2.3.400", "not an IPv4 address"),
    (urls.base_url, "http://a b", "visible ASCII"),
    (urls.base_url, "http://[::1", "not valid"),
    (urls.network, "10.0.0.1/8", "write 10.0.0.0/8"),
    (urls.network, "proxy.internal", "write an address or a network"),
    (urls.sticky, "cooki:sid", "did you mean 'cookie'?"),
    (urls.sticky, "header:", "such as header:X-User-Id"),
]


@pytest.mark.parametrize(("read", "text", "value"), _RIGHT, ids=[f"{text}" for _, text, _ in _RIGHT])
def test_what_a_person_writes_is_read_as_meant(read: Callable[[str], object], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(("read", "text", "way_out"), _WRONG, ids=[f"{text!a}" for _, text, _ in _WRONG])
def test_what_cannot_be_meant_is_refused_with_the_way_out(
    read: Callable[[str], object], text: str, way_out: str
) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  (the text is looked at below)
        read(text)
    assert way_out in str(refused.value)


@given(st.integers(0, 10**9))
def test_a_duration_is_written_as_it_is_read(milliseconds: int) -> None:
    assert round(_duration(quantities.duration_text(milliseconds / 1000)) * 1000) == milliseconds


@given(st.integers(0, 1 << 40))
def test_a_size_is_written_as_it_is_read(size: int) -> None:
    assert quantities.size(quantities.size_text(size)) == size


@given(st.integers(0, 10_000))
def test_every_hundredth_of_a_percent_can_be_written(hundredths: int) -> None:
    text = f"{hundredths / 100:g}"
    assert round(quantities.percent(text) * 100) == hundredths
