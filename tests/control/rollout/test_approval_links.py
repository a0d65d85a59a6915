"""Approval links: in what the webhook sends, and nowhere else."""

import asyncio
import base64
import hashlib
import hmac
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from strangler.control.events.webhook import Webhook
from strangler.control.rollout.approval_links import ApprovalLinks, is_pending, link_base
from strangler.control.rollout.approval_token import LASTS_S, Approval, ForgedLinkError
from strangler.core.listener_settings import Address, ServerTlsSettings
from strangler.core.rollout.position import Position
from strangler.core.settings import AdminSettings
from strangler.store.events.event import Event, Kind, encode, event
from strangler.store.events.outbox import Stored
from tests.control.control import in_force
from tests.control.events.test_webhook import HookState
from tests.factories import settings
from tests.served import served

AT = 1_764_500_000.123456
ADMIN = AdminSettings(Address("127.0.0.1", 8081), None)
WAITING: dict[str, Any] = {
    "route": "orders",
    "group": "shop",
    "routes": ["orders", "carts"],
    "from": 25.0,
    "to": 50.0,
    "why": "50 % waits for an approval",
    "at": AT,
    "waits_for": "approve",
    "look": None,
    "notes": [],
}


def links_in(folder: Path, admin: AdminSettings = ADMIN) -> ApprovalLinks:
    return ApprovalLinks(folder, admin)


def body(kind: Kind = Kind.ROLLOUT_WAITING, **more: Any) -> bytes:
    return encode(event(kind, "orders", WAITING | more), "//host/strangler")


def token_of(url: str) -> str:
    (token,) = parse_qs(urlsplit(url).query)["token"]
    return token


async def test_an_event_gets_a_link_that_is_read_again(tmp_path: Path) -> None:
    links = links_in(tmp_path)
    before, after = msgspec.json.decode(body()), msgspec.json.decode(await links.decorated(body()))
    url = after["data"].pop("approve_url")
    assert {**after, "id": "", "time": ""} == {**before, "id": "", "time": ""}
    assert url.startswith("http://127.0.0.1:8081/rollouts/approve?token=")
    assert await links.read(token_of(url), AT) == Approval("shop", 50.0, AT, AT + LASTS_S)


async def test_each_try_has_the_same_link(tmp_path: Path) -> None:
    event_body = body()
    assert await links_in(tmp_path).decorated(event_body) == await links_in(tmp_path).decorated(event_body)


@pytest.mark.parametrize(
    "unchanged",
    [
        pytest.param(body(waits_for="resume"), id="it waits for somebody to resume it"),
        pytest.param(body(Kind.ROLLOUT_STEPPED), id="it has stepped"),
        pytest.param(body(Kind.ROUTE_SHIFTED, why="rollout.waiting"), id="another event that names this one"),
        pytest.param(body(to=None), id="no percent"),
        pytest.param(body(at="today"), id="no time"),
    ],
)
async def test_other_events_go_out_as_they_are(tmp_path: Path, unchanged: bytes) -> None:
    assert await links_in(tmp_path).decorated(unchanged) == unchanged
    assert list(tmp_path.iterdir()) == [], "a key that nobody needs is not made"


async def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    links = links_in(tmp_path)
    bodies = await asyncio.gather(*(links.decorated(body(at=AT)) for _ in range(20)))
    tokens = {token_of(msgspec.json.decode(each)["data"]["approve_url"]) for each in bodies}
    assert len(tokens) == 1
    assert stat.S_IMODE((tmp_path / "approval.key").stat().st_mode) == 0o600
    found = await links_in(tmp_path).read(tokens.pop(), AT)
    assert found.group == "shop", "it survives a restart"


async def test_another_state_folder_does_not_take_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    url = await links_in(tmp_path / "a").url(Approval("shop", 50.0, AT, AT + LASTS_S))
    with pytest.raises(ForgedLinkError):
        await links_in(tmp_path / "b").read(token_of(url), AT)


async def test_without_a_key_the_event_goes_out_without_a_link() -> None:
    links = links_in(Path("/proc"))  # not even root may make a file there
    event_body = body()
    assert await links.decorated(event_body) == event_body


