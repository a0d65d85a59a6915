"""Answers of our own: problem details for programs, a page for browsers."""

import json

import pytest

from strangler.core.fault import Fault
from strangler.core.http.problem import BAD_TARGET, Problem, fill_page, page_of, problem_of, render, wants_page

GONE = problem_of(Fault.TIMEOUT)
CHROME = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (CHROME, True),
        (b"TEXT/HTML", True),
        (b"application/xhtml+xml", True),
        (b"text/html;q=0.5, application/json", False),
        (b"application/json;q=0.5, text/html", True),
        (b"application/json, text/html", False),
        (b"application/problem+json, text/html;q=0.9", False),
        (b"text/html;q=0", False),
        (b"*/*", False),
        (b"text/*", False),
        (b"", False),
        (None, False),
        (b"text/html;q=high", True),
    ],
)
def test_who_names_html_first_gets_a_page(accept: bytes | None, is_page: bool) -> None:
    assert wants_page(GONE, accept) is is_page


def test_only_what_a_visitor_may_meet_has_a_page() -> None:
    assert not wants_page(BAD_TARGET, CHROME)


def test_a_page_says_what_it_is_of_and_echoes_nothing_as_markup() -> None:
    page = fill_page("{{status}} {{ title }} {{request_id}} {{other}} {status}", GONE, "<script>'\"&")
    assert page == b"504 The upstream did not respond in time. &lt;script&gt;&#x27;&quot;&amp; {{other}} {status}"
    assert b"504" in fill_page(None, GONE, "x")


def test_a_page_is_sent_as_html() -> None:
    response = render(GONE, "x", b"now", close=True, bodyless=False, page=b"<p>sorry")
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"Content-Type: text/html; charset=utf-8\r\nContent-Length: 8\r\n" in head
    assert body == b"<p>sorry"


ENDED = Problem(410, "retired", "Gone.", page=page_of("Over", "<b>why</b>"), members=(("link", "https://a.example"),))
OFF = ENDED._replace(status=503)


def test_a_problem_may_have_a_page_of_its_own() -> None:
    assert wants_page(ENDED, CHROME)
    assert b"<h1>Over</h1>\n<p><b>why</b></p>" in fill_page(None, ENDED, "x")
    assert b"<small>410 \xc2\xb7 Gone." in fill_page(None, ENDED, "x")


def test_a_page_for_failures_is_for_no_other_status() -> None:
    assert b"<h1>Over</h1>" in fill_page("sorry", ENDED, "x")
    assert fill_page("sorry", OFF, "x") == b"sorry"


def test_details_may_have_further_members_and_the_head_further_lines() -> None:
    response = render(ENDED, "x", b"now", close=False, bodyless=False, more=b"Link: <https://a.example>\r\n")
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 410 Gone\r\n")
    assert head.endswith(b"\r\nDate: now\r\nLink: <https://a.example>")
    assert json.loads(body)["link"] == "https://a.example"
