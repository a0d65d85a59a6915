"""The kill switch on disk."""

from pathlib import Path

from strangler.state.kill_switch import OFF, KillSwitchState, read, write


def test_it_is_off_until_it_is_turned(tmp_path: Path) -> None:
    assert read(tmp_path) == OFF


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    state = KillSwitchState(True, "orders answers nonsense", "2026-11-23T08:00:00.123Z")
    write(tmp_path, state)
    assert read(tmp_path) == state


def test_a_file_that_cannot_be_read_counts_as_on(tmp_path: Path) -> None:
    write(tmp_path, OFF)
    (tmp_path / "kill-switch.json").write_bytes(b"{")
    assert read(tmp_path).on
