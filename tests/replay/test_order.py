"""Laws of the order of a replay, whatever the recording: over real sockets, and of the rule that stops it."""

import asyncio
import random
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from strangler.core.compare import Response
from strangler.core.fault import Fault
from strangler.core.replaying.caller_order import Speed
from strangler.replay.stop_rule import StopRuleState
from tests.http1.scripted import Connection, ScriptedUpstream
from tests.replay.rig import of_ports, ok, pair, replayed

RECORDINGS = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "eve"]), st.floats(-5, 5), st.integers(0, 3)), min_size=1, max_size=40
)


@pytest.mark.parametrize("speed", [Speed(), Speed(factor=1e6), Speed(rate=1e4)], ids=["max", "recorded", "rate"])
@given(calls=RECORDINGS, slots=st.integers(1, 5), seed=st.integers(0, 9))
@effort(max_examples=12, deadline=None)
def test_callers_keep_their_order_and_no_more_run_than_may(
    speed: Speed, calls: list[tuple[str, float, int]], slots: int, seed: int
) -> None:
    """Whatever the clock of the recording does, and however long each response takes."""
    chance = random.Random(seed)
    running: list[int] = [0, 0]

    async def script(connection: Connection) -> None:
        while True:
            await connection.read_request()
            running[0] += 1
            running[1] = max(running)
            await asyncio.sleep(chance.choice([0, 0, 0.001]))
            running[0] -= 1
            await connection.send(ok(b"{}", *([b"Connection: close"] if chance.random() < 0.1 else [])))

    async def run() -> dict[str, list[int]]:
        pairs = [
            pair(b"/orders/%b/%d" % (caller.encode(), at), caller=caller, at=when)
            for at, (caller, when, _) in enumerate(calls)
        ]
        seen: dict[str, list[int]] = defaultdict(list)
        with tempfile.TemporaryDirectory() as folder:
            async with ScriptedUpstream(script) as to:
                done = await replayed(
                    Path(folder), pairs, of_ports({"orders": to.port}), speed=speed, callers_at_once=slots
                )
            for each in to.requests:
                _, _, caller, at = each.target.decode().split("/")
                seen[caller].append(int(at))
        assert done.progress.outcomes.total() == len(calls)
        return seen

    seen = asyncio.run(run())
    for caller in {caller for caller, *_ in calls}:
        assert seen[caller] == [at for at, (name, *_) in enumerate(calls) if name == caller]
    assert running[1] <= slots


FAULTS = st.sampled_from([None, *Fault])


@given(st.lists(st.tuples(FAULTS, st.sampled_from([0, 200, 503])), max_size=120))
def test_the_rule_agrees_with_its_sentence(results: list[tuple[Fault | None, int]]) -> None:
    """More than 10 % of at least 50 could not be sent: no connection, or none that lasted to a response."""
    rule = StopRuleState("orders")
    for at, (fault, status) in enumerate(results, 1):
        rule.add(Response(status, fault=fault), None)
        unsent = sum(
            fault in (Fault.CONNECT, Fault.RESET, Fault.TIMEOUT) and not status for fault, status in results[:at]
        )
        assert (rule.reason() is not None) == (at >= 50 and unsent * 10 > at)
