"""The counts of a fleet, as all of its nodes say them, beside those of its load."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.fleet import Fleet, has_no_note, has_other_price, until
from tests.e2e.fleet_load import Acknowledged

APART_S = 1.0
"""The time between two readings that must be the same: nodes write more often."""
ENDPOINTS = {"orders": "GET /api/orders/{}", "baskets": "GET /api/baskets/{}", "": "GET /pages/home"}


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of all nodes together, or of what they were sent.

    pairs: comparisons in the evidence. dropped: shadows that were not compared, as the metrics have them. findings: by
    the place of the difference. ledger: by endpoint and arm. looked: requests that the rollout's look has.
    """

    pairs: int = 0
    dropped: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    ledger: Counter[tuple[str, str]] = field(default_factory=Counter)
    looked: int = 0

    @property
    def sampled(self) -> int:
        return self.pairs + self.dropped


def sent(requests: list[Acknowledged]) -> Counts:
    """Return the counts that a fleet has of requests, when none of their shadows was dropped."""
    shadowed = [each for each in requests if each.route == "orders"]
    return Counts(
        pairs=len(shadowed),
        findings=Counter(
            {
                "$.price": sum(has_other_price(each.number) for each in shadowed),
                "$.note": sum(has_no_note(each.number) for each in shadowed),
            }
        ),
        ledger=Counter((_endpoint(each), each.arm) for each in requests),
        looked=len([each for each in requests if each.route == "baskets"]),
    )


def _endpoint(request: Acknowledged) -> str:
    return ENDPOINTS[request.route]


async def counted(on: Fleet) -> Counts:
    """Return the counts of the fleet, once all nodes say the same."""
    pairs = await on.agreed("/api/routes/orders/readiness", _pairs)
    findings = await on.agreed("/api/diffs", _findings)
    ledger = await on.agreed("/api/ledger", _ledger)
    looked = await on.agreed("/api/rollouts/baskets", _looked)
    dropped = await on.metric("strangler_shadow_dropped_total", route="orders")
    return Counts(pairs, int(dropped), findings, ledger, looked)


def _pairs(verdict: Mapping[str, Any]) -> int:
    return sum([verdict["pairs"], *verdict["not_comparable"].values()])


def _findings(inbox: Mapping[str, Any]) -> Counter[str]:
    found = Counter[str]()
    for row in inbox["signatures"]:
        if row["path"] in ("$.price", "$.note"):  # at several endpoints until the leader has given all one name
            found[row["path"]] += row["count"]
    return found


def _ledger(document: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    calls = {row["endpoint"]: row["calls"] for row in document["rows"]}
    return +Counter({(name, arm): of[arm] for name, of in calls.items() for arm in ("legacy", "candidate")})


def _looked(rollout: Mapping[str, Any]) -> int:
    look = rollout["looks"][-1] if rollout["looks"] else None
    return 0 if look is None else int(look["legacy"]["requests"] + look["candidate"]["requests"])


@dataclass(frozen=True, slots=True)
class Account:
    """The counts of a fleet at a moment without load, from which those of a test begin."""

    on: Fleet
    before: Counts
    acknowledged: int

    @property
    def requests(self) -> list[Acknowledged]:
        """The requests since then."""
        return self.on.load.acknowledged[self.acknowledged :]

    async def since(self) -> Counts:
        """Return what the fleet has counted since then."""
        now = await counted(self.on)
        return Counts(
            now.pairs - self.before.pairs,
            now.dropped - self.before.dropped,
            _less(now.findings, self.before.findings),
            _less(now.ledger, self.before.ledger),
            now.looked - self.before.looked,
        )

    async def balances(self) -> None:
        """Wait until the fleet has counted each request since then, and each once."""
        expected, found = sent(self.requests), Counts()

        async def is_counted() -> bool:
            nonlocal found
            found = await self.since()
            _assert_nothing_twice(found, expected)
            return (found.sampled, found.ledger, found.looked) == (
                expected.pairs,
                expected.ledger,
                expected.looked,
            ) and (found.dropped > 0 or found.findings == expected.findings)

        try:
            await until(is_counted)
        except AssertionError as error:
            raise AssertionError(f"{error}\nthe fleet has {found}\nit was sent {expected}") from None

    async def lacks_at_most(self, requests: int) -> None:
        """Wait until all but so many requests since then are counted, and none twice; in the ledger all of them."""
        expected, found = sent(self.requests), Counts()

        async def is_counted() -> bool:
            nonlocal found
            found = await self.since()
            _assert_nothing_twice(found, expected)
            lacks = max(expected.pairs - found.sampled, expected.looked - found.looked)
            return lacks <= requests and found.ledger == expected.ledger

        try:
            await until(is_counted)
        except AssertionError as error:
            raise AssertionError(f"{error}\nthe fleet has {found}\nit was sent {expected}") from None


def _assert_nothing_twice(found: Counts, expected: Counts) -> None:
    assert found.sampled <= expected.pairs, (found, expected)
    assert found.looked <= expected.looked, (found, expected)
    assert all(number <= expected.ledger[key] for key, number in found.ledger.items()), (found.ledger, expected.ledger)
    assert all(number <= expected.findings[key] for key, number in found.findings.items()), (found, expected)


def _less(now: Counter[Any], before: Counter[Any]) -> Counter[Any]:
    return +Counter({key: now[key] - before[key] for key in now})


async def begin(on: Fleet) -> Account:
    """Open an account once nothing is under way any more: two readings are the same."""
    last = Counts(pairs=-1)

    async def is_quiet() -> Counts | None:
        nonlocal last
        await asyncio.sleep(APART_S)
        before, last = last, await counted(on)
        return last if before == last else None

    found = await until(is_quiet, "the counts stand still")
    return Account(on, found, len(on.load.acknowledged))
