"""A year of rollouts through the keeper and a real store, beside the pure functions on the same numbers."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from strangler.core.rollout.advance import ChangeKind, advance, happen
from strangler.core.rollout.machine import RolloutEvent
from strangler.core.rollout.position import Position
from tests.control.rollout.proxies import Proxy, rolled
from tests.core.rollout.test_year import BERLIN, FAULTY_DAYS, FIRST, HOUR_S, served
from tests.core.rollout.test_year import PLAN as WITH_GATE

PLAN = replace(WITH_GATE, gate="never")
ROUND_DAYS = 4 * 7


async def test_a_year_of_rollouts_goes_as_the_pure_functions_say(tmp_path: Path) -> None:
    """Control is started again every third day, and people act at fixed times."""
    proxy = Proxy(tmp_path, rolled(plan=PLAN))
    proxy.now = FIRST
    await proxy.control()
    pure, changes = Position(since=FIRST), 0
    for hour in range(0, 13 * ROUND_DAYS * 24, 4):
        proxy.now, day = FIRST + hour * HOUR_S, hour // 24 % ROUND_DAYS
        commands = []
        if not hour % (ROUND_DAYS * 24) and hour:
            proxy.reload(rolled(plan=None))
            await proxy.keeper.tick()
            proxy.reload(rolled(plan=PLAN))
            pure = Position(since=proxy.now)
        if not hour % (ROUND_DAYS * 24):
            commands.append("start")
        if not hour % 24:
            if pure.waits_for == "approve" and datetime.fromtimestamp(proxy.now, BERLIN).weekday() == 3:
                commands.append("approve")
            if pure.state == "paused":
                commands.append("resume")
        for command in commands:
            pure, _ = happen(pure, PLAN, RolloutEvent(command), proxy.now)
            await proxy.keeper.command("orders", command, "ana")
        found = served(proxy.now, pure.percent, day in FAULTY_DAYS)
        pure, more = advance(pure, PLAN, proxy.now, found)
        changes += len([change for change in more if change.kind is not ChangeKind.DONE])
        proxy.serve(found)
        await proxy.keeper.tick()
        assert (proxy.position.state, proxy.position.percent) == (pure.state, pure.percent)
        if not hour % 72:
            await proxy.again()
            assert proxy.position == replace(pure, moves=proxy.position.moves)
    assert changes > 13 * 5
    kinds = [kind for kind, *_ in await proxy.events()]
    assert kinds.count("rollout.done") == 13
    assert len([kind for kind in kinds if kind != "rollout.done"]) == changes, "none twice, none lost"
    await proxy.end()