async def test_a_made_up_link_makes_no_key(tmp_path: Path) -> None:
    with pytest.raises(ForgedLinkError):
        await links_in(tmp_path).read("1" + "a" * 160, AT)
    assert list(tmp_path.iterdir()) == []


async def test_a_key_that_cannot_be_read_is_no_wrong_link(tmp_path: Path) -> None:
    (tmp_path / "approval.key").mkdir()
    with pytest.raises(OSError, match="directory"):
        await links_in(tmp_path).read("1" + "a" * 160, AT)


async def test_links_begin_as_the_latest_settings_say(tmp_path: Path) -> None:
    links = links_in(tmp_path)
    approval = Approval("shop", 50.0, AT, AT + LASTS_S)
    links.adopt(in_force(replace(settings(), admin=replace(ADMIN, url="https://ops.example/strangler"))))
    assert (await links.url(approval)).startswith("https://ops.example/strangler/rollouts/approve?token=")


@pytest.mark.parametrize(
    ("admin", "listening", "expected"),
    [
        pytest.param(ADMIN, None, "http://127.0.0.1:8081", id="as it is written"),
        pytest.param(ADMIN, "127.0.0.1:40123", "http://127.0.0.1:40123", id="where it really is"),
        pytest.param(ADMIN, "[::1]:8081", "http://[::1]:8081", id="IPv6"),
        pytest.param(ADMIN, "0.0.0.0:8081", "http://shop-1:8081", id="all addresses have this host's name"),
        pytest.param(ADMIN, "[::]:8081", "http://shop-1:8081", id="those of IPv6, too"),
        pytest.param(
            replace(ADMIN, listen=Address("::", 8081)), None, "http://shop-1:8081", id="not known where it really is"
        ),
        pytest.param(
            replace(ADMIN, tls=ServerTlsSettings(())), "ops.example:8443", "https://ops.example:8443", id="TLS"
        ),
        pytest.param(
            replace(ADMIN, url="https://ops.example/s"), "0.0.0.0:8081", "https://ops.example/s", id="admin.url wins"
        ),
    ],
)
def test_links_begin_where_people_reach_the_listener(
    admin: AdminSettings, listening: str | None, expected: str
) -> None:
    assert link_base(admin, listening, "shop-1") == expected


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        pytest.param(None, False, id="no rollout any more"),
        pytest.param(Position(announced=50.0, announced_at=AT), True, id="exactly that"),
        pytest.param(Position(announced=50.0, announced_at=AT + 0.001), False, id="announced anew"),
        pytest.param(Position(announced=25.0, announced_at=AT), False, id="another percent"),
        pytest.param(Position(announced=50.0, announced_at=AT, approved=50.0), False, id="approved already"),
        pytest.param(Position(announced=50.0, announced_at=AT, approved=25.0), True, id="an earlier step was approved"),
        pytest.param(Position(), False, id="nothing was announced"),
    ],
)
def test_a_link_counts_while_its_announcement_waits(position: Position | None, expected: bool) -> None:
    assert is_pending(position, Approval("shop", 50.0, AT, AT + LASTS_S)) is expected


@pytest.fixture
async def hook() -> AsyncIterator[HookState]:
    state = HookState()
    async with served(state.response) as port:
        state.url = f"http://127.0.0.1:{port}/hook"
        yield state


async def test_the_webhook_signs_what_it_sends(tmp_path: Path, hook: HookState) -> None:
    secret, made = bytes(32), event(Kind.ROLLOUT_WAITING, "orders", WAITING)
    sink = Webhook(hook.url, secret, decorate=links_in(tmp_path).decorated)
    await sink.deliver([_stored(made)])
    await sink.close()
    ((headers, sent),) = hook.got
    assert msgspec.json.decode(sent)["data"]["approve_url"].startswith("http://")
    signed = f"{made.id}.{headers['webhook-timestamp']}.".encode() + sent
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def _stored(made: Event) -> Stored:
    return Stored(1, made.id, made.at, made.subject, encode(made, "//host/strangler"))
