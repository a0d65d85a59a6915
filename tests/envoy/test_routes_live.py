"""The real Envoy decides as our own engine does, or gives the request to legacy for one of a few reasons."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from strangler.core.routing.arm import LEGACY, Arm, Reason
from strangler.core.routing.plan import Plan
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import Settings
from strangler.envoy.path_guard import CLEAN, LONG, ODD_QUERY
from strangler.envoy.place import Switches
from tests import factories as f
from tests.envoy import odd_requests
from tests.envoy.exchanges import Response, exchange
from tests.envoy.odd_requests import Sent
from tests.envoy.running import run_settings

COUNT = 10_000


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of an engine about a request."""

    route: str
    arm: str
    reason: str


def settings() -> Settings:
    return f.settings(odd_requests.routes())


def ours(snapshot: Snapshot, sent: Sent) -> Plan:
    return snapshot.plan(sent.head, lambda: 0.5, killed_routes=frozenset({"killed", "passed"}))


def decision_of(plan: Plan) -> Decision:
    reason = Reason.PERCENT if plan.reason is Reason.CHANCE else plan.reason
    return Decision("" if plan.route is None else plan.route.name, plan.arm.value, reason.value)


def theirs(response: Response) -> Decision:
    fields = response.fields
    return Decision(fields.get("x-route", ""), fields.get("x-strangler-arm", ""), fields.get("x-reason", ""))


def target_of(sent: Sent) -> str:
    return sent.raw.split(b" ", 2)[1].decode("latin-1")


def origin_form(sent: Sent) -> str:
    return re.sub("^http://[^/?]*", "", target_of(sent)) or "/"


def is_refused_by_envoy(sent: Sent, plan: Plan, response: Response) -> bool:
    """400: bytes beyond ASCII, and a fragment."""
    return response.status == 400 and re.search("[^!-~]|#", target_of(sent)) is not None


def has_no_path(sent: Sent, plan: Plan, response: Response) -> bool:
    """404: `OPTIONS *`, and an absolute URL without a path but with a query."""
    return response.status == 404 and not origin_form(sent).startswith("/")


def is_guarded(sent: Sent, plan: Plan, response: Response) -> bool:
    """A path with another meaning to somebody, or with an encoding that it needs not, is legacy's."""
    path = origin_form(sent)
    is_clean = re.fullmatch(CLEAN, path) is not None and re.fullmatch(LONG, path) is None
    return theirs(response) == Decision("", LEGACY, Reason.AMBIGUOUS_PATH) and not is_clean


def has_odd_query(sent: Sent, plan: Plan, response: Response) -> bool:
    """A query with an encoded name or a bad encoding is legacy's where routes look at the query."""
    is_odd = re.fullmatch(ODD_QUERY, origin_form(sent)) is not None
    return theirs(response) == Decision("", LEGACY, Reason.AMBIGUOUS_PATH) and is_odd


def has_long_host(sent: Sent, plan: Plan, response: Response) -> bool:
    """A host of more than 255 bytes, with its port, has no route where wildcards have."""
    host = sent.head.fields.get(b"host", b"")
    return theirs(response) == Decision("", LEGACY, Reason.NO_ROUTE) and len(host) > 255


def is_by_chance(sent: Sent, plan: Plan, response: Response) -> bool:
    """Without a sticky key chance decides, here as there."""
    own, other = decision_of(plan), theirs(response)
    return plan.reason is Reason.CHANCE and (own.route, own.reason) == (other.route, other.reason)


def is_of_legacy_alone(sent: Sent, plan: Plan, response: Response) -> bool:
    """The candidate of a route is legacy, or an aggregate, which Envoy cannot join: legacy's arm serves it."""
    own, other = decision_of(plan), theirs(response)
    is_legacy = plan.route is not None and (plan.route.settings.candidate in (None, LEGACY))
    return is_legacy and other == Decision(own.route, LEGACY, own.reason)


DEVIATIONS: tuple[Callable[[Sent, Plan, Response], bool], ...] = (
    is_refused_by_envoy,
    has_no_path,
    is_guarded,
    has_odd_query,
    has_long_host,
    is_by_chance,
    is_of_legacy_alone,
)
"""All ways in which Envoy may decide otherwise."""


def deviation(sent: Sent, plan: Plan, response: Response) -> str:
    """Return how a decision of Envoy differs from ours: empty if it does not, `wrong` if it must not."""
    if response.status == 200 and plan.refusal is None and decision_of(plan) == theirs(response):
        return ""
    return next((each.__name__ for each in DEVIATIONS if each(sent, plan, response)), "wrong")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    switches = Switches(killed_routes=frozenset({"killed", "passed"}))
    with run_settings(settings(), tmp_path_factory.mktemp("envoy"), switches) as (_, found):
        yield found


@pytest.mark.parametrize("seed", [1])
def test_envoy_decides_as_we_do(port: int, seed: int) -> None:
    sent = list(odd_requests.requests(seed, COUNT))
    snapshot = Snapshot(settings(), 1)
    plans = [ours(snapshot, each) for each in sent]
    responses = exchange(port, [each.raw for each in sent])
    found = [deviation(*triple) for triple in zip(sent, plans, responses, strict=True)]
    wrong = [
        f"{each.raw[:300]!r}: ours {decision_of(plan)}, theirs {response.status} {theirs(response)}"
        for each, plan, response, kind in zip(sent, plans, responses, found, strict=True)
        if kind == "wrong"
    ]
    assert not wrong, f"{len(wrong)} of {COUNT}, the first:\n" + "\n".join(wrong[:10])
    counted = Counter(found)
    assert counted[""] > COUNT / 2
    assert set(counted) == {"", *(each.__name__ for each in DEVIATIONS)}, "a deviation that does not happen is none"


def test_no_request_of_legacy_gets_to_a_candidate(port: int) -> None:
    sent = list(odd_requests.requests(2, COUNT // 4))
    snapshot = Snapshot(settings(), 1)
    responses = exchange(port, [each.raw for each in sent])
    wrong = [
        each.raw[:300]
        for each, response in zip(sent, responses, strict=True)
        if theirs(response).arm == Arm.CANDIDATE
        and (plan := ours(snapshot, each)).arm is Arm.LEGACY
        and plan.reason is not Reason.CHANCE
    ]
    assert not wrong
