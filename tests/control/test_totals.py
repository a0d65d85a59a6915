"""Totals never go back: not when a worker dies, not when control does, not when the disk fails."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from strangler.control.totals import RETIRED, TotalsState
from strangler.ipc.messages import HistogramCell, Report, ValueCell
from strangler.ipc.metrics import BOUNDS_S
from strangler.store.stored_metrics import Batch, Row

ATTEMPTS = "strangler_attempts_total"
LABELS = ("legacy", "2xx")
KEY = (ATTEMPTS, LABELS)


def report(value: float) -> Report:
    return Report([ValueCell(ATTEMPTS, LABELS, value)], [], [])


def gauges(**values: float) -> Report:
    return Report([], [], [ValueCell(f"strangler_{name}", ("legacy",), value) for name, value in values.items()])


def total(totals: TotalsState) -> float:
    return totals.values().get(KEY, (0.0,))[0]


def test_the_total_is_the_sum_of_what_the_workers_reported_last() -> None:
    totals = TotalsState()
    totals.take("a", report(3))
    totals.take("b", report(4))
    totals.take("a", report(5))
    assert total(totals) == 9


def test_a_report_told_twice_counts_once() -> None:
    totals = TotalsState()
    totals.take("a", report(3))
    totals.take("a", report(3))
    assert total(totals) == 3


def test_what_a_dead_worker_counted_stays() -> None:
    totals = TotalsState()
    totals.take("a", report(3))
    totals.retire("a")
    totals.take("b", report(1))
    assert total(totals) == 4
    assert totals.instances == {"b"}


def test_histograms_add_up_bucket_by_bucket() -> None:
    totals = TotalsState()
    labels = ("orders", "legacy")
    left, right = [0] * (len(BOUNDS_S) + 1), [0] * (len(BOUNDS_S) + 1)
    left[2], right[2], right[3] = 4, 1, 2
    name = "strangler_request_duration_seconds"
    totals.take("a", Report([], [HistogramCell(name, labels, left, 0.5)], []))
    totals.take("b", Report([], [HistogramCell(name, labels, right, 0.25)], []))
    vector = totals.values()[name, labels]
    assert (vector[2], vector[3], vector[-1]) == (5, 2, 0.75)


def test_gauges_are_summed_except_the_breaker_whose_worst_counts() -> None:
    totals = TotalsState()
    totals.take("a", gauges(in_flight=2, breaker_state=2))
    totals.take("b", gauges(in_flight=3, breaker_state=0))
    assert totals.gauges() == {
        ("strangler_in_flight", ("legacy",)): 5,
        ("strangler_breaker_state", ("legacy",)): 2,
    }


def test_the_gauges_of_a_worker_go_with_its_connection() -> None:
    totals = TotalsState()
    totals.take("a", gauges(in_flight=2))
    totals.silence("a")
    assert totals.gauges() == {}


def test_what_was_never_agreed_on_is_ignored() -> None:
    totals = TotalsState()
    totals.take("a", Report([ValueCell("strangler_nonsense_total", (), 1)], [], []))
    totals.take("a", Report([ValueCell(ATTEMPTS, ("too", "many", "labels"), 1)], [], []))
    totals.take("a", Report([], [HistogramCell("strangler_request_duration_seconds", ("r", "a"), [1], 0.0)], []))
    totals.take("a", Report([], [], [ValueCell(ATTEMPTS, LABELS, 1)]))
    assert totals.values() == {}
    assert totals.gauges() == {}


def test_a_value_that_goes_back_is_ignored() -> None:
    totals = TotalsState()
    totals.take("a", report(5))
    totals.take("a", report(2))
    assert total(totals) == 5


def test_a_batch_holds_what_changed_and_only_that() -> None:
    totals = TotalsState()
    totals.take("a", report(5))
    assert totals.unsaved() == Batch([Row("a", KEY, (5,))], frozenset())
    assert totals.unsaved() == Batch([], frozenset())


def test_a_retired_instance_is_stored_with_the_dead() -> None:
    totals = TotalsState()
    totals.take("a", report(5))
    totals.unsaved()
    totals.retire("a")
    assert totals.unsaved() == Batch([Row(RETIRED, KEY, (5,))], frozenset({"a"}))


class Crashes(RuleBasedStateMachine):
    """Workers count, report and die; control dies and comes back; the disk fails now and then. A worker that is
    alive tells all it has when control is back."""

    def __init__(self) -> None:
        super().__init__()
        self.totals = TotalsState()
        self.disk: dict[str, float] = {}
        self.counted: dict[str, int] = {}
        self.born = 0
        self.dead_counted = 0
        self.seen = 0.0

    @rule(by=st.integers(1, 5))
    def a_worker_is_born_and_counts(self, by: int) -> None:
        self.born += 1
        self.counted[f"w{self.born}"] = by
        self._report_all()

    @rule(by=st.integers(1, 5))
    def every_worker_counts_and_reports(self, by: int) -> None:
        for name in self.counted:
            self.counted[name] += by
        self._report_all()

    @rule()
    def the_oldest_worker_dies(self) -> None:
        if self.counted:
            name = next(iter(self.counted))
            self.dead_counted += self.counted.pop(name)
            self.totals.retire(name)

    @rule(works=st.booleans())
    def control_saves(self, works: bool) -> None:
        batch = self.totals.unsaved()
        if not works:
            self.totals.not_saved(batch)
            return
        for name in batch.gone:
            self.disk.pop(name, None)
        self.disk |= {row.instance: row.vector[0] for row in batch.rows}

    @rule()
    def control_is_replaced_after_a_save(self) -> None:
        self.control_saves(works=True)
        self.totals = TotalsState()
        self.totals.restore(Row(name, KEY, (value,)) for name, value in self.disk.items())
        self._report_all()

    def _report_all(self) -> None:
        for name, value in self.counted.items():
            self.totals.take(name, report(value))

    @invariant()
    def the_total_is_all_that_was_ever_counted(self) -> None:
        assert total(self.totals) == self.dead_counted + sum(self.counted.values())
        assert total(self.totals) >= self.seen
        self.seen = total(self.totals)


TestCrashes = Crashes.TestCase
TestCrashes.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 100))))
def test_the_total_never_goes_back_whatever_is_reported(reports: list[tuple[str, int]]) -> None:
    totals = TotalsState()
    before = 0.0
    for instance, value in reports:
        totals.take(instance, report(value))
        assert total(totals) >= before
        before = total(totals)
