"""The page of an approval link: whoever has the link may approve, once; looking at it changes nothing."""

import asyncio
import re
import time
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest

from strangler.control.rollout.approval_token import LASTS_S, Approval
from strangler.core.rollout.machine import NoTransitionError
from strangler.core.rollout.position import Position
from strangler.store.store import StoreError
from strangler.times import rfc3339
from tests.control.admin_browser import EVIL, TOKEN, Browser, Open
from tests.control.rollout_documents import Command, FixedRollouts, look, move, rollout
from tests.control.test_dashboard_rollouts import GROUP, WITH, audited, fixed

USERS = "admin: {users: X-Forwarded-User, trusted_proxies: [127.0.0.1], "


class Linked:
    """A link to approve 50 % of carts, and the rollouts that it is for."""

    def __init__(self, opened: Browser, path: str, rollouts: FixedRollouts, approval: Approval) -> None:
        self.opened = opened
        self.path = path
        self.rollouts = rollouts
        self.approval = approval

    @property
    def token(self) -> str:
        return self.path.partition("token=")[2]

    async def get(self, **headers: str) -> tuple[int, str]:
        response = await self.opened.get(self.path, headers=headers)
        return response.status, unescape(await response.text())

    async def post(self, why: str = "", **headers: str) -> tuple[int, str]:
        form = {"token": self.token, "why": why}
        response = await self.opened.post("/rollouts/approve", form, headers=headers)
        return response.status, unescape(await response.text())

    def position(self, **changes: Any) -> None:
        """Let the position be that of the announcement, but for these changes."""
        announced = Position(percent=25.0, announced=self.approval.percent, announced_at=self.approval.at)
        self.rollouts.positions[self.approval.group] = replace(announced, **changes)


async def linked(
    browser: Open, token: str = TOKEN, routes: str = WITH, age_s: float = 0.0, group: str = "carts", **more: Any
) -> Linked:
    opened = await browser(token, routes=routes)
    fields = {"waits_for": "approve", "commands": ["pause", "approve", "back"], "why": "50 % waits for an approval"}
    status = rollout("carts", group=group, **(fields | more))
    rollouts = fixed(opened, FixedRollouts([status, rollout("orders", why="a secret of orders")]))
    at = time.time() - age_s
    approval = Approval(group, 50.0, at, at + LASTS_S)
    url = urlsplit(await opened.state.approvals.url(approval))
    path = url.path.removeprefix("/strangler")  # as the proxy in front does it
    made = Linked(opened, f"{path}?{url.query}", rollouts, approval)
    made.position()

    def approve(command: Command) -> None:
        made.position(approved=command[4])

    rollouts.on_command = approve
    return made


