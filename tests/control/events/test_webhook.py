"""The webhook: signed, patient, in order, and never the cause of a wait."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from strangler.control.events.delivery import Delivery, Done, Patience
from strangler.control.events.webhook import VARIABLE, SecretError, Webhook, signature, webhook_secret
from strangler.store.connection import Connection
from strangler.store.events import outbox
from strangler.store.events.event import Kind, event
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file
from strangler.store.store import Store
from tests.served import served

SECRET = b"0123456789abcdef01234567"
QUICK = Patience(first_s=0.01, most_s=0.02)


@dataclass(slots=True)
class HookState:
    """A receiver that answers what it is told to, and 200 after that."""

    responses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def response(self, request: web.BaseRequest) -> web.Response:
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        status = self.responses.pop(0) if self.responses else 200
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})

    @property
    def numbers(self) -> list[int]:
        return [msgspec.json.decode(body)["data"]["number"] for _, body in self.got]


@pytest.fixture
async def hook() -> AsyncIterator[HookState]:
    state = HookState()
    async with served(state.response) as port:
        state.url = f"http://127.0.0.1:{port}/hook"
        yield state


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = FileStore(tmp_path / "strangler.db", prepare_file)
    await store.call(lambda connection: outbox.register(connection, ["webhook"]))
    yield store
    await store.close()


async def put(store: Store, *numbers: int, at: float | None = None) -> None:
    events = [event(Kind.ROUTE_SHIFTED, "orders", {"number": number}, at) for number in numbers]
    await store.call(lambda connection: outbox.insert(connection, events, "run", "//host/strangler"))


async def standing(store: Store) -> outbox.Standing:
    return (await store.call(outbox.standings))["webhook"]


@asynccontextmanager
async def delivering(store: Store, hook: HookState, patience: Patience = QUICK) -> AsyncIterator[Delivery]:
    delivery = Delivery(Webhook(hook.url, SECRET, patience), store, lambda _: None)
    task = asyncio.create_task(delivery.run())
    try:
        yield delivery
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await delivery.sink.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def settled(store: Store, done: int) -> outbox.Standing:
    """How the sink stands once so many events are done with, delivered or dead."""
    async with asyncio.timeout(5):
        while True:
            found = await standing(store)
            if found.delivered + found.dead >= done:
                return found
            await asyncio.sleep(0.005)


async def test_a_post_carries_the_event_and_a_signature_that_holds(store: Store, hook: HookState) -> None:
    await put(store, 7)
    async with delivering(store, hook):
        await settled(store, 1)
    ((headers, body),) = hook.got
    sent = msgspec.json.decode(body)
    assert sent["data"] == {"number": 7}
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["webhook-id"] == sent["id"]
    signed = f"{sent['id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the reference libraries of Standard Webhooks."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize("refusal", [500, 503, 429, 302], ids=str)
async def test_what_may_go_away_is_tried_again_with_the_same_id(store: Store, hook: HookState, refusal: int) -> None:
    hook.responses = [refusal, refusal]
    await put(store, 1, 2)
    async with delivering(store, hook):
        found = await settled(store, 2)
    assert hook.numbers == [1, 1, 1, 2]
    assert len({headers["webhook-id"] for headers, _ in hook.got[:3]}) == 1
    assert (found.delivered, found.dead) == (2, 0)


async def test_what_is_refused_for_good_is_a_dead_letter_and_the_next_has_its_turn(
    store: Store, hook: HookState
) -> None:
    hook.responses = [400]
    await put(store, 1, 2)
    async with delivering(store, hook):
        found = await settled(store, 2)
    assert hook.numbers == [1, 2]
    assert (found.delivered, found.dead, found.last_dead) == (1, 1, "status 400")


async def test_an_event_that_is_too_old_is_given_up(store: Store, hook: HookState) -> None:
    hook.responses = [503]
    await put(store, 1, at=1000.0)
    async with delivering(store, hook):
        found = await settled(store, 1)
    assert (found.dead, found.last_dead) == (1, "given up after 86400 s: status 503")


async def test_after_a_restart_the_outbox_goes_on_where_it_was(tmp_path: Path, store: Store, hook: HookState) -> None:
    await put(store, 1, 2, 3)
    hook.responses = [200, *[503] * 1000]
    async with delivering(store, hook) as delivery:
        await until(lambda: delivery.problem == "status 503")
    hook.responses = []
    hook.got.clear()
    async with delivering(store, hook):
        found = await settled(store, 3)
    assert hook.numbers == [2, 3]
    assert (found.backlog, found.delivered) == (0, 3)


async def test_a_receiver_that_is_away_is_told_of_and_waited_for(store: Store, hook: HookState) -> None:
    away = HookState(url="http://127.0.0.1:1/hook")
    await put(store, 1)
    async with delivering(store, away) as delivery:
        await until(lambda: delivery.problem)
        assert "127.0.0.1:1" in str(delivery.problem)
    assert (await standing(store)).backlog == 1


async def test_a_store_that_fails_meanwhile_loses_nothing(store: Store, hook: HookState) -> None:
    await put(store, 1)

    def fail(connection: Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(Exception, match="disk"):
        await store.call(fail)
    async with delivering(store, hook):
        found = await settled(store, 1)
    assert found.delivered == 1


async def test_a_bug_in_a_sink_is_told_and_does_not_end_it(store: Store, hook: HookState) -> None:
    class Odd(Webhook):
        async def deliver(self, events: Sequence[outbox.Stored]) -> Done:
            if not bugs:
                return await super().deliver(events)
            raise ValueError(bugs.pop())

    bugs = ["a bug"]
    await put(store, 1)
    delivery = Delivery(Odd(hook.url, SECRET, QUICK), store, lambda _: None)
    task = asyncio.create_task(delivery.run())
    await until(lambda: delivery.problem)
    assert delivery.problem == "ValueError('a bug')"
    delivery.hint()
    await settled(store, 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await delivery.sink.close()


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    secret = webhook_secret(tmp_path, {})
    file = tmp_path / "webhook.secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().startswith("whsec_")
    assert webhook_secret(tmp_path, {}) == secret
    assert len(secret) == 32


def test_a_secret_of_the_environment_wins(tmp_path: Path) -> None:
    given = "whsec_" + base64.b64encode(SECRET).decode()
    assert webhook_secret(tmp_path, {VARIABLE: given}) == SECRET
    assert not (tmp_path / "webhook.secret").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param("whsec_???", "must be whsec_ and base64", id="no base64"),
        pytest.param("whsec_c2hvcnQ=", "at least 24 bytes", id="too short"),
    ],
)
def test_a_secret_that_is_none_is_refused(tmp_path: Path, given: str, message: str) -> None:
    with pytest.raises(SecretError, match=f"^{VARIABLE}: .*{message}"):
        webhook_secret(tmp_path, {VARIABLE: given})
