"""The counts of rollouts that a worker sends: each request once, about once a second, bounded whatever comes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.http.headers import ForwardedFields
from strangler.core.http.trust import TrustedProxies
from strangler.core.rollout.caller_sketch import MAX_BUSIEST
from strangler.core.rollout.evidence import StepCounts
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import RouteSettings
from strangler.http1.request import parse_request
from strangler.ipc.messages import FrameReader, RolloutBatch, ToControl, encode_frame
from strangler.worker.call import Call
from strangler.worker.rollout_counts import MAX_IN_BATCH, MAX_SUMS, SEND_EVERY_S, RolloutCounting
from strangler.worker.rollout_sums import caller_hash
from tests import factories
from tests.core.rollout.draws import BOUNDS_S
from tests.http1.scripted import ScriptedUpstream, hang, in_turn, read_request, responding, send
from tests.worker.conftest import Serve
from tests.worker.plane import fallback, request, response, two_arms
from tests.worker.rollout_counted import by_arm, totals

FORWARDED = ForwardedFields("127.0.0.1", b"http", TrustedProxies(()))


class CountingControl:
    """A link whose other end keeps the batches, as it reads them from frames."""

    def __init__(self) -> None:
        self.is_connected = True
        self.has_room = True
        self.offered = 0
        self.batches: list[RolloutBatch] = []

    def offer(self, message: ToControl) -> bool:
        self.offered += 1
        if self.has_room:
            frames: FrameReader[ToControl] = FrameReader(ToControl)
            self.batches += [each for each in frames.feed(encode_frame(message)) if isinstance(each, RolloutBatch)]
        return self.has_room


@dataclass(frozen=True)
class Served:
    """A request that is over."""

    key: str = "ana"
    status: int = 200
    duration_s: float = 0.012
    route: str = "orders"


class Worker:
    """The counting of a worker, with a clock that the test turns."""

    def __init__(self) -> None:
        self.control = CountingControl()
        self.counting = RolloutCounting(self.control)
        self.now = 100.0

    def serve(self, snapshot: Snapshot, *served: Served) -> None:
        for each in served:
            call = call_of(snapshot, each)
            route = call.plan.route
            assert route is not None
            self.counting.count(call, route, each.duration_s)

    def tick(self, seconds: float = SEND_EVERY_S) -> None:
        self.now += seconds
        self.counting.tick(self.now)


def call_of(snapshot: Snapshot, served: Served) -> Call:
    head = f"GET /{served.route} HTTP/1.1\r\nHost: shop\r\nX-User-Id: {served.key}\r\n\r\n"
    call = parse_request(head.encode(), FORWARDED, Call)
    assert isinstance(call, Call)
    call.snapshot = snapshot
    call.plan = snapshot.plan(call, lambda: 0.5)
    call.status = served.status
    call.end = None
    call.is_fallback = False
    return call


def snapshot(percent: float = 100, generation: int = 1, names: Sequence[str] = ("orders",)) -> Snapshot:
    routes: list[RouteSettings] = [
        factories.route(name, candidate="orders", percent=percent, rollout=RolloutSettings()) for name in names
    ]
    return Snapshot(factories.settings(routes), generation)


@pytest.fixture
def worker() -> Worker:
    return Worker()


# ── when it is sent ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_counts_are_sent_once_and_not_more_often_than_needed(worker: Worker) -> None:
    made = snapshot()
    for _ in range(20):
        worker.serve(made, Served())
        worker.tick(SEND_EVERY_S / 5)
    assert len(worker.control.batches) == 4
    worker.tick()
    assert by_arm(worker.control.batches) == {"candidate": (20, 0)}
    worker.tick()
    assert len(worker.control.batches) == 5, "there is nothing more to send"


def test_without_requests_nothing_is_sent(worker: Worker) -> None:
    worker.tick()
    assert worker.control.offered == 0
    assert worker.counting.finish() == []


def test_while_control_is_away_counts_are_summed_up(worker: Worker) -> None:
    made = snapshot()
    worker.control.is_connected = False
    for _ in range(3):
        worker.serve(made, Served(), Served(status=500))
        worker.tick()
    assert worker.control.offered == 0
    worker.control.is_connected = True
    worker.tick(0.05)
    (batch,) = worker.control.batches
    assert len(batch.counts) == 1
    assert by_arm([batch]) == {"candidate": (6, 3)}


def test_a_full_link_gets_the_counts_later_and_once(worker: Worker) -> None:
    made = snapshot()
    worker.serve(made, Served())
    worker.control.has_room = False
    worker.tick()
    worker.serve(made, Served(status=503))
    worker.tick(0.05)
    assert worker.control.offered == 1, "it is not offered with every tick"
    worker.control.has_room = True
    worker.tick()
    worker.tick()
    assert by_arm(worker.control.batches) == {"candidate": (2, 1)}
    assert worker.counting.finish() == []


def test_many_routes_are_sent_in_several_batches_one_in_a_tick(worker: Worker) -> None:
    names = [f"r{number}" for number in range(2 * MAX_IN_BATCH + 7)]
    worker.serve(snapshot(names=names), *(Served(route=name) for name in names))
    for _ in range(4):
        worker.tick(0.05)
    assert [len(batch.counts) for batch in worker.control.batches] == [MAX_IN_BATCH, MAX_IN_BATCH, 7]
    assert {route for route, _ in totals(worker.control.batches)} == set(names)


def test_a_worker_that_ends_sends_all_that_is_left(worker: Worker) -> None:
    names = [f"r{number}" for number in range(MAX_IN_BATCH + 2)]
    made = snapshot(names=names)
    worker.serve(made, *(Served(route=name) for name in names))
    worker.control.has_room = False
    worker.tick()
    worker.serve(made, Served(route="r0"))
    assert by_arm(worker.counting.finish()) == {"candidate": (len(names) + 1, 0)}


# ── what is in it ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_requests_of_two_generations_are_two_entries(worker: Worker) -> None:
    former, latter = snapshot(25, 1), snapshot(50, 2)
    worker.serve(former, Served())
    worker.serve(latter, *(Served(f"caller {number}") for number in range(20)))
    worker.serve(former, Served(status=500))
    worker.tick()
    found = totals(worker.control.batches)
    assert {key: each.legacy.requests + each.candidate.requests for key, each in found.items()} == {
        ("orders", 1): 2,
        ("orders", 2): 20,
    }
    assert len(worker.control.batches[0].counts) == 2


async def test_a_request_belongs_to_the_generation_that_it_began_with(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), hang())
    made = two_arms(legacy, candidate, rollout=RolloutSettings())
    running = await serve(made)
    client = await running.client()
    await client.send(request())
    connection = await candidate.wait_for_connection()
    await running.until(lambda: candidate.requests)
    running.adopt(made, generation=2)
    candidate.script = responding(send(response()))
    await running.ask(request())
    await connection.send(response())
    await client.response()
    found = totals(running.context.rollouts.finish())
    assert {key: each.candidate.requests for key, each in found.items()} == {("orders", 1): 1, ("orders", 2): 1}


@pytest.mark.parametrize("percent", [100, 99.99, 50])
async def test_callers_of_the_candidate_are_known_by_their_sticky_key(
    percent: float, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    made = two_arms(legacy, candidate, percent=percent, rollout=RolloutSettings())
    running = await serve(made)
    client = await running.client()
    served = Counter[str]()
    for number in range(12):
        for _ in range(1 + number % 3):
            reply = await client.ask(request("/api", f"X-User-Id: caller {number}"))
            served[f"caller {number}"] += reply.body == b"candidate"
    callers = totals(running.context.rollouts.finish())["orders", 1].callers
    expected = {caller_hash(name.encode()): requests for name, requests in served.items() if requests}
    assert {caller: busy.counts.requests for caller, busy in callers.busiest.items()} == expected
    assert abs(callers.callers - len(expected)) <= 1


async def test_requests_without_a_sticky_key_are_counted_by_chance_and_belong_to_nobody(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate, percent=50, rollout=RolloutSettings()))
    client = await running.client()
    served = Counter([(await client.ask(request())).body for _ in range(40)])
    counts = totals(running.context.rollouts.finish())["orders", 1]
    assert (counts.legacy.requests, counts.candidate.requests) == (served[b"legacy"], served[b"candidate"])
    assert counts.callers.callers == 0
    assert counts.callers.busiest == {}


async def test_times_are_those_of_the_metrics_and_a_fallback_is_the_candidates(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), send(response(503)))
    running = await serve(two_arms(legacy, candidate, rollout=RolloutSettings(), fallback=fallback()))
    await running.ask(request("/api", "X-User-Id: ana"))
    counts = totals(running.context.rollouts.finish())["orders", 1]
    (cell,) = next(running.numbers.report_all()).histograms
    assert cell.labels == ("orders", "legacy")
    assert counts.candidate.buckets == tuple(cell.buckets)
    assert counts.callers.busiest_caller == replace(counts.callers.busiest_caller, requests=1, failed=1)
    assert counts.legacy.requests == 0


@pytest.mark.parametrize(("trusted", "counted"), [(("127.0.0.1/32",), 1), ((), 2)], ids=["trusted", "anybody"])
async def test_a_shadow_is_counted_for_nobody_if_a_trusted_proxy_has_sent_it(
    trusted: tuple[str, ...], counted: int, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    made = two_arms(legacy, candidate, rollout=RolloutSettings(), general={"trusted_proxies": trusted})
    running = await serve(made)
    await running.ask(request("/api", "X-Strangler-Shadow: 1", "X-User-Id: ana"))
    await running.ask(request("/api", "X-User-Id: ana"))
    assert by_arm(running.context.rollouts.finish()) == {"candidate": (counted, 0)}


def test_a_request_that_a_bug_ended_is_neither_arms(worker: Worker) -> None:
    worker.serve(snapshot(), Served(status=0))
    assert worker.counting.finish() == []


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_of_60_kb_is_a_caller_of_8_bytes(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    made = two_arms(legacy, candidate, rollout=RolloutSettings(), limits={"header_bytes": 128 * 1024})
    running = await serve(made)
    for last in (b"a", b"b"):
        await running.ask(b"GET /api HTTP/1.1\r\nHost: shop\r\nX-User-Id: %b%b\r\n\r\n" % (b"x" * 60_000, last))
    (batch,) = running.context.rollouts.finish()
    assert len(encode_frame(batch)) < 500
    assert totals([batch])["orders", 1].callers.callers == 2


def test_whatever_the_keys_a_message_stays_small(worker: Worker) -> None:
    random = Random(7)
    made = snapshot()
    for _ in range(5000):
        worker.serve(made, Served(f"{random.getrandbits(64):x}" * random.choice((1, 1, 1, 1, 500)), 500, 9.0))
    worker.tick()
    (batch,) = worker.control.batches
    assert len(batch.counts[0].busiest) <= MAX_BUSIEST
    assert len(encode_frame(batch)) < 1500
    assert batch.counts[0].candidate.requests == 5000


def test_waiting_sums_are_bounded_and_later_settings_come_first(worker: Worker) -> None:
    worker.control.is_connected = False
    names = [f"r{number}" for number in range(MAX_SUMS + 3)]
    former, latter = snapshot(names=names), snapshot(generation=2, names=names[:2])
    worker.serve(former, *(Served(route=name) for name in names))
    assert by_arm(worker.counting.finish()) == {"candidate": (MAX_SUMS, 0)}
    worker.serve(former, *(Served(route=name) for name in names))
    worker.serve(latter, Served(route="r0"), Served(route="r1", status=500))
    worker.serve(former, Served(route="r2"))
    assert {key: each.candidate.requests for key, each in totals(worker.counting.finish()).items()} == {
        ("r0", 2): 1, ("r1", 2): 1, ("r2", 1): 1,
    }  # fmt: skip


# ── several workers ──────────────────────────────────────────────────────────────────────────────────────────────────

SNAPSHOTS = [snapshot(percent, generation, ("orders", "carts")) for generation, percent in ((1, 50), (2, 100))]
served = st.builds(
    Served,
    key=st.integers(0, 40).map(str) | st.just("bot"),
    status=st.sampled_from([200, 404, 500]),
    duration_s=st.sampled_from([0.001, 0.03, 1.0, 60.0]),
    route=st.sampled_from(["orders", "carts"]),
)
serves = st.tuples(st.sampled_from(SNAPSHOTS), served)
deeds = st.lists(st.tuples(st.integers(0, 2), serves | st.sampled_from(["tick", "away", "full"])), max_size=120)


@settings(deadline=None, max_examples=60)
@given(deeds)
def test_the_batches_of_all_workers_make_the_counts_of_all_requests(
    some: list[tuple[int, tuple[Snapshot, Served] | str]],
) -> None:
    """Whenever each of them sends, and whether or not control can be reached then."""
    workers, alone = [Worker() for _ in range(3)], Worker()
    for number, deed in some:
        worker = workers[number]
        if not isinstance(deed, str):
            worker.serve(deed[0], deed[1])
            alone.serve(deed[0], deed[1])
        elif deed == "tick":
            worker.tick()
        elif deed == "away":
            worker.control.is_connected = not worker.control.is_connected
        else:
            worker.control.has_room = not worker.control.has_room
    sent = [batch for worker in workers for batch in (*worker.control.batches, *worker.counting.finish())]
    found, expected = totals(sent), totals(alone.counting.finish())
    assert found.keys() == expected.keys()
    for key, counts in found.items():
        assert (counts.legacy, counts.candidate) == (expected[key].legacy, expected[key].candidate)
        assert counts.callers.registers == expected[key].callers.registers
        _holds_its_guarantee(counts, [deed for _, deed in some if not isinstance(deed, str)], key)


def _holds_its_guarantee(counts: StepCounts, some: list[tuple[Snapshot, Served]], key: tuple[str, int]) -> None:
    """A caller's counter lacks at most a 17th of the requests, and its requests are never too many."""
    assert len(counts.candidate.buckets) in (0, len(BOUNDS_S) + 1)
    requests = Counter(
        caller_hash(served.key.encode())
        for made, served in some
        if (served.route, made.generation) == key and call_of(made, served).plan.arm == "candidate"
    )
    assert requests.total() == counts.candidate.requests
    for caller, count in requests.items():
        busy = counts.callers.busiest.get(caller)
        counter = 0 if busy is None else busy.counter
        assert 0 <= count - counter <= requests.total() / (MAX_BUSIEST + 1)
        assert busy is None or counter <= busy.counts.requests <= count