class TestLooking:
    async def test_it_shows_what_it_approves_without_a_login(self, browser: Open) -> None:
        link = await linked(browser, looks=[look(25.0, reasons=["all is well"])])
        status, page = await link.get()
        assert status == 200
        assert "Approve 50 % of carts?" in page
        assert 'id="now">25% ' in page
        assert 'id="then">50% of callers' in page
        assert re.findall(r'<tr data-arm="(\w+)">.*?Requests">(.*?)<', page, re.DOTALL) == [
            ("legacy", "9,000"),
            ("candidate", "3,000"),
        ]
        assert 'id="callers">140 callers' in page
        assert "all is well" in page
        assert rfc3339(link.approval.expires)[:16].replace("T", " ") in page
        assert "<nav" not in page, "the dashboard itself needs the login"

    async def test_all_routes_that_it_moves_are_named(self, browser: Open) -> None:
        link = await linked(browser, routes=GROUP, group="shop")
        _, page = await link.get()
        assert 'id="route">carts, shops<' in page

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_a_preview_changes_nothing(self, browser: Open, method: str) -> None:
        link = await linked(browser)
        for _ in range(3):
            response = await link.opened.client.request(method, link.path)
            assert response.status == 200
        assert link.rollouts.commands == []
        assert await audited(link.opened) == []
        assert (await link.post())[0] == 200, "and the link is as good as before"

    async def test_nothing_leads_the_link_elsewhere_or_keeps_it(self, browser: Open) -> None:
        link = await linked(browser)
        response = await link.opened.get(link.path)
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert "Set-Cookie" not in response.headers
        assert re.findall(r'(?:href|src)="([^/#][^"]*)"', await response.text()) == []

    async def test_a_session_stays_as_it_is(self, browser: Open) -> None:
        """A browser sends no cookie with a link from a chat; a new one would end the session."""
        link = await linked(browser)
        await link.opened.log_in()
        await link.opened.client.session.get(link.opened.client.make_url(link.path), cookies={})
        assert "Rollout of carts" in await link.opened.text("/rollouts/carts")

    async def test_other_methods_are_refused(self, browser: Open) -> None:
        link = await linked(browser)
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
            assert (await link.opened.client.request(method, link.path)).status == 401, "as any path that is none"
        assert link.rollouts.commands == []

    async def test_texts_are_escaped(self, browser: Open) -> None:
        link = await linked(browser, why=EVIL, notes=[EVIL], looks=[look(reasons=[EVIL])])
        response = await link.opened.get(link.path)
        assert "<script>" not in await response.text()

    async def test_it_is_below_the_prefix_of_a_proxy_in_front(self, browser: Open) -> None:
        link = await linked(browser, routes=WITH.replace("admin: {", "admin: {trusted_proxies: [127.0.0.1], "))
        _, page = await link.get(**{"X-Forwarded-Prefix": "/ops"})
        assert 'action="/ops/rollouts/approve"' in page
        links = re.findall(r'(?:href|action|src)="([^"]*)"', page)
        assert [each for each in links if not each.startswith(("/ops/", "#"))] == []


class TestApproving:
    async def test_it_approves_exactly_its_percent(self, browser: Open) -> None:
        link = await linked(browser)
        status, page = await link.post(
            "looks fine", Origin=f"http://{link.opened.client.host}:{link.opened.client.port}"
        )
        assert status == 200
        assert "50 % of carts is approved" in page
        expected = ("carts", "approve", "approval link 127.0.0.1", "looks fine", 50.0, link.approval.at)
        assert link.rollouts.commands == [expected]

    async def test_it_does_so_once(self, browser: Open) -> None:
        link = await linked(browser)
        assert (await link.post())[0] == 200
        approved = move("approve", 25.0, 50.0, actor="approval link 127.0.0.1", at=rfc3339(link.approval.at + 1))
        link.rollouts.statuses[0] = rollout("carts", moves=[approved])
        for status, page in (await link.post(), await link.get()):
            assert status == 409
            assert "50 % of carts is approved already: by approval link 127.0.0.1, " in page
        assert len(link.rollouts.commands) == 1

    async def test_a_user_of_a_trusted_proxy_is_named(self, browser: Open) -> None:
        link = await linked(browser, routes=WITH.replace("admin: {", USERS))
        await link.post(**{"X-Forwarded-User": "ana", "X-Forwarded-For": "203.0.113.7"})
        assert link.rollouts.commands[0][2] == "ana (approval link 203.0.113.7)"

    async def test_a_user_that_nobody_vouches_for_is_not(self, browser: Open) -> None:
        link = await linked(browser)
        await link.post(**{"X-Forwarded-User": "ana", "X-Forwarded-For": "203.0.113.7"})
        assert link.rollouts.commands[0][2] == "approval link 127.0.0.1"

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "file://"])
    async def test_a_page_from_elsewhere_approves_nothing_even_with_the_link(self, browser: Open, origin: str) -> None:
        link = await linked(browser)
        assert (await link.post(Origin=origin))[0] == 403
        assert link.rollouts.commands == []

    @pytest.mark.parametrize(
        ("refusal", "status"), [(NoTransitionError("the rollout is paused"), 409), (StoreError("disk full"), 507)]
    )
    async def test_a_refusal_says_why(self, browser: Open, refusal: Exception, status: int) -> None:
        link = await linked(browser)
        link.rollouts.refusal = refusal
        found, page = await link.post()
        assert found == status
        assert str(refusal) in page

    async def test_a_rollout_that_is_paused_says_so_and_the_link_stays(self, browser: Open) -> None:
        link = await linked(browser, state="paused", commands=["resume", "back"], why="somebody has paused it")
        status, page = await link.get()
        assert status == 409
        assert "somebody has paused it" in page
        assert "<form" not in page
        link.rollouts.statuses[0] = rollout("carts", commands=["approve"])
        assert (await link.get())[0] == 200


