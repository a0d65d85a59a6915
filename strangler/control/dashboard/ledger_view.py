"""The values of the ledger's pages, made from its documents: filtered, sorted, and bounded."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from yarl import URL

from strangler.core.documents import LedgerDocument, LedgerRow
from strangler.core.ledger_text import STATES, meaning_of, state_title

MAX_ENDPOINTS = 300
"""The most endpoints on one page."""

MAX_OWNERS = 200
"""The most owners that a filter offers."""

MAX_HITS = 300
"""The most callers on the page of those that were refused."""

_NAMED = re.compile(r"\{[^{}.]*\}")

NOBODY = "(nobody)"
NO_ROUTE = "(none)"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table. `key`: what it is sorted by; None comes last in both directions."""

    title: str
    key: Callable[[LedgerRow], "str | float | None"]
    is_descending: bool = False
    """The largest come first, until the order is turned."""
    is_figure: bool = False


COLUMNS: Final[Mapping[str, Column]] = {
    "endpoint": Column("Endpoint", lambda row: f"{row.path} {row.method}"),
    "state": Column("State", lambda row: STATES.index(row.state) if row.state in STATES else len(STATES)),
    "route": Column("Route", lambda row: row.route),
    "owner": Column("Owner", lambda row: row.owner),
    "calls": Column("Calls", lambda row: row.calls.legacy + row.calls.candidate, is_descending=True, is_figure=True),
    "legacy": Column("Legacy", lambda row: row.calls.legacy, is_descending=True, is_figure=True),
    "candidate": Column("Candidate", lambda row: row.calls.candidate, is_descending=True, is_figure=True),
    "p95_legacy": Column("p95 legacy", lambda row: row.p95_ms.legacy, is_descending=True, is_figure=True),
    "p95_candidate": Column("p95 candidate", lambda row: row.p95_ms.candidate, is_descending=True, is_figure=True),
    "last_seen": Column("Last call", lambda row: row.last_seen, is_descending=True),
    "last_legacy": Column("Last at legacy", lambda row: row.last_legacy, is_descending=True),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """The endpoints that the address of the page asks for; empty texts match all."""

    text: str = ""
    state: str = ""
    route: str = ""
    owner: str = ""
    with_hidden: bool = False
    sort: str = "calls"
    is_turned: bool = False
    """The other direction than the column's own."""
    page: int = 1

    @property
    def url(self) -> str:
        """The address, without the prefix of a proxy in front."""
        query = {
            "q": self.text,
            "state": self.state,
            "route": self.route,
            "owner": self.owner,
            "hidden": "1" if self.with_hidden else "",
            "sort": "" if self.sort == "calls" else self.sort,
            "turn": "1" if self.is_turned else "",
            "page": str(self.page) if self.page > 1 else "",
        }
        return str(URL("/ledger").with_query({key: value for key, value in query.items() if value}))


def choice_of(query: Mapping[str, str]) -> Choice:
    """Return the choice of an address. What makes no sense is as if it were not there."""
    sort, page = query.get("sort", ""), query.get("page", "")
    return Choice(
        text=query.get("q", "").strip(),
        state=query.get("state", ""),
        route=query.get("route", ""),
        owner=query.get("owner", ""),
        with_hidden=query.get("hidden") == "1",
        sort=sort if sort in COLUMNS else "calls",
        is_turned=query.get("turn") == "1",
        page=max(1, int(page[:6])) if page.isascii() and page.isdigit() else 1,
    )


@dataclass(frozen=True, slots=True)
class StateView:
    """A state, with how many endpoints are in it, as part of a bar of 100 units."""

    name: str
    title: str
    meaning: str
    count: int
    begin: float
    width: float
    url: str


@dataclass(frozen=True, slots=True)
class ColumnView:
    """The heading of a column: a link that sorts by it, or turns the order. `sorted_by`: as in `aria-sort`."""

    name: str
    title: str
    url: str
    is_figure: bool
    sorted_by: str | None


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The page of the ledger."""

    document: LedgerDocument
    choice: Choice
    rows: Sequence[LedgerRow]
    total: int
    """The endpoints that match, on all pages."""
    hidden: int
    """The probed and ignored ones that match too, and are left out."""
    states: Sequence[StateView]
    columns: Sequence[ColumnView]
    pages: Sequence[tuple[int, str]]
    owners: list[str]
    all_url: str
    """The same with hidden endpoints, or without them."""

    @property
    def more(self) -> int:
        """How many match and are on other pages."""
        return self.total - len(self.rows)


def ledger_view(document: LedgerDocument, choice: Choice, quiet: str) -> LedgerView:
    """Return the page. `document`: all endpoints with the text of the choice, hidden ones too; `quiet`: the time until
    one is quiet, in words."""
    matching = [row for row in document.rows if _matches(row, choice)]
    visible = [row for row in matching if choice.with_hidden or not is_hidden(row, choice.state)]
    pages = max(1, -(-len(visible) // MAX_ENDPOINTS))
    choice = replace(choice, page=min(choice.page, pages))
    first = (choice.page - 1) * MAX_ENDPOINTS
    return LedgerView(
        document=document,
        choice=choice,
        rows=sort_rows(visible, choice)[first : first + MAX_ENDPOINTS],
        total=len(visible),
        hidden=len(matching) - len(visible),
        states=state_views(document.states, quiet, choice),
        columns=[_column_view(name, column, choice) for name, column in COLUMNS.items()],
        pages=[(number, replace(choice, page=number).url) for number in range(1, pages + 1)],
        owners=sorted({row.owner for row in document.rows if row.owner})[:MAX_OWNERS],
        all_url=replace(choice, with_hidden=not choice.with_hidden, page=1).url,
    )


def is_hidden(row: LedgerRow, state: str = "") -> bool:
    """Return whether an endpoint is left out of a list unless it is asked for. `state`: the one that is chosen."""
    return row.is_ignored or (row.state == "probed" and state != "probed")


def _matches(row: LedgerRow, choice: Choice) -> bool:
    return (
        choice.state in ("", row.state)
        and choice.route in ("", row.route or NO_ROUTE)
        and choice.owner in ("", row.owner or NOBODY)
    )


def plain_name(text: str) -> str:
    """Return a text to search for, in which `{id}` is `{}`."""
    return _NAMED.sub("{}", text)


def sort_rows(rows: Iterable[LedgerRow], choice: Choice) -> list[LedgerRow]:
    """Return the rows in the order of a column, those without a value last, and equal ones by endpoint."""
    column = COLUMNS[choice.sort]
    named = sorted(rows, key=lambda row: row.endpoint)
    known = [(value, row) for row in named if (value := column.key(row)) is not None]
    unknown = [row for row in named if column.key(row) is None]
    known.sort(key=lambda pair: pair[0], reverse=column.is_descending != choice.is_turned)
    return [*(row for _, row in known), *unknown]


def state_views(counts: Mapping[str, int], quiet: str, choice: Choice) -> list[StateView]:
    """Return all states, in the order of a migration, with their parts of a bar. Probed ones are no part of it."""
    total = sum(count for state, count in counts.items() if state != "probed")
    views, begin = [], 0.0
    for state in STATES:
        count = counts.get(state, 0)
        width = 100 * count / total if total and state != "probed" else 0.0
        url = Choice(state=state, sort=choice.sort, is_turned=choice.is_turned).url
        views.append(StateView(state, state_title(state), meaning_of(state, quiet), count, begin, width, url))
        begin += width
    return views


def _column_view(name: str, column: Column, choice: Choice) -> ColumnView:
    is_current = name == choice.sort
    is_descending = column.is_descending != choice.is_turned
    return ColumnView(
        name=name,
        title=column.title,
        url=replace(choice, sort=name, is_turned=is_current and not choice.is_turned, page=1).url,
        is_figure=column.is_figure,
        sorted_by=("descending" if is_descending else "ascending") if is_current else None,
    )


def endpoint_url(endpoint: str) -> str:
    """Return the address of an endpoint's page: `/ledger/endpoint?endpoint=GET+/orders/%7B%7D`."""
    return str(URL("/ledger/endpoint").with_query(endpoint=endpoint))


def rows_of(document: LedgerDocument, route: str) -> list[LedgerRow]:
    """Return the endpoints of a route, the most called first, hidden ones last."""
    rows = sort_rows((row for row in document.rows if row.route == route), Choice())
    return sorted(rows, key=is_hidden)


@dataclass(frozen=True, slots=True)
class Hit:
    """A caller of a route whose calls were refused."""

    caller: str
    refused: int
    last: str | None
    endpoints: Sequence[str]


def hits_of(rows: Iterable[LedgerRow]) -> list[Hit]:
    """Return the callers whose calls were refused, the most frequent first."""
    refused: dict[str, int] = defaultdict(int)
    last: dict[str, str] = {}
    endpoints: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for caller in row.callers:
            if caller.refused:
                refused[caller.name] += caller.refused
                endpoints[caller.name].append(row.endpoint)
                if caller.last_refused is not None:
                    last[caller.name] = max(caller.last_refused, last.get(caller.name, ""))
    hits = [Hit(name, count, last.get(name), endpoints[name]) for name, count in refused.items()]
    return sorted(hits, key=lambda hit: (-hit.refused, hit.caller))
