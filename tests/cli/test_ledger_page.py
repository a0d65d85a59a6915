"""The section of the ledger in the report."""

import re
from html import unescape
from typing import Any

import pytest

from strangler.cli._ledger_page import ledger_section
from strangler.cli._page import page
from strangler.core.documents import ReportDocument
from strangler.core.ledger_text import STATES
from tests.control.ledger_documents import caller, document, row

EVIL = "<script>alert(1)</script>"
ROWS = (
    row("POST /orders", route="orders", owner="ana", legacy=4000, candidate=12, last_legacy="2027-02-03T10:00:00.000Z"),
    row(
        "GET /reports/{}",
        state="deletable",
        legacy=2,
        last_legacy="2026-11-03T10:00:00.000Z",
        callers=[caller("nightly-job", 2, 2, "2026-11-03T10:00:00.000Z")],
    ),
)


def test_it_has_progress_states_and_endpoints_the_deletable_ones_first() -> None:
    text = ledger_section(
        document(*ROWS, share=0.2513, watched_since="2026-11-01T08:00:00.000Z", watched_s=86400.0 * 95, left_out=7)
    )
    assert "<b>25.13 %</b>" in text
    assert "since 2026-11-01 08:00 UTC, 95.0 days" in text
    assert "7 calls had no room" in text
    assert re.findall(r"<h3>(.*?)</h3>", text) == ["Deletable: 1", "Legacy: 1"]
    assert "nightly-job <span class=dim>2026-11-03 10:00</span>" in text
    counts = re.findall(r"<tr><td>([\w ]+)</td><td class=number>(\d+)</td>", text)
    assert dict(counts) == {state.replace("_", " "): "0" for state in STATES} | {"legacy": "1", "deletable": "1"}


def test_it_says_how_many_endpoints_it_leaves_out() -> None:
    found = document(*(row(f"GET /r{number}", legacy=number) for number in range(3)))
    found.states["legacy"] = 4321
    assert "<h3>Legacy: 4,321, the 3 most called</h3>" in ledger_section(found)


@pytest.mark.parametrize("where", ["endpoint", "owner", "route", "caller"])
def test_whatever_came_from_outside_is_text(where: str) -> None:
    evil = f"{EVIL}\x1b[2J\u202e" + "x" * 9000
    more: dict[str, Any] = {where: evil} if where in ("owner", "route") else {}
    callers = [caller(evil if where == "caller" else "curl/8", 1, 1)]
    text = ledger_section(document(row(f"GET /{evil if where == 'endpoint' else 'x'}", callers=callers, **more)))
    assert "<script>" not in text
    assert EVIL in unescape(text)
    assert not {"\x1b", "\u202e"} & set(text)
    assert len(text) < 4000


def test_without_a_ledger_the_report_has_no_such_section() -> None:
    assert ledger_section(None) == ""
    report = ReportDocument(at=0.0, routes=[], audit=[])
    assert "id=ledger" not in page(report, lambda route: [])
    report = ReportDocument(at=0.0, routes=[], audit=[], ledger=document(*ROWS))
    assert "id=ledger" in page(report, lambda route: [])
