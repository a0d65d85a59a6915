"""The ledger of a worker under floods: bounded whatever comes, fair where it draws, and blind to no endpoint."""

import random
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.ledger.segments import MAX_TEMPLATE
from strangler.core.ledger_settings import LedgerSettings
from strangler.ipc.messages import LedgerSum, encode_frame
from strangler.ipc.metrics import BOUNDS_S
from strangler.worker import ledger_cells, ledger_names, ledger_sums
from strangler.worker.ledger import CELLS_PER_S, MAX_CELLS_AT_ONCE, Ledger
from strangler.worker.ledger_cells import CellKey, LedgerCells
from strangler.worker.ledger_names import LedgerNames, names_for
from strangler.worker.ledger_sums import LedgerSums
from tests import factories
from tests.worker.ledger_control import KeepingControl, summed

NO_CHANCE = 0.999_999


def never() -> float:
    return NO_CHANCE


def always() -> float:
    return 0.0


def key(path: bytes, caller: bytes = b"", method: bytes = b"GET", arm: str = "legacy") -> CellKey:
    return (path, method, "", arm, 200, caller, ())


def names() -> LedgerNames:
    found = names_for(factories.settings())
    assert found is not None
    return found


def counting(draw: Callable[[], float]) -> LedgerCells:
    cells = LedgerCells(draw)
    cells.adopt(names())
    return cells


def summed_up(cells: LedgerCells) -> list[LedgerSum]:
    sums = LedgerSums()
    while taken := cells.take(100, 0.0):
        for cell in taken:
            sums.add(cell, 1.0)
    return sums.take()


# ── exact, as long as there is room ──────────────────────────────────────────────────────────────────────────────────


def test_2000_different_calls_in_a_second_are_counted_one_by_one() -> None:
    """The ticks of a worker keep up with them, without chance."""
    ledger, control = Ledger(control := KeepingControl(), never), control
    ledger.adopt(names())
    paths = (b"/items/%d" % number for number in range(10_000))
    for tick in range(100):
        for _ in range(100):
            ledger._cells.count_key(key(next(paths)), 0.001)
        ledger.tick(tick * 0.05, tick * 0.05)
        ledger.stored(len(control.batches))
    last = ledger.finish(5.0, 5.0)
    sums = [*control.sums, *(each for batch in last for each in batch.sums)]
    assert summed(sums) == {("GET", "/items/{}", "", "legacy", 200, "(none)"): 10_000}
    assert sum(batch.sampled_from for batch in control.batches) == 0


def test_a_late_tick_does_more_but_no_request_waits_long_for_it() -> None:
    ledger = Ledger(KeepingControl(), never)
    ledger.adopt(names())
    ledger.tick(100.0, 0.0)
    for number in range(1000):
        ledger._cells.count_key(key(b"/items/%d" % number), 0.001)
    ledger.tick(100.05, 0.0)
    usual = round(0.05 * CELLS_PER_S)
    assert ledger._cells.waiting == pytest.approx(1000 - usual, abs=1)
    ledger.tick(200.0, 0.0)
    assert ledger._cells.waiting == pytest.approx(1000 - usual - MAX_CELLS_AT_ONCE, abs=1)


def test_all_times_of_a_cell_are_kept() -> None:
    cells = counting(never)
    for seconds in (0.001, 0.001, 0.3, 0.004, 99.0, 0.3):
        cells.count_key(key(b"/a"), seconds)
    (found,) = summed_up(cells)
    assert (found.calls, found.buckets) == (6, [3, *[0] * 6, 2, *[0] * 6, 1])
    assert len(found.buckets) == len(BOUNDS_S) + 1


# ── by chance ────────────────────────────────────────────────────────────────────────────────────────────────────────


def flood(cells: LedgerCells, calls: int) -> None:
    for number in range(1000, 1000 + calls):
        cells.count_key(key(b"/items/%d" % number), 0.001)


