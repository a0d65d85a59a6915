"""Which release is the current one."""

from strangler.core.releases import UNNAMED, ReleaseState


def test_the_first_release_that_is_seen_is_current_at_once() -> None:
    state = ReleaseState()
    assert state.current == UNNAMED
    assert state.see("1", 100.0)
    assert (state.current, state.since) == ("1", 100.0)


def test_a_rolling_deploy_changes_once_when_the_former_was_not_seen_for_a_minute() -> None:
    state = ReleaseState()
    state.see("1", 0.0)
    assert not any(state.see(name, at) for at in range(1, 30) for name in ("1", "2"))
    assert not state.see("2", 88.9)
    assert state.see("2", 89.0)
    assert state.current == "2"
    assert not state.see("2", 500.0)


def test_a_rollback_goes_back_to_the_earlier_name() -> None:
    state = ReleaseState()
    state.see("1", 0.0)
    state.see("2", 70.0)
    assert state.current == "2"
    assert not state.see("1", 80.0)
    assert state.see("1", 130.0)
    assert state.current == "1"


def test_what_somebody_names_is_current_at_once_and_until_another_is_seen_alone_for_a_minute() -> None:
    state = ReleaseState()
    state.see("1", 0.0)
    assert state.name("2", 10.0)
    assert not state.name("2", 20.0)
    assert not state.see("1", 30.0)
    assert state.see("1", 70.0)
