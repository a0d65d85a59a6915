"""The same bytes through nginx, HAProxy, Envoy and ours, each with an upstream of its own that keeps what it gets.

What ours forwards although two of the three refuse it stands in a table of docs/security.md, with the reason.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest
import pytest_asyncio

from tests.http1 import proxies
from tests.http1.conftest import STANDARD
from tests.http1.corpus import CORPUS
from tests.http1.recorder import Forwarded, Recorder, play_all
from tests.http1.strict_reader import read_requests, read_responses
from tests.needs import require

pytestmark = pytest.mark.asyncio(loop_scope="session")

PEERS = ("nginx", "haproxy", "envoy")
DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
_ROW = re.compile(r"^\| `(?P<id>[^`]+)` \| (?P<why>[^|]+) \|$", re.MULTILINE)

_QUIET_S = 0.5
_LONGER_S = 2.0
"""For cases whose outcome was not the expected one: on a busy machine half a second may not be enough."""
_AT_ONCE = 40


@dataclass(frozen=True, slots=True)
class Outcome:
    """By proxy: the requests that reached its upstream whole; and what ours answered."""

    forwarded: dict[str, list[Forwarded]]
    responded: bytes

    @property
    def is_ours_alone(self) -> bool:
        """Two of the three forward less than ours does."""
        ours = len(self.forwarded["strangler"])
        return sum(len(self.forwarded[peer]) < ours for peer in PEERS) >= 2


Outcomes = dict[str, Outcome]


def justified() -> dict[str, str]:
    """Case id to reason, as docs/security.md says it."""
    section = DOCUMENT.read_text().partition("## Forwarded where others refuse")[2].partition("\n## ")[0]
    return {row["id"]: row["why"].strip() for row in _ROW.finditer(section)}


def require_peers() -> None:
    binaries = {"nginx": which("nginx"), "haproxy": which("haproxy"), "envoy": proxies.envoy_binary()}
    require(", ".join(name for name, binary in binaries.items() if binary is None))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outcomes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outcomes]:
    require_peers()
    async with contextlib.AsyncExitStack() as exits:
        recorders: dict[str, Recorder] = {}
        ports: dict[str, int] = {}
        for name in ("strangler", *PEERS):
            recorders[name] = await exits.enter_async_context(Recorder())
            port, folder = recorders[name].port, tmp_path_factory.mktemp(name)
            starts = {
                "strangler": lambda p, f: proxies.strangler(STANDARD.format(upstream=p), f),
                "nginx": proxies.nginx,
                "haproxy": proxies.haproxy,
                "envoy": proxies.envoy,
            }
            ports[name] = exits.enter_context(starts[name](port, folder)).port
        found = await _outcomes(range(len(CORPUS)), ports, recorders, 0, _QUIET_S)
        known = justified()
        doubtful = [n for n, case in enumerate(CORPUS) if found[case.id].is_ours_alone != (case.id in known)]
        yield found | await _outcomes(doubtful, ports, recorders, 5000, _LONGER_S)
        assert recorders["strangler"].unmarked() == []


async def _outcomes(
    numbers: range | list[int], ports: dict[str, int], recorders: dict[str, Recorder], first: int, quiet_s: float
) -> Outcomes:
    """Play these cases of the corpus at all proxies; `first` is added to their numbers."""
    cases = {first + number: CORPUS[number] for number in numbers}
    played = await asyncio.gather(*(play_all(cases, port, quiet_s, _AT_ONCE) for port in ports.values()))
    responded = dict(zip(ports, played, strict=True))["strangler"]
    return {
        case.id: Outcome({name: recorders[name].of(number) for name in ports}, responded[number])
        for number, case in cases.items()
    }


async def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len({case.id for case in CORPUS}) == len(CORPUS) >= 150


async def test_what_two_of_three_refuse_is_refused_or_justified_in_the_docs(outcomes: Outcomes) -> None:
    found = {name: _counts(outcome) for name, outcome in outcomes.items() if outcome.is_ours_alone}
    assert {name: counts for name, counts in found.items() if name not in justified()} == {}


async def test_each_row_of_the_docs_is_a_case_that_is_forwarded(outcomes: Outcomes) -> None:
    assert justified()
    assert [name for name in justified() if not outcomes[name].forwarded["strangler"]] == []


async def test_what_all_three_refuse_is_refused(outcomes: Outcomes) -> None:
    assert [
        name
        for name, outcome in outcomes.items()
        if outcome.forwarded["strangler"] and not any(outcome.forwarded[peer] for peer in PEERS)
    ] == []


async def test_what_is_forwarded_is_one_request_to_a_strict_reader(outcomes: Outcomes) -> None:
    for name, outcome in outcomes.items():
        for forwarded in outcome.forwarded["strangler"]:
            (request,) = read_requests(bytes(forwarded.raw))
            assert request.is_complete, name
            assert re.fullmatch(rb"[A-Z-]+ [\x21-\x7e\x80-\xff]+ HTTP/1\.1", request.start), name
            assert len(request.values(b"host")) == 1, name


async def test_each_request_that_went_on_has_its_answer(outcomes: Outcomes) -> None:
    for name, outcome in outcomes.items():
        responses = read_responses(outcome.responded, [], True)
        served = [response for response in responses if response.start == b"HTTP/1.1 200 OK"]
        assert len(served) == len(outcome.forwarded["strangler"]), name


def _counts(outcome: Outcome) -> dict[str, int]:
    return {name: len(requests) for name, requests in outcome.forwarded.items()}
