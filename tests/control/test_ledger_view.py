"""The list of the ledger's page: what it shows, in which order, and how much."""

import pytest
from yarl import URL

from strangler.control.dashboard.ledger_view import (
    COLUMNS,
    MAX_ENDPOINTS,
    NO_ROUTE,
    NOBODY,
    Choice,
    Hit,
    choice_of,
    endpoint_url,
    hits_of,
    ledger_view,
    plain_name,
    rows_of,
    sort_rows,
)
from strangler.core.documents import LedgerCaller
from strangler.core.ledger_text import STATES, meaning_of, quiet_text
from tests.control.ledger_documents import caller, document, row

ROWS = (
    row("GET /orders/{}", state="splitting", route="orders", owner="ana", legacy=5, candidate=15, p95=(30.0, 12.0)),
    row(
        "POST /orders",
        route="orders",
        legacy=40,
        p95=(90.0, None),
        last_legacy="2027-02-03T10:00:00Z",
        callers=[caller("Firefox", 40, 40)],
    ),
    row("GET /reports/{}", state="deletable", owner="Łukasz", legacy=2, last_legacy="2026-11-03T10:00:00Z"),
    row("GET /wp-login.php", state="probed", probes=900),
    row("GET /internal/ping", state="legacy", legacy=9000, is_ignored=True),
)


def names(**query: str) -> list[str]:
    return [each.endpoint for each in ledger_view(document(*ROWS), choice_of(query), "30 days").rows]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, ["POST /orders", "GET /orders/{}", "GET /reports/{}"], id="most called first"),
        pytest.param({"state": "deletable"}, ["GET /reports/{}"], id="state"),
        pytest.param({"state": "probed"}, ["GET /wp-login.php"], id="a hidden state that is asked for"),
        pytest.param({"state": "legacy"}, ["POST /orders"], id="a state, without ignored ones"),
        pytest.param({"state": "none such"}, [], id="no state"),
        pytest.param({"route": "orders"}, ["POST /orders", "GET /orders/{}"], id="route"),
        pytest.param({"route": NO_ROUTE}, ["GET /reports/{}"], id="no route"),
        pytest.param({"owner": "Łukasz"}, ["GET /reports/{}"], id="owner"),
        pytest.param({"owner": NOBODY}, ["POST /orders"], id="nobody's"),
        pytest.param(
            {"hidden": "1", "route": NO_ROUTE},
            ["GET /internal/ping", "GET /reports/{}", "GET /wp-login.php"],
            id="hidden ones too",
        ),
        pytest.param({"route": "orders", "state": "legacy"}, ["POST /orders"], id="both"),
    ],
)
def test_rows_are_filtered(query: dict[str, str], expected: list[str]) -> None:
    assert names(**query) == expected


ORDERS = {
    "endpoint": ["POST /orders", "GET /orders/{}", "GET /reports/{}"],
    "state": ["POST /orders", "GET /orders/{}", "GET /reports/{}"],
    "route": ["GET /orders/{}", "POST /orders", "GET /reports/{}"],
    "owner": ["GET /orders/{}", "GET /reports/{}", "POST /orders"],
    "calls": ["POST /orders", "GET /orders/{}", "GET /reports/{}"],
    "legacy": ["POST /orders", "GET /orders/{}", "GET /reports/{}"],
    "candidate": ["GET /orders/{}", "GET /reports/{}", "POST /orders"],
    "p95_legacy": ["POST /orders", "GET /orders/{}", "GET /reports/{}"],
    "p95_candidate": ["GET /orders/{}", "GET /reports/{}", "POST /orders"],
    "last_seen": ["GET /orders/{}", "GET /reports/{}", "POST /orders"],
    "last_legacy": ["POST /orders", "GET /reports/{}", "GET /orders/{}"],
}
"""The endpoints in the order of each column."""


@pytest.mark.parametrize(("sort", "expected"), ORDERS.items())
def test_every_column_sorts(sort: str, expected: list[str]) -> None:
    assert names(sort=sort) == expected


def test_all_columns_are_sorted_by_above() -> None:
    assert list(ORDERS) == list(COLUMNS)


@pytest.mark.parametrize("sort", COLUMNS)
def test_the_order_can_be_turned_and_unknown_values_stay_last(sort: str) -> None:
    column = COLUMNS[sort]
    known = [column.key(each) for each in sort_rows(ROWS, Choice(sort=sort, is_turned=True))]
    there = [value for value in known if value is not None]
    assert known[: len(there)] == there, "those without a value come last"
    assert there == sorted(there, reverse=not column.is_descending)


def test_a_heading_sorts_by_its_column_and_turns_the_order_if_it_does_already() -> None:
    view = ledger_view(document(*ROWS), choice_of({"q": "ord", "sort": "state", "page": "1"}), "30 days")
    by_name = {column.name: column for column in view.columns}
    assert by_name["state"].sorted_by == "ascending"
    assert by_name["state"].url == "/ledger?q=ord&sort=state&turn=1"
    assert (by_name["owner"].sorted_by, by_name["owner"].url) == (None, "/ledger?q=ord&sort=owner")
    turned = ledger_view(document(*ROWS), choice_of({"sort": "state", "turn": "1"}), "30 days")
    assert {column.name: column for column in turned.columns}["state"].url == "/ledger?sort=state"


