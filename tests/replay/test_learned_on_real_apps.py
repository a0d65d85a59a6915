"""Learned values on real applications: a Django shop with sign-in and CSRF protection, and an OAuth token service.

Each visit is made at one instance, recorded, and its requests are sent to another one with other keys, ids and tokens.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from strangler.core.compare.model.values import Response
from strangler.core.replaying.substitute import Substituted
from strangler.recordings.recorded import RecordedPair
from tests.replay.django_apps import CLIENT, CLIENT_SECRET, PASSWORD, django_shop, token_service
from tests.replay.replayed_visits import given_by, imported, recorded, replayed, response_of, written_gor
from tests.replay.visitor import Exchange, Visitor
from tests.replay.visits import (
    AUTHORIZATION_STATUSES,
    SHOP_STATUSES,
    TOKEN_STATUSES,
    authorization_visit,
    grant,
    shop_visit,
    sign_in,
    token_visit,
)

Done = list[tuple[Substituted, Response]]


class Ports(NamedTuple):
    """The instance that is recorded, the one that its requests are sent to, and one with a fault."""

    recorded: int
    replayed: int
    faulty: int


class Case(NamedTuple):
    """A visit, the application that it is made at, its statuses, and what is handed in where secrets are redacted."""

    visit: Callable[[int], Visitor]
    application: str
    statuses: list[int]
    secrets: dict[str, str]


_BASIC = b64encode(f"{CLIENT}-authorization-code:{CLIENT_SECRET}".encode()).decode()
CASES = [
    Case(shop_visit, "shops", SHOP_STATUSES, {"body:password": PASSWORD}),
    Case(token_visit, "services", TOKEN_STATUSES, {"body:password": PASSWORD, "body:client_secret": CLIENT_SECRET}),
    Case(
        authorization_visit,
        "services",
        AUTHORIZATION_STATUSES,
        {"body:password": PASSWORD, "header:authorization": f"Basic {_BASIC}"},
    ),
]
every_visit = pytest.mark.parametrize("case", CASES, ids=lambda case: case.visit.__name__)


@pytest.fixture(scope="module")
def applications(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ports]]:
    """Instances of both applications; the shops have 3, 21 and 14 orders of somebody else before."""
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(f"application{number}") for number in range(5)]
        shop = stack.enter_context(django_shop(folders[0], others=3))
        candidate = stack.enter_context(django_shop(folders[1], others=21))
        faulty = stack.enter_context(django_shop(folders[2], others=14, fault="total"))
        first, second = (stack.enter_context(token_service(folder)) for folder in folders[3:])
        yield {"shops": Ports(shop, candidate, faulty), "services": Ports(first, second, second)}


def _visit(case: Case, applications: dict[str, Ports]) -> list[Exchange]:
    visit = case.visit(applications[case.application].recorded).recording
    assert [response.status for _, response in visit] == case.statuses
    return visit


def _pairs(form: str, visit: list[Exchange], folder: Path, *, redacts: bool) -> list[RecordedPair]:
    """Return the pairs of a visit, recorded by the project's own writer, or imported from GoReplay's form."""
    if form == "recording":
        return recorded(folder / "visit.rec", visit, redacts=redacts)
    options = () if redacts else ("--no-redact",)
    return imported(written_gor(folder / "visit.gor", visit), folder / "imported.rec", *options)


def _statuses(done: Done) -> list[int]:
    return [response.status for _, response in done]


def _left_out(done: Done) -> set[str]:
    return {place for filled, _ in done for place in filled.left_out}


@every_visit
@pytest.mark.parametrize("form", ["recording", "gor"])
def test_a_visit_with_its_secrets_is_replayed(
    case: Case, form: str, applications: dict[str, Ports], tmp_path: Path
) -> None:
    visit = _visit(case, applications)
    pairs = _pairs(form, visit, tmp_path, redacts=False)
    done = replayed(pairs, applications[case.application].replayed)
    assert _statuses(done) == case.statuses
    assert not _left_out(done)


@every_visit
@pytest.mark.parametrize("form", ["recording", "gor"])
def test_a_redacted_visit_is_replayed_with_its_first_secrets_handed_in(
    case: Case, form: str, applications: dict[str, Ports], tmp_path: Path
) -> None:
    """Passwords come from no response. All other secrets are the other instance's own, and are learned."""
    visit = _visit(case, applications)
    pairs = _pairs(form, visit, tmp_path, redacts=True)
    done = replayed(pairs, applications[case.application].replayed, given_by({"*": case.secrets}))
    assert _statuses(done) == case.statuses
    assert not _left_out(done)


