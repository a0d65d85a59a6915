"""The clock of the store: that of the database, whatever this host's own clock says."""

import asyncio
import time

from strangler.control.fleet.shared_leadership import SharedLeadership
from strangler.control.fleet.store_clock import StoreClock
from tests.control.fleet.database import Server

HOUR_S = 3600.0


def test_it_goes_on_from_what_the_database_said_and_no_one_sets_it() -> None:
    wall, monotonic = 1000.0, 50.0
    clock = StoreClock(lambda: wall, lambda: monotonic)
    assert clock.now() == 1000
    clock.set(9000.0, read_at=48.0)
    assert clock.now() == 9002
    wall, monotonic = 5000.0, 51.0
    assert clock.now() == 9003
    assert clock.ahead_s == 4003


async def test_a_node_whose_clock_is_an_hour_ahead_has_the_time_of_the_database(
    postgres: Server, database: str
) -> None:
    clock = StoreClock(lambda: time.time() + HOUR_S)
    leadership = SharedLeadership(postgres.url(database), "a", clock)
    running = asyncio.create_task(leadership.run())
    try:
        async with asyncio.timeout(30):
            while clock.ahead_s > -HOUR_S / 2:  # noqa: ASYNC110 - a beat has no event
                await asyncio.sleep(0.01)
        assert abs(clock.now() - time.time()) < HOUR_S / 60
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await leadership.close()
