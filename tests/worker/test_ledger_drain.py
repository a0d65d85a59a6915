"""A worker process and the ledger: all counted calls reach control, again if need be, and before the worker ends."""

import signal
from pathlib import Path

from strangler.ipc.messages import Bye
from tests.http1.scripted import ScriptedUpstream
from tests.worker.ledger_control import summed
from tests.worker.worker_process import until, worker

NONE = "(none)"


async def test_a_worker_sends_all_that_it_has_counted_before_it_ends(legacy: ScriptedUpstream, tmp_path: Path) -> None:
    """Also what control has not stored yet: the batch under way comes again, and then the rest."""
    async with worker(legacy, tmp_path) as running:
        for _ in range(3):
            assert await running.ask("/a") == b"HTTP/1.1 200 Told"
        await until(running.control.batches)
        for _ in range(5):
            await running.ask("/b")
        running.process.send_signal(signal.SIGTERM)
        assert await running.process.wait() == 0
        await until(lambda: isinstance(running.control.connections[-1][-1], Bye))
        by_number = {batch.number: batch for batch in running.control.batches()}
        assert sorted(by_number) == [1, 2]
        assert summed([each for batch in by_number.values() for each in batch.sums]) == {
            ("GET", "/a", "", "legacy", 200, NONE): 3,
            ("GET", "/b", "", "legacy", 200, NONE): 5,
        }


async def test_a_new_control_gets_the_batch_that_the_last_one_did_not_store(
    legacy: ScriptedUpstream, tmp_path: Path
) -> None:
    async with worker(legacy, tmp_path) as running:
        control = running.control
        await running.ask("/a")
        await until(control.batches)
        control.hang_up()
        await until(lambda: len(control.connections) == 2 and control.batches())
        assert control.batches(1) == control.batches(0)
        control.store(1)
        await running.ask("/b")
        await until(lambda: len(control.batches()) == 2)
        assert summed(control.batches()[1].sums) == {("GET", "/b", "", "legacy", 200, NONE): 1}
