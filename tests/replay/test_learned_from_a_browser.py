"""A visit of a real browser, exported by its developer tools, replayed on another shop."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.browsing import chromium
from tests.replay.browser_visit import BrowserVisit
from tests.replay.django_apps import PASSWORD, django_shop
from tests.replay.replayed_visits import given_by, imported, message_of, replayed

Recorded = tuple[Path, int]


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """The HAR of a visit, and the port of another shop."""
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(f"shop{number}") for number in range(2)]
        first, second = (
            stack.enter_context(django_shop(folder, others=others))
            for folder, others in zip(folders, (3, 21), strict=True)
        )
        with chromium("--remote-allow-origins=*") as browser:
            made = BrowserVisit(browser, first)
            made.make()
            har = made.write(folders[0] / "visit.har")
        yield har, second


@pytest.mark.parametrize("redacts", [False, True])
def test_a_visit_of_a_browser_is_replayed(redacts: bool, visit: Recorded, tmp_path: Path) -> None:
    har, port = visit
    pairs = imported(har, tmp_path / "visit.rec", *([] if redacts else ["--no-redact"]))
    statuses = [pair.response.status for pair in pairs if pair.response is not None]
    assert [status for status in statuses if status != 404] == [
        *(200, 302, 200),  # the front page, a thing into the basket
        *(302, 200, 302, 200),  # the orders, after the sign-in
        *(302, 200, 302, 200),  # an order, paid
        *(201, 200, 302, 200),  # an order by script, the sign-out
    ]
    done = replayed(pairs, port, given_by({"*": {"body:password": PASSWORD}}))
    assert [response.status for _, response in done] == statuses
    (at,) = (number for number, pair in enumerate(pairs) if pair.request.method == "PATCH")
    sides = message_of(pairs[at]), done[at][0].request
    assert sides[0].target != sides[1].target
    assert json.loads(sides[0].body)["lines"][0]["id"] != json.loads(sides[1].body)["lines"][0]["id"]
    without = replayed(pairs, port, given_by({"*": {"body:password": PASSWORD}}), learns=False)
    assert [response.status for _, response in without] != statuses