class TestNames:
    """The names by which the listener may be reached."""

    async def test_with_a_token_by_any(self, browser: Open) -> None:
        link = await linked(browser)
        assert (await link.get(Host="ops.example"))[0] == 200
        assert (await link.post(Host="ops.example", Origin="https://ops.example"))[0] == 200

    async def test_without_one_by_a_name_of_this_machine_or_that_of_admin_url(self, browser: Open) -> None:
        routes = WITH.replace("admin: {", "admin: {url: 'https://ops.example/strangler', ")
        link = await linked(browser, "", routes)
        assert (await link.get(Host="rebound.example"))[0] == 403
        assert (await link.post(Host="rebound.example", Origin="https://rebound.example"))[0] == 403
        assert link.rollouts.commands == []
        assert (await link.get(Host="ops.example"))[0] == 200
        style = await link.opened.get("/static/dashboard.css", headers={"Host": "ops.example"})
        assert style.status == 200
        assert (await link.opened.get("/", headers={"Host": "ops.example"})).status == 403, "the dashboard is not"
        assert (await link.post(Host="ops.example", Origin="https://ops.example"))[0] == 200

    async def test_a_proxy_in_front_may_change_the_host(self, browser: Open) -> None:
        routes = WITH.replace("admin: {", "admin: {url: 'https://ops.example/strangler', ")
        link = await linked(browser, routes=routes)
        assert (await link.post(Host="127.0.0.1:8081", Origin="https://ops.example"))[0] == 200


