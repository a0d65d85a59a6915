"""The kill switch before the first worker of a node that shares its store."""

import os
from pathlib import Path

from strangler.state import kill_switch
from strangler.state.kill_switch import OFF
from strangler.state.lock import acquire
from strangler.state.starting_switch import take_turns
from strangler.state.switch_merge import with_turn
from strangler.store.stored_kill_switch import StoredTurn
from tests.state.test_switch_merge import turn

ON = {"": StoredTurn(True, "nonsense", 1_795_000_001.0, "other", "ana")}


def test_a_fresh_node_takes_the_turns_of_the_others(tmp_path: Path) -> None:
    take_turns(tmp_path, ON)
    found = kill_switch.read(tmp_path)
    assert (found.on, found.reason, found.pending) == (True, "nonsense", {})


def test_a_later_turn_of_its_own_stays_and_is_still_to_be_published(tmp_path: Path) -> None:
    kill_switch.write(tmp_path, with_turn(with_turn(OFF, "", turn(True, 0)), "", turn(False, 5)))
    take_turns(tmp_path, ON)
    found = kill_switch.read(tmp_path)
    assert (found.on, [*found.pending]) == (False, [""])


def test_nothing_is_written_beside_a_proxy_or_over_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    descriptor = acquire(tmp_path, "", lambda: None, lambda _: None)
    take_turns(tmp_path, ON)
    os.close(descriptor)
    assert kill_switch.read(tmp_path) == OFF
    (tmp_path / "kill-switch.json").write_bytes(b"{")
    take_turns(tmp_path, {"": StoredTurn(False, "", 1_795_000_001.0, "other", "ana")})
    assert kill_switch.read(tmp_path).is_unreadable
