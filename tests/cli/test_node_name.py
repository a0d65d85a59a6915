"""The name of a node: taken where nobody has it, waited for while its former node may live, refused where it does."""

from collections.abc import Sequence

import click
import pytest

from strangler.cli._node_name import wait_for_name


class Clock:
    """A time that passes by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(heard: Sequence[float | None]) -> Clock:
    """Wait for a name whose node was heard at these times, one for each look; the last goes on."""
    clock, looks = Clock(), list(heard)
    wait_for_name("a", lambda: looks.pop(0) if len(looks) > 1 else looks[0], clock.read, clock.sleep)
    return clock


def test_a_free_name_is_taken_at_once() -> None:
    assert wait([None]).now == 0


def test_the_name_of_a_node_that_has_ended_is_waited_for() -> None:
    assert 9 < wait([100.0] * 20 + [None]).now < 11


def test_the_name_of_a_node_that_goes_on_is_refused_soon(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.ClickException, match="another node is called 'a'; give this one a name of its own"):
        wait([100.0, 100.0, 101.0])
    assert "waits up to 10 s: another node called 'a'" in capsys.readouterr().err


def test_a_name_that_does_not_get_free_is_refused_in_the_end() -> None:
    with pytest.raises(click.ClickException):
        wait([100.0])
