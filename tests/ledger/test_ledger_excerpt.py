"""The excerpt of the ledger in the report: bounded, and about who still calls legacy."""

from strangler.ledger.ledger_excerpt import MAX_CALLERS, MAX_OF_STATE, excerpt
from tests.control.ledger_documents import caller, document, row


def test_each_state_has_its_most_called_endpoints() -> None:
    rows = [row(f"GET /r{number:03}", legacy=number) for number in range(MAX_OF_STATE + 50)]
    rows += [row("GET /gone", state="deletable")]
    found = excerpt(document(*rows))
    assert len(found.rows) == MAX_OF_STATE + 1
    assert (found.rows[0].endpoint, found.rows[-1].endpoint) == ("GET /r149", "GET /gone")
    assert found.states == {"legacy": MAX_OF_STATE + 50, "deletable": 1}, "all of them are counted"


def test_callers_are_those_that_legacy_served_last() -> None:
    days = [f"2027-02-{day:02}T00:00:00.000Z" for day in range(1, 9)]
    callers = [caller("modern", 900), *(caller(f"app{number}", 1, 1, at) for number, at in enumerate(days))]
    (found,) = excerpt(document(row("GET /x", legacy=8, candidate=900, callers=callers))).rows
    assert [each.name for each in found.callers] == ["app7", "app6", "app5", "app4", "app3"]
    assert len(found.callers) == MAX_CALLERS