@every_visit
def test_a_redacted_visit_names_the_secrets_that_are_missing(
    case: Case, applications: dict[str, Ports], tmp_path: Path
) -> None:
    pairs = recorded(tmp_path / "visit.rec", _visit(case, applications), redacts=True)
    done = replayed(pairs, applications[case.application].replayed)
    assert _statuses(done) != case.statuses
    assert _left_out(done) >= case.secrets.keys()


@every_visit
@pytest.mark.parametrize("redacts", [False, True])
def test_without_learning_a_visit_fails(
    case: Case, redacts: bool, applications: dict[str, Ports], tmp_path: Path
) -> None:
    pairs = recorded(tmp_path / "visit.rec", _visit(case, applications), redacts=redacts)
    done = replayed(pairs, applications[case.application].replayed, given_by({"*": case.secrets}), learns=False)
    failed = [status for status, expected in zip(_statuses(done), case.statuses, strict=True) if status != expected]
    assert len(failed) > len(case.statuses) / 4


def test_the_orders_are_those_of_the_other_shop(applications: dict[str, Ports], tmp_path: Path) -> None:
    ports = applications["shops"]
    visit = shop_visit(ports.recorded).recording
    done = replayed(recorded(tmp_path / "visit.rec", visit, redacts=False), ports.replayed)
    at = next(number for number, (request, _) in enumerate(visit) if request.target == b"/api/orders/merge")
    sides = [json.loads(request.body)["orders"] for request in (visit[at].request, done[at][0].request)]
    assert set(sides[0]).isdisjoint(sides[1])
    assert json.loads(done[at][1].body)["id"] == sides[1][0]
    assert json.loads(done[at][1].body)["total_cents"] == json.loads(visit[at].response.body)["total_cents"]


def test_a_wrong_total_is_the_difference_that_is_left(applications: dict[str, Ports], tmp_path: Path) -> None:
    ports = applications["shops"]
    visit = shop_visit(ports.recorded).recording
    pairs = recorded(tmp_path / "visit.rec", visit, redacts=True)
    secrets = given_by({"*": {"body:password": PASSWORD}})
    right, wrong = (replayed(pairs, port, secrets) for port in (ports.replayed, ports.faulty))
    assert _statuses(wrong) == SHOP_STATUSES
    expected = _totals([response_of(pair) for pair in pairs])
    assert expected[:2] == [[4698], [4698]]
    assert _totals([response for _, response in right])[:4] == expected[:4]
    assert _totals([response for _, response in wrong])[:2] == [[2349], [2349]]


def _totals(responses: list[Response]) -> list[list[int]]:
    """Return the totals of each response that has any."""
    found = [re.findall(rb'(?:total_cents": |id="total">)(\d+)', response.body) for response in responses]
    return [[int(total) for total in totals] for totals in found if totals]


def test_a_session_is_handed_in_as_cookies(applications: dict[str, Ports], tmp_path: Path) -> None:
    """The recording begins after the sign-in: no response has its cookies, but its pages have their tokens."""
    visit = shop_visit(applications["shops"].recorded).recording[5:]
    pairs = recorded(tmp_path / "visit.rec", visit, redacts=True)
    port = applications["shops"].replayed
    visitor = sign_in(port)
    cookies = "; ".join(f"{name}={visitor.cookie(name)}" for name in ("sessionid", "csrftoken"))
    done = replayed(pairs, port, given_by({pairs[0].caller: {"Cookie": cookies}}))
    assert _statuses(done) == SHOP_STATUSES[5:]
    assert not _left_out(done)
    assert _statuses(replayed(pairs, port)) != SHOP_STATUSES[5:]


def test_a_token_is_handed_in_as_a_field(applications: dict[str, Ports], tmp_path: Path) -> None:
    """The recording begins after the grant, and ends before the token is refreshed."""
    visit = token_visit(applications["services"].recorded).recording[1:7]
    pairs = recorded(tmp_path / "visit.rec", visit, redacts=True)
    port = applications["services"].replayed
    tokens = grant(Visitor(port))
    done = replayed(pairs, port, given_by({"*": {"Authorization": f"Bearer {tokens['access_token']}"}}))
    assert _statuses(done) == TOKEN_STATUSES[1:7]
    assert _statuses(replayed(pairs, port)) != TOKEN_STATUSES[1:7]
