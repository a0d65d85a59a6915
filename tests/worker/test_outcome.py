"""The outcomes of trying an arm: what the client gets where no response came."""

import pytest

from strangler.core.fault import Fault
from strangler.core.http.problem import problem_of
from strangler.core.result import Result
from strangler.core.routing.aggregate import part_failed, part_unusable
from strangler.worker.outcome import failed_by, failed_part

SOUND = {Fault.CONNECT, Fault.RESET, Fault.TIMEOUT, Fault.BAD_RESPONSE, Fault.OPEN, Fault.FULL}


@pytest.mark.parametrize("fault", Fault)
def test_only_a_fault_of_the_client_puts_its_framing_in_doubt(fault: Fault) -> None:
    assert failed_by(fault, Result(fault, None, 0.1)).is_framing_sound is (fault in SOUND)


def test_a_client_that_has_left_gets_no_problem() -> None:
    assert failed_by(Fault.CLIENT_GONE, Result(None, 200, 0.1)).problem is None


def test_the_wait_that_admission_asks_for_is_in_the_problem() -> None:
    failed = failed_by(Fault.OPEN, Result(Fault.OPEN, None, 0.0), 4.2)
    assert failed.problem == problem_of(Fault.OPEN, 4.2)
    assert failed.problem is not None
    assert failed.problem.retry_after_s == 5


def test_a_required_part_fails_the_whole_with_its_own_result() -> None:
    failure = part_failed(Fault.TIMEOUT, 0.5)
    failed = failed_part(failure)
    assert (failed.result, failed.fault, failed.problem) == (failure.result, Fault.TIMEOUT, failure.problem)


def test_a_part_that_cannot_be_joined_is_a_bad_gateway() -> None:
    failed = failed_part(part_unusable("not_json", 0.5))
    assert failed.fault is None
    assert failed.is_framing_sound
    assert failed.problem is not None
    assert failed.problem.status == 502
