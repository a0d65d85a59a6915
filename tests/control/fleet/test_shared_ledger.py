"""The ledger of several nodes has each call once, whichever process is killed or stopped; all nodes read the same."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from strangler.core.ledger.counts import hour_of
from tests.control.fleet.database import Server
from tests.control.fleet.ledger_nodes import ENDPOINTS, LedgerFleet, ledger_fleet, until


def kill_leader(fleet: LedgerFleet) -> None:
    leader = fleet.leader()
    leader.kill()
    fleet.leader(but=leader)
    leader.restart()


def kill_follower(fleet: LedgerFleet) -> None:
    follower = fleet.followers()[0]
    follower.kill()
    follower.restart()


def stop_leader(fleet: LedgerFleet) -> None:
    leader = fleet.leader()
    leader.signal(signal.SIGSTOP)
    fleet.leader(but=leader)
    leader.signal(signal.SIGCONT)


def kill_store(fleet: LedgerFleet) -> None:
    fleet.postgres.stop(signal.SIGKILL)
    fleet.postgres.start()


def end_leader(fleet: LedgerFleet) -> None:
    leader = fleet.leader()
    leader.end()
    fleet.leader(but=leader)
    leader.restart()


FAILURES = [kill_leader, kill_follower, stop_leader, kill_store, end_leader]


@pytest.mark.parametrize("fail", FAILURES, ids=[fail.__name__ for fail in FAILURES])
def test_each_call_is_counted_once_whatever_fails(
    postgres: Server, database: str, tmp_path: Path, fail: Callable[[LedgerFleet], None]
) -> None:
    with ledger_fleet(postgres, database, tmp_path, (0.0, 0.0, 0.0)) as fleet:
        fleet.leader()
        for _ in range(2):
            fleet.go_on()
            fail(fleet)
        fleet.go_on()
        fleet.finish()
        assert fleet.stored_calls() == fleet.counted()
        until(lambda: all(node.calls == fleet.counted().total() for node in fleet.nodes))


def test_calls_of_a_node_whose_clock_is_wrong_are_counted_in_the_hour_in_which_they_came(
    postgres: Server, database: str, tmp_path: Path
) -> None:
    with ledger_fleet(postgres, database, tmp_path, (-7200.0, 7200.0)) as fleet:
        began = time.time()
        until(lambda: fleet.stored_calls().total() > 50)
        fleet.finish()
        state = fleet.stored()
        assert set(state.hours) <= {hour_of(began), hour_of(time.time())}
        rows = [state.rows.rows[name] for name in ENDPOINTS]
        for row in rows:
            assert row.first_seen is not None
            assert row.last_seen is not None
            assert began - 5 <= row.first_seen <= row.last_seen <= time.time() + 5


def test_a_change_at_any_node_is_made_by_the_leader_and_read_by_all(
    postgres: Server, database: str, tmp_path: Path
) -> None:
    with ledger_fleet(postgres, database, tmp_path, (0.0, 0.0)) as fleet:
        until(lambda: all(node.calls for node in fleet.nodes))
        for node in fleet.nodes:
            node.send({"change": ["own", "GET /carts", node.name]})
            node.expect("done", f"GET /carts belongs to {node.name}")
            assert fleet.stored().rows.rows["GET /carts"].owner == node.name
            node.send({"change": ["own", "GET /nowhere", "ana"]})
            node.expect("refused", "there is no endpoint 'GET /nowhere'")


def test_a_change_fails_with_the_reason_while_no_node_leads(postgres: Server, database: str, tmp_path: Path) -> None:
    with ledger_fleet(postgres, database, tmp_path, (0.0,)) as fleet, postgres.connect(database) as other:
        node = fleet.leader()
        until(lambda: node.calls)
        node.kill()
        other.execute("SELECT pg_advisory_lock(1398035026, 1)")
        node.restart()
        until(lambda: fleet.waiting() > 0)
        node.send({"change": ["own", "GET /carts", "ana"]})
        node.expect("refused", "no node leads; nothing was changed")
        other.execute("SELECT pg_advisory_unlock_all()")
        fleet.leader()
        fleet.finish()
        assert fleet.stored().rows.rows["GET /carts"].owner is None
        assert fleet.stored_calls() == fleet.counted()