def test_a_page_has_so_many_rows_and_says_how_many_more() -> None:
    many = document(*(row(f"GET /r{number:04}", legacy=number) for number in range(750)))
    view = ledger_view(many, choice_of({}), "30 days")
    assert (len(view.rows), view.total, view.more) == (MAX_ENDPOINTS, 750, 450)
    assert view.pages == [(1, "/ledger"), (2, "/ledger?page=2"), (3, "/ledger?page=3")]
    third = ledger_view(many, choice_of({"page": "3"}), "30 days")
    assert (third.rows[0].endpoint, len(third.rows)) == ("GET /r0149", 150)
    assert ledger_view(many, choice_of({"page": "99"}), "30 days").choice.page == 3


@pytest.mark.parametrize(
    "query",
    [
        {"page": "x"},
        {"page": "0"},
        {"page": "²"},
        {"page": "-1"},
        {"sort": "__class__"},
        {"hidden": "yes"},
        {"turn": "x"},
    ],
)
def test_an_address_that_makes_no_sense_is_the_whole_list(query: dict[str, str]) -> None:
    assert choice_of(query) == Choice()


def test_an_address_leads_back_to_its_choice() -> None:
    choice = Choice('/a&b=c#d?"<é>', "cut_over", "orders", "ana & bo", True, "last_legacy", True, 7)
    query = choice.url.partition("?")[2]
    assert not set('<>"# ') & set(query)
    assert choice_of(URL(choice.url).query) == choice


def test_the_bar_is_as_wide_as_all_endpoints_but_the_probed_ones() -> None:
    view = ledger_view(document(*ROWS), Choice(), "30 days")
    assert [state.name for state in view.states] == list(STATES)
    by_name = {state.name: state for state in view.states}
    assert sum(state.width for state in view.states) == pytest.approx(100)
    assert by_name["splitting"].begin == pytest.approx(by_name["legacy"].width)
    assert (by_name["probed"].count, by_name["probed"].width) == (1, 0.0)
    assert by_name["deletable"].url == "/ledger?state=deletable"


def test_hidden_rows_that_match_are_counted() -> None:
    view = ledger_view(document(*ROWS), choice_of({}), "30 days")
    assert (view.hidden, view.all_url) == (2, "/ledger?hidden=1")
    assert ledger_view(document(*ROWS), choice_of({"hidden": "1"}), "30 days").all_url == "/ledger"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("/orders/{id}", "/orders/{}"),
        ("GET /orders/{orderId}/lines/{}", "GET /orders/{}/lines/{}"),
        ("/files/{...}", "/files/{...}"),
        ("app-{hash}.js", "app-{}.js"),
        ("{", "{"),
        ("", ""),
    ],
)
def test_a_named_parameter_is_searched_for_as_any(text: str, plain: str) -> None:
    assert plain_name(text) == plain


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_explained(state: str) -> None:
    text = meaning_of(state, "45 days")
    assert len(text) > 20
    assert "{" not in text
    assert state not in ("quiet", "deletable") or "45 days" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(30 * 86400, "30 days"), (86400, "1 day"), (36 * 3600, "1.5 days"), (7200, "2 hours"), (90, "90 seconds")],
)
def test_a_time_is_said_in_days(seconds: float, text: str) -> None:
    assert quiet_text(seconds) == text


def test_the_address_of_an_endpoint_holds_any_character() -> None:
    for name in ("GET /orders/{}", "GET /a b/ü?x=1&y=2#z", "POST /%2F/{}+%20", 'GET /"><script>'):
        assert URL(endpoint_url(name)).query["endpoint"] == name


def test_the_rows_of_a_route_come_with_the_hidden_ones_last() -> None:
    hidden = row("GET /orders/old", route="orders", legacy=9999, is_ignored=True)
    assert [each.endpoint for each in rows_of(document(*ROWS, hidden), "orders")] == [
        "POST /orders",
        "GET /orders/{}",
        "GET /orders/old",
    ]


def test_those_who_were_hit_are_summed_up_over_the_endpoints() -> None:
    rows = (
        row(
            "GET /a", callers=[caller("app/1", 9, refused=2, last_refused="2027-02-01T09:00:00Z"), caller("curl/8", 5)]
        ),
        row("GET /b", callers=[caller("app/1", 4, refused=3, last_refused="2027-02-01T08:00:00Z")]),
        row("GET /c", callers=[caller("bot", 9, refused=9, last_refused="2027-02-01T07:00:00Z")]),
    )
    assert hits_of(rows) == [
        Hit("bot", 9, "2027-02-01T07:00:00Z", ["GET /c"]),
        Hit("app/1", 5, "2027-02-01T09:00:00Z", ["GET /a", "GET /b"]),
    ]


def _hit(name: str, refused: int, at: str) -> LedgerCaller:
    return caller(name, 9, refused=refused, last_refused=at)
