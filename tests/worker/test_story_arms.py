"""Which arm answers, and what is told of it."""

from tests.wire.scripted import ScriptedUpstream
from tests.worker.conftest import Serve
from tests.worker.plane import request, two_arms


async def test_the_candidate_answers_what_its_route_sends_to_it(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate))
    answer = await running.ask(request("/api/7"))
    assert (answer.body, answer.values(b"x-strangler-arm")) == (b"candidate", [b"candidate"])
    assert (await running.line())["arm"] == "candidate"
