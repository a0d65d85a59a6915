"""The right to run Envoy: one has it, the next one waits, and a killed one loses it."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from strangler.engine.ownership import Ownership, is_locked, try_lock

HOLD = """
import sys, time
from pathlib import Path
from strangler.engine.ownership import Ownership
owner = Ownership(Path(sys.argv[1]))
print(owner.try_take(), flush=True)
time.sleep(600)
"""


def test_the_first_is_the_owner_and_no_other(tmp_path: Path) -> None:
    first, second = Ownership(tmp_path), Ownership(tmp_path)
    assert first.try_take()
    assert first.try_take()  # it stays the owner
    assert not second.try_take()
    first.release()
    assert second.try_take()
    second.release()


async def test_an_owner_sees_that_another_process_waits(tmp_path: Path) -> None:
    first, second = Ownership(tmp_path), Ownership(tmp_path)
    assert first.try_take()
    assert not first.is_claimed()
    waiting = asyncio.create_task(second.wait())
    async with asyncio.timeout(30):
        while not first.is_claimed():  # noqa: ASYNC110 - a lock rings no bell
            await asyncio.sleep(0.01)
        first.release()
        await waiting
    assert not second.is_claimed()
    assert not first.try_take()
    second.release()


async def test_a_claim_ends_with_the_process_that_has_it(tmp_path: Path) -> None:
    first, second = Ownership(tmp_path), Ownership(tmp_path)
    assert first.try_take()
    waiting = asyncio.create_task(second.wait())
    async with asyncio.timeout(30):
        while not first.is_claimed():  # noqa: ASYNC110 - a lock rings no bell
            await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not first.is_claimed()
    first.release()


def test_a_killed_owner_is_none(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        owner = Ownership(tmp_path)
        try:
            assert not owner.try_take()
        finally:
            holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert owner.try_take()
        owner.release()


def test_a_lock_is_held_as_long_as_any_process_has_its_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    descriptor = try_lock(path)
    assert descriptor is not None
    with subprocess.Popen(["sleep", "600"], pass_fds=(descriptor,)) as heir:
        os.close(descriptor)
        assert is_locked(path)
        assert try_lock(path) is None
        heir.kill()
        heir.wait()
    assert not is_locked(path)
