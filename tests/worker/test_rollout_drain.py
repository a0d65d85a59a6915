"""A worker process and its rollouts: counts reach control by themselves, after a control that died, and at the end."""

import signal
from pathlib import Path

from strangler.core.rollout_settings import RolloutSettings
from strangler.ipc.messages import Bye
from tests.http1.scripted import ScriptedUpstream
from tests.worker.rollout_counted import by_arm, totals
from tests.worker.worker_process import until, worker


async def test_a_worker_sends_its_counts_and_the_last_of_them_before_it_ends(
    legacy: ScriptedUpstream, tmp_path: Path
) -> None:
    async with worker(legacy, tmp_path, rollout=RolloutSettings()) as running:
        control = running.control
        await running.ask("/api", "X-User-Id: ana")
        await until(control.rollout_batches)
        for name in ("ana", "bea", "bea"):
            await running.ask("/api", f"X-User-Id: {name}")
        await running.ask("/other")
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0
        await until(lambda: isinstance(control.connections[-1][-1], Bye))
        counts = totals(control.rollout_batches())["orders", 1]
        assert by_arm(control.rollout_batches()) == {"candidate": (4, 0)}
        assert sorted(busy.counts.requests for busy in counts.callers.busiest.values()) == [2, 2]


async def test_a_new_control_gets_what_was_counted_while_there_was_none(
    legacy: ScriptedUpstream, tmp_path: Path
) -> None:
    async with worker(legacy, tmp_path, rollout=RolloutSettings()) as running:
        control = running.control
        await running.ask("/api")
        await until(control.rollout_batches)
        control.hang_up()
        for _ in range(3):
            await running.ask("/api")
        await until(lambda: by_arm(control.rollout_batches()) == {"candidate": (4, 0)})
        assert len(control.connections) == 2
