"""What the supervisor decides by itself; what it does is told in tests/e2e/test_processes.py."""

import signal

import pytest

from strangler.supervisor import MAX_DELAY_S, restart_delay_s
from strangler.wire.process import how_it_ended


@pytest.mark.parametrize(
    ("failures", "delay_s"),
    [
        pytest.param(1, 0.0, id="the first death costs no time"),
        pytest.param(2, 0.5, id="the second a little"),
        pytest.param(3, 1.0, id="then twice as long"),
        pytest.param(7, 16.0, id="and so on"),
        pytest.param(8, MAX_DELAY_S, id="up to the most"),
        pytest.param(100_000, MAX_DELAY_S, id="for ever"),
    ],
)
def test_a_process_that_keeps_dying_is_started_ever_more_rarely(failures: int, delay_s: float) -> None:
    assert restart_delay_s(failures) == delay_s


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-signal.SIGKILL, "killed by SIGKILL"),
        (-63, "killed by signal 63"),
    ],
)
def test_the_end_of_a_process_is_told_in_words(status: int, words: str) -> None:
    assert how_it_ended(status) == words