def test_calls_without_room_are_drawn_and_each_stands_for_several() -> None:
    draws = iter([0.0, NO_CHANCE, 0.124, 0.126, *[NO_CHANCE] * 1000])
    cells = counting(lambda: next(draws))
    exact = ledger_cells.MAX_EXACT_CELLS
    flood(cells, exact + 1)  # the first shape beyond the limit is new, so it has a cell
    assert (cells.waiting, cells.estimated) == (exact + 1, 0)
    flood_more = [b"/items/%d" % number for number in range(100_000, 100_004)]
    for path in flood_more:
        cells.count_key(key(path), 0.001)
    assert (cells.waiting, cells.estimated) == (exact + 3, 4)
    assert sum(each.calls for each in summed_up(cells)) == exact + 1 + 2 * 8


def test_the_estimate_is_fair() -> None:
    cells = counting(random.Random(7).random)
    flood(cells, 50_000)
    assert cells.waiting < ledger_cells.MANY_CELLS + 1000
    total = sum(each.calls for each in summed_up(cells))
    assert abs(total - 50_000) < 5 * 8 * (50_000 / 8) ** 0.5 + 5 * 64 * (50_000 / 64) ** 0.5
    assert cells.estimated == 50_000 - ledger_cells.MAX_EXACT_CELLS - 1


def test_a_known_cell_counts_exactly_during_a_flood() -> None:
    cells = counting(never)
    cells.count_key(key(b"/often"), 0.001)
    flood(cells, 10_000)
    for _ in range(500):
        cells.count_key(key(b"/often"), 0.001)
    assert summed(summed_up(cells))["GET", "/often", "", "legacy", 200, "(none)"] == 501


NEW = [
    pytest.param(key(b"/never/seen"), id="a path"),
    pytest.param(key(b"/v2/items/17"), id="another version"),
    pytest.param(key(b"/items/1234/lines"), id="a longer path"),
    pytest.param(key(b"/items/1234", method=b"DELETE"), id="a method"),
    pytest.param(key(b"/items/1234", arm="candidate"), id="an arm"),
    pytest.param((b"/items/1234", b"GET", "", "legacy", 200, b"", (b"list",)), id="a value of ledger.by"),
]


@pytest.mark.parametrize("new", NEW)
def test_a_new_endpoint_is_never_missed(new: CellKey) -> None:
    """Whatever chance says: its first call has a cell, and further ones an estimate."""
    cells = counting(never)
    flood(cells, 20_000)
    before = cells.waiting
    cells.count_key(new, 0.001)
    assert cells.waiting == before + 1
    cells.count_key(new, 0.001)
    assert cells.waiting == before + 1
    assert any(cell.key == new and cell.calls == 2 for cell in cells.take(10_000, 0.0))


def test_an_endpoint_is_counted_again_in_the_next_minute_of_a_flood() -> None:
    """A call a day keeps it alive, even if all of them come while others flood the worker."""
    cells = counting(never)
    counted = []
    for at in (0, 30, 59, 61, 90, 122):
        cells.take(1, at)
        flood(cells, 20_000)
        waiting = cells.waiting
        cells.count_key(key(b"/rare/%d" % (1000 + at)), 0.001)
        if cells.waiting > waiting:
            counted.append(at)
    assert counted == [0, 61, 122]


# ── bounded ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def random_paths(count: int, seed: int = 1) -> Iterator[CellKey]:
    """Yield the keys of scanners: paths and callers that no other one is like."""
    chance = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.%/;="

    def text(most: int) -> bytes:
        return "".join(chance.choices(letters, k=chance.randrange(1, most))).encode()

    for _ in range(count):
        yield key(b"/" + text(60), text(40))