class TestNothingToApprove:
    """A link that counts no more tells what has happened to its own rollout, and one that never did tells nothing."""

    @pytest.mark.parametrize(
        ("token", "status"),
        [("", 400), ("x", 400), ("1" + "a" * 160, 403), ("%00", 400), ("%ff%fe", 400), ("1" * 9000, 400)],
        ids=["nothing", "no token", "made up", "a null byte", "no text", "long"],
    )
    async def test_a_made_up_token_learns_nothing(self, browser: Open, token: str, status: int) -> None:
        link = await linked(browser)
        response = await link.opened.get(f"/rollouts/approve?token={token}")
        page = await response.text()
        assert response.status == status
        assert "carts" not in page
        assert "orders" not in page
        assert (await link.opened.post("/rollouts/approve", {"token": token})).status == status
        assert link.rollouts.commands == []

    async def test_a_form_without_a_token_approves_nothing(self, browser: Open) -> None:
        link = await linked(browser)
        for form in ({}, {"why": "x"}, b"\xff\xfe"):
            assert (await link.opened.post("/rollouts/approve", form)).status == 400
        assert (await link.opened.post(link.path, {})).status == 400, "the address alone does not approve"
        assert link.rollouts.commands == []

    async def test_one_of_another_folder_is_not_taken(self, browser: Open) -> None:
        link = await linked(browser)
        changed = link.token[:-1] + ("a" if link.token[-1] != "a" else "e")
        assert (await link.opened.get(f"/rollouts/approve?token={changed}")).status in (400, 403)

    async def test_an_expired_one_says_until_when_it_was_valid(self, browser: Open) -> None:
        link = await linked(browser, age_s=LASTS_S + 60)
        for status, page in (await link.get(), await link.post()):
            assert status == 410
            assert "This link has expired" in page
            assert "50 % of carts still waits: approve it in the dashboard" in page
        assert link.rollouts.commands == []

    async def test_an_expired_one_says_what_has_happened(self, browser: Open) -> None:
        link = await linked(browser, age_s=LASTS_S + 60)
        moves = [
            move("approve", 25.0, 50.0, actor="ana", at=rfc3339(link.approval.at + 5)),
            move("stepped", 25.0, 50.0, "the look was good", at=rfc3339(link.approval.at + 65)),
        ]
        link.rollouts.statuses[0] = rollout("carts", percent=50.0, moves=moves)
        link.position(percent=50.0, announced=None, announced_at=None)
        status, page = await link.get()
        assert status == 410
        assert "is approved already: by ana" in page
        assert "It went from 25 % to 50 %" in page
        assert "The rollout is running at 50 %." in page

    @pytest.mark.parametrize(
        ("changes", "moves", "text"),
        [
            pytest.param(
                {"percent": 5.0, "announced": None},
                [move("failed", 25.0, 5.0, "3 looks in a row were bad", at="2099-01-01T00:00:00.000Z")],
                "It went from 25 % to 5 %, 2099-01-01 00:00 UTC: 3 looks in a row were bad.",
                id="it fell",
            ),
            pytest.param(
                {"announced": 25.0},
                [move("approve", 5.0, 25.0, actor="bob", at="2001-01-01T00:00:00.000Z")],
                "50 % of carts does not wait for this approval any more",
                id="another percent waits, and an earlier approval was another",
            ),
            pytest.param(
                {"announced_at": 4e9}, [], "50 % of carts does not wait for this approval any more", id="announced anew"
            ),
        ],
    )
    async def test_a_spent_one_says_what_has_happened(
        self, browser: Open, changes: dict[str, Any], moves: list[Any], text: str
    ) -> None:
        link = await linked(browser, moves=moves, looks=[look()])
        link.position(**changes)
        for status, page in (await link.get(), await link.post()):
            assert status == 409
            assert text in page
            assert "<form" not in page
            assert "data-arm" not in page, "numbers are for those who may decide"
            assert "orders" not in page, "and other routes are none of theirs"
        assert link.rollouts.commands == []

    async def test_a_rollout_that_was_removed_says_so(self, browser: Open) -> None:
        link = await linked(browser)
        link.approval = Approval("gone", 50.0, link.approval.at, link.approval.expires)
        url = urlsplit(await link.opened.state.approvals.url(link.approval))
        link.path = f"{url.path}?{url.query}"
        for status, page in (await link.get(), await link.post()):
            assert status == 409
            assert "'gone' has no rollout any more" in page


async def test_no_token_is_logged(browser: Open, capfd: pytest.CaptureFixture[str]) -> None:
    link = await linked(browser)
    await link.get()
    await link.get(**{"X-Forwarded-Prefix": "/ops"})
    await link.post(Origin="http://evil.example")
    await link.post()
    await link.opened.get(f"/rollouts/approve?token={link.token}x")
    printed = "".join(capfd.readouterr())
    assert "prefix_ignored" in printed, "this is where it would stand"
    assert link.token[:40] not in printed


async def test_of_two_at_once_one_approves(browser: Open) -> None:
    """Real rollouts: the forms are sent before any of them was followed."""
    plan = "rollout: {steps: [50, 100], approve: [50], gate: never, hold: 1h}"
    opened = await browser(TOKEN, routes=re.sub(r"rollout: \{.*\}", plan, WITH))
    rollouts = opened.state.rollouts
    await rollouts.command("carts", "start", "ana")
    await rollouts.tick()
    position = rollouts.position("carts")
    assert position is not None
    assert position.announced_at is not None
    approval = Approval("carts", 50.0, position.announced_at, position.announced_at + LASTS_S)
    token = (await opened.state.approvals.url(approval)).partition("token=")[2]
    responses = await asyncio.gather(*(opened.post("/rollouts/approve", {"token": token}) for _ in range(4)))
    assert sorted(response.status for response in responses) == [200, 409, 409, 409]
    assert [what for what, _ in await audited(opened)] == ["rollout start", "rollout approve"]
    await rollouts.tick()
    status = rollouts.of("carts")
    assert status is not None
    assert status.percent == 50
    with pytest.raises(NoTransitionError, match="does not wait any more"):
        await rollouts.command("carts", "approve", "eve", percent=50.0, announced_at=position.announced_at)
