"""A scripted month: an endpoint of a shop from its first call to its end, with the time as an argument."""

from strangler.core.ledger.counts import compacted, p95_ms
from strangler.core.ledger.first_template import FirstTemplateMemo
from strangler.core.ledger.rows import CallSum, LedgerRowsState
from strangler.core.ledger.states import Placement, State, WatchState, deletable_at, state_of
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.ipc.metrics import BOUNDS_S

DAY = 86_400.0
BEGIN = 20_000 * DAY
QUIET = 10 * DAY
ENDPOINT = "GET /orders/{}"


class Shop:
    """A shop of the demo behind the proxy, hour by hour."""

    def __init__(self) -> None:
        self.memo = FirstTemplateMemo()
        self.tree = TemplateTreeState()
        self.ledger = LedgerRowsState()
        self.watch = WatchState()
        self.placement = Placement()
        self.now = BEGIN

    def call(self, path: str, status: int = 200, candidate: bool = False, caller: str = "Firefox") -> None:
        """A worker counts by the first template, and control by its tree."""
        first = self.memo.template_of(path.encode())
        template = self.tree.learn_first(first, 1, is_probe=status == 404)
        buckets = (0, 0, 1) + (0,) * 12 if candidate else (0,) * 5 + (1,) + (0,) * 9
        self.ledger.record(
            "GET",
            template,
            CallSum(self.now, "candidate" if candidate else "legacy", status, caller, 1, buckets),
            QUIET,
            path,
        )

    def day(self, candidate_calls: int = 0, legacy_calls: int = 0, down: bool = False) -> State:
        """One day: calls in its hours, a scanner that never rests, and the state at its end."""
        for hour in range(24):
            self.now += 3600
            if down:
                continue
            self.watch.add(self.now - 3600, self.now)
            for at in range(candidate_calls + legacy_calls):
                self.call(f"/orders/{int(self.now) % 9973}", candidate=at < candidate_calls)
            if hour % 6 == 0:
                self.call("/phpmyadmin/index.php", 404, caller="zgrab")
        return self.state(ENDPOINT)

    def state(self, endpoint: str) -> State:
        activity = self.ledger.rows[endpoint].activity
        return state_of(self.placement, activity, self.watch, self.now, QUIET)


def test_an_endpoint_of_the_shop_moves_from_its_first_call_to_its_end() -> None:
    shop = Shop()
    assert {shop.day(legacy_calls=2) for _ in range(3)} == {State.LEGACY}

    shop.placement = Placement(has_candidate=True, is_shadowed=True)
    assert {shop.day(legacy_calls=2) for _ in range(3)} == {State.SHADOWED}

    shop.placement = Placement(has_candidate=True, percent=50, is_shadowed=True)
    assert {shop.day(1, 1) for _ in range(3)} == {State.SPLITTING}

    shop.placement = Placement(has_candidate=True, percent=100)
    assert {shop.day(2) for _ in range(5)} == {State.CUT_OVER}

    # a fallback is a call of legacy: the watching begins anew
    shop.call("/orders/9", candidate=False)
    assert {shop.day(2) for _ in range(5)} == {State.CUT_OVER}
    activity = shop.ledger.rows[ENDPOINT].activity
    assert deletable_at(activity, shop.watch, shop.now, QUIET) == shop.now + 5 * DAY

    # three days of downtime do not count as watched
    assert {shop.day(2, down=True) for _ in range(3)} == {State.CUT_OVER}
    assert [shop.day(2) for _ in range(5)] == [State.CUT_OVER] * 4 + [State.DELETABLE]

    shop.placement = Placement(has_candidate=True, percent=100, sunset=shop.now + 2 * DAY)
    assert [shop.day(2), shop.day(2)] == [State.DELETABLE, State.RETIRED]
    shop.placement = Placement()
    assert shop.state("GET /phpmyadmin/index.php") is State.PROBED

    row = shop.ledger.rows[ENDPOINT]
    total = row.history.total()
    assert (total.legacy, total.candidate) == (24 * (3 * 2 + 3 * 2 + 3) + 1, 24 * (3 + 17 * 2))
    assert len(shop.ledger.rows) == 2
    assert row.example.startswith("/orders/")
    assert {name: counts.calls for name, counts in row.callers.items()} == {"Firefox": total.calls}
    legacy_ms, candidate_ms = p95_ms(row.legacy_buckets, BOUNDS_S), p95_ms(row.candidate_buckets, BOUNDS_S)
    assert 75 < (legacy_ms or 0) <= 100
    assert 10 < (candidate_ms or 0) <= 25
    row.history = compacted(row.history, shop.now + 93 * DAY, 400 * DAY)
    assert row.history.total() == total
    assert list(row.history.months) == ["2024-10", "2024-11"]


def test_an_endpoint_that_nobody_calls_is_quiet_after_downtime_and_deletable_only_when_watched() -> None:
    shop = Shop()
    shop.day(legacy_calls=1)
    states = [shop.day(down=6 <= day < 9) for day in range(14)]
    assert states == [State.LEGACY] * 9 + [State.QUIET] * 3 + [State.DELETABLE] * 2