@pytest.mark.parametrize("draw", [always, never, random.Random(3).random], ids=["always", "never", "by chance"])
def test_100_000_random_paths_keep_memory_bounded(draw: Callable[[], float]) -> None:
    """Control is away, so nothing leaves the worker."""
    control = KeepingControl()
    control.is_connected = False
    ledger = Ledger(control, draw)
    ledger.adopt(names())
    tracemalloc.start()
    try:
        for number, each in enumerate(random_paths(100_000)):
            ledger._cells.count_key(each, 0.001)
            assert ledger._cells.waiting <= ledger_cells.MAX_CELLS + 1
            if number % 500 == 499:
                ledger.tick(number / 10_000, 0.0)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 10e6
    assert ledger._sums.count <= ledger_sums.MAX_SUMS + 1
    (batch,) = ledger.finish(1e3, 1.0)
    assert sum(each.calls for each in batch.sums) >= 100_000 - batch.sampled_from
    encode_frame(batch)


def test_what_has_no_room_loses_its_endpoint_and_caller_but_not_its_calls() -> None:
    cells = counting(never)
    sums = LedgerSums()
    words = ["".join(chr(97 + int(digit)) for digit in f"{number:06}") for number in range(ledger_sums.MAX_SUMS + 50)]
    for word in words:
        cells.count_key((b"/" + word.encode(), b"GET", "orders", "legacy", 404, b"curl/8", ()), 0.001)
        for cell in cells.take(10, 0.0):
            sums.add(cell, 1.0)
    assert sums.count == ledger_sums.MAX_SUMS + 1
    found = sums.take()
    assert found[-1].example == ""
    assert summed(found[-1:]) == {("GET", "…", "orders", "legacy", 400, "…"): 50}
    assert sums.count == 0


def test_no_huge_path_or_caller_is_kept() -> None:
    made = factories.settings()
    found = names_for(made)
    assert found is not None
    template = found.template_of(b"/" + b"word/" * 200, ())
    assert len(template) <= MAX_TEMPLATE
    template = found.template_of(b"/purchase-order-line-item-attachment-description-translations" * 16, ())
    assert len(template) <= MAX_TEMPLATE
    assert template.endswith("/{...}")


def test_names_are_remembered_within_bounds() -> None:
    found = names()
    for number in range(3 * ledger_names.MAX_CALLERS):
        assert found.caller_of(b"tool%d/1" % number).startswith(("tool", "(other)"))
    assert len(found._callers) <= ledger_names.MAX_CALLERS


def test_the_shape_of_a_path_takes_time_by_its_length() -> None:
    """One that is looked for anew at each of its characters would take minutes."""
    for path in (b"a" * 1_000_000, b"a1" + b"-" * 1_000_000, b"/1" * 500_000, b"1a" * 3 + b"%" + b"b" * 1_000_000):
        assert len(ledger_cells._VALUES.sub(b"0", path)) <= len(path)


# ── whatever comes ───────────────────────────────────────────────────────────────────────────────────────────────────

ANY_BYTES = st.binary(max_size=300)
MODES = st.sampled_from(["user-agent", "x-client-id"])


@given(st.lists(st.tuples(ANY_BYTES, ANY_BYTES, ANY_BYTES), max_size=20), MODES)
@settings(deadline=None)
def test_any_bytes_are_counted(calls: list[tuple[bytes, bytes, bytes]], callers: str) -> None:
    made = factories.settings(ledger=LedgerSettings(callers=callers, by=("query:do", "header:SOAPAction")))
    ledger = Ledger(KeepingControl(), never)
    ledger.adopt(names_for(made))
    for path, caller, value in calls:
        ledger._cells.count_key((path, b"GET", "", "legacy", 200, caller, (value[:256], value[:256])), 0.001)
    batches = ledger.finish(0.0, 1.0)
    found = [each for batch in batches for each in batch.sums]
    assert sum(each.calls for each in found) == len(calls)
    assert all(len(each.template) <= MAX_TEMPLATE and len(each.caller) <= 40 for each in found)
    assert all(encode_frame(batch) for batch in batches)
