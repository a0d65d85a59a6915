"""The shares of all workers add up to what routes.yaml says, and nobody is left without."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.resilience.worker_share import WHOLE, WorkerShare
from strangler.core.settings import BulkheadSettings
from tests.factories import upstream


@given(st.integers(0, 10_000), st.integers(1, 64))
def test_shares_add_up_to_the_whole_or_are_one_each(total: int, workers: int) -> None:
    shares = [WorkerShare(index, workers).of(total) for index in range(workers)]
    assert sum(shares) == (total if total >= workers or not total else workers)
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("total", "index", "workers", "share"),
    [
        pytest.param(256, 0, 1, 256, id="one worker has all"),
        pytest.param(256, 1, 2, 128, id="half each"),
        pytest.param(5, 0, 2, 3, id="the first ones take the rest"),
        pytest.param(5, 1, 2, 2, id="the others do not"),
        pytest.param(1, 3, 4, 1, id="one at least"),
        pytest.param(0, 0, 4, 0, id="none is none"),
        pytest.param(5, 4, 2, 3, id="a worker that outlives a reload to fewer"),
    ],
)
def test_a_share(total: int, index: int, workers: int, share: int) -> None:
    assert WorkerShare(index, workers).of(total) == share


def test_what_is_promised_about_an_upstream_is_shared() -> None:
    settings = upstream("orders", bulkhead=BulkheadSettings(in_flight=256, waiting=1, wait_s=2.0))
    assert WorkerShare(1, 4).of_upstream(settings).bulkhead == BulkheadSettings(in_flight=64, waiting=1, wait_s=2.0)
    assert WHOLE.of_upstream(settings) == settings


def test_what_is_switched_off_stays_off() -> None:
    settings = upstream("orders", bulkhead=None, breaker=None)
    assert WorkerShare(0, 2).of_upstream(settings) == settings
