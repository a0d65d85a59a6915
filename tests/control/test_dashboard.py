"""The dashboard over HTTP: who may see it, what a page says, and that nothing from traffic becomes markup."""

import asyncio
import json
import re
import time
from dataclasses import replace
from datetime import date
from html import escape, unescape
from typing import Any

import pytest
import structlog
from aiohttp import ClientResponse
from structlog.testing import LogCapture

from strangler.control.dashboard import source
from strangler.control.dashboard.charts import Chart, svg
from strangler.control.dashboard.kill_switch_view import MAX_LINES
from strangler.control.dashboard.layout import HEADERS
from strangler.control.dashboard.live import MAX_STREAMS
from strangler.control.dashboard.sessions import COOKIE, LASTS_S, MAX_SESSIONS, SessionsState
from strangler.control.dashboard.view import match_chart
from strangler.core.documents import RecordingRequest
from strangler.core.source import SOURCES
from strangler.state.kill_switch import OFF
from strangler.store.evidence.carry_over import carry_over
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.stored_releases import name_release
from strangler.store.evidence.writing import set_state
from strangler.store.nodes import StoredNode
from tests.control.admin_browser import EVIL, ROUTES, TOKEN, Open
from tests.control.control import take
from tests.store.evidence.pairs import captured, finding_of, json_response, match

LEGACY = {"id": 7, "price": 19.99}
CANDIDATE = {"id": 7, "price": "19.99"}


def difference(legacy: Any = LEGACY, candidate: Any = CANDIDATE, **more: Any) -> Finding:
    return finding_of(json_response(legacy), json_response(candidate), captured(**({"at": time.time()} | more)))


PAGES = [
    "/",
    "/?span=days",
    "/routes/orders",
    "/signatures",
    "/ledger",
    "/explain",
    "/explain?url=/api/orders/7",
    "/config",
]


class TestAccess:
    @pytest.mark.parametrize("path", PAGES)
    async def test_without_a_token_every_page_is_open_on_loopback(self, browser: Open, path: str) -> None:
        assert (await (await browser()).get(path)).status == 200

    @pytest.mark.parametrize("path", [*PAGES, "/signatures/0123"])
    async def test_with_a_token_a_page_leads_to_the_login(self, browser: Open, path: str) -> None:
        response = await (await browser(TOKEN)).get(path)
        assert response.status == 303
        assert response.headers["Location"].startswith("/login?next=")

    async def test_with_a_token_the_api_still_wants_a_bearer(self, browser: Open) -> None:
        this_browser = await browser(TOKEN)
        await this_browser.log_in()
        for path in ("/api/status", "/metrics", "/nowhere"):
            response = await this_browser.get(path)
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await this_browser.get("/api/status", headers={"Authorization": f"Bearer {TOKEN}"})).status == 200

    async def test_probes_are_free(self, browser: Open) -> None:
        this_browser = await browser(TOKEN)
        assert (await this_browser.get("/healthz")).status == 200
        assert (await this_browser.get("/readyz")).status == 503

    async def test_a_bearer_opens_pages_too(self, browser: Open) -> None:
        assert (await (await browser(TOKEN)).get("/", headers={"Authorization": f"Bearer {TOKEN}"})).status == 200

    async def test_the_token_opens_and_leads_on_to_what_was_asked_for(self, browser: Open) -> None:
        this_browser = await browser(TOKEN)
        response = await this_browser.log_in(next="/routes/orders?span=long")
        assert (response.status, response.headers["Location"]) == (303, "/routes/orders?span=long")
        assert "25%" in await this_browser.text("/routes/orders")

    @pytest.mark.parametrize("wrong", ["", "a-long-s3cre", TOKEN + "x", "\udcff", "ü"])
    async def test_a_wrong_token_opens_nothing(self, browser: Open, wrong: str) -> None:
        this_browser = await browser(TOKEN)
        response = await this_browser.log_in(wrong.encode("utf-8", "replace").decode())
        assert response.status == 403
        assert (await this_browser.get("/")).status == 303

    async def test_a_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(self, browser: Open) -> None:
        this_browser = await browser(TOKEN)
        before = (await this_browser.get("/login")).cookies[COOKIE]
        cookie = (await this_browser.log_in()).cookies[COOKIE]
        assert cookie.value != before.value, "a cookie from before the login must not become a session"
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert not cookie["secure"]

    async def test_behind_https_the_cookie_is_secure(self, browser: Open) -> None:
        response = await (await browser()).get("/", headers={"X-Forwarded-Proto": "https"})
        assert response.cookies[COOKIE]["secure"]

    async def test_a_cookie_that_somebody_made_up_is_no_session(self, browser: Open) -> None:
        this_browser = await browser(TOKEN)
        assert (await this_browser.get("/", cookies={COOKIE: "x" * 32})).status == 303

    async def test_logging_out_ends_the_session_itself_not_only_the_cookie(self, browser: Open) -> None:
        this_browser = await browser(TOKEN)
        cookie = (await this_browser.log_in()).cookies[COOKIE].value
        assert (await this_browser.post("/logout", {"mark": await this_browser.mark()})).status == 303
        this_browser.client.session.cookie_jar.clear()
        assert (await this_browser.get("/", cookies={COOKIE: cookie})).status == 303

    @pytest.mark.parametrize(
        "target",
        ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "", "/a\r\nX-Evil: 1"],
    )  # fmt: skip
    async def test_the_login_leads_nowhere_else(self, browser: Open, target: str) -> None:
        this_browser = await browser(TOKEN)
        assert (await this_browser.log_in(next=target)).headers["Location"] == "/"

    async def test_a_foreign_name_that_leads_here_sees_nothing(self, browser: Open) -> None:
        this_browser = await browser()
        for path in ("/", "/live?of=/", "/login"):
            assert (await this_browser.get(path, headers={"Host": "rebound.example"})).status == 403

    async def test_logins_and_refusals_are_in_the_log(self, browser: Open) -> None:
        this_browser, seen = await browser(TOKEN), LogCapture()
        structlog.configure(processors=[seen])
        try:
            await this_browser.log_in("wrong")
            await this_browser.log_in()
        finally:
            structlog.reset_defaults()
        events = [(line["event"], line.get("what")) for line in seen.entries]
        assert events == [("dashboard.login_refused", None), ("audit", "login")]
        assert TOKEN not in str(seen.entries)


class TestActions:
    async def test_the_kill_switch_is_turned_and_audited(self, browser: Open) -> None:
        this_browser = await browser()
        form = {"mark": await this_browser.mark(), "on": "1", "reason": "orders answers nonsense"}
        response = await this_browser.post("/actions/kill-switch", form)
        assert (response.status, response.headers["Location"]) == (303, "/?said=killed")
        assert (this_browser.state.kill_switch.on, this_browser.state.kill_switch.reason) == (
            True,
            "orders answers nonsense",
        )
        assert "orders answers nonsense" in await this_browser.text("/")
        await this_browser.post("/actions/kill-switch", form | {"on": "0", "reason": ""})
        assert not this_browser.state.kill_switch.on
        rows = await this_browser.state.store.call(lambda db: db.execute("SELECT what, detail FROM audit").fetchall())
        assert rows == [("kill-switch", "on"), ("kill-switch", "off")]

    async def test_the_kill_switch_of_a_route_is_turned_on_its_page_and_audited(self, browser: Open) -> None:
        this_browser = await browser()
        form = {"mark": await this_browser.mark("/routes/orders"), "on": "1", "reason": "slow", "route": "orders"}
        assert 'name="route" value="orders"' in await this_browser.text("/routes/orders")
        response = await this_browser.post("/actions/kill-switch", form)
        assert (response.status, response.headers["Location"]) == (303, "/routes/orders?said=route-killed")
        switch = this_browser.state.kill_switch
        assert (switch.on, switch.routes["orders"].reason) == (False, "slow")
        for page in (*PAGES, "/audit", "/routes/orders?said=route-killed"):
            text = await this_browser.text(page)
            assert 'Kill switch on for route <a href="/routes/orders">orders</a>' in text, page
            assert ": slow. All its requests go to legacy." in text, page
        assert 'id="kill-switch">on for 1 route<' in await this_browser.text("/")
        assert "Let the route decide again" in await this_browser.text("/routes/orders")
        response = await this_browser.post("/actions/kill-switch", form | {"on": "0", "reason": ""})
        assert response.headers["Location"] == "/routes/orders?said=route-alive"
        assert "Kill switch on" not in await this_browser.text("/")
        rows = await this_browser.state.store.call(
            lambda db: db.execute("SELECT what, route, why, detail FROM audit").fetchall()
        )
        assert rows == [("kill-switch", "orders", "slow", "on"), ("kill-switch", "orders", "", "off")]

    async def test_the_kill_switch_is_shown_on_every_page(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.state.turn_kill_switch(True, "nonsense", "ana")
        for page in (*PAGES, "/audit"):
            assert ": nonsense. Every request goes to legacy." in await this_browser.text(page), page
        with_token = await browser(TOKEN)
        await with_token.state.turn_kill_switch(True, "hush hush", "ana", "orders")
        assert "hush hush" not in await with_token.text("/login")

    @pytest.mark.parametrize(
        ("form", "status", "words"),
        [
            ({"on": "1", "route": "orders"}, 400, "Say why"),
            ({"on": "1", "route": "ordrs", "reason": "x"}, 404, "did you mean 'orders'?"),
            ({"on": "0", "route": "ordrs"}, 404, "Nothing was changed"),
            ({"on": "1", "route": "chat", "reason": "x"}, 409, "has passthrough: orders"),
        ],
        ids=["no reason", "a slip", "off", "a passthrough route"],
    )
    async def test_a_route_that_cannot_be_turned_is_refused(
        self, browser: Open, form: dict[str, str], status: int, words: str
    ) -> None:
        this_browser = await browser(routes=ROUTES + "  - {name: chat, match: {prefix: /c}, passthrough: orders}\n")
        assert "This route to legacy" not in await this_browser.text("/routes/chat")
        response = await this_browser.post("/actions/kill-switch", form | {"mark": await this_browser.mark()})
        assert (response.status, words in unescape(await response.text())) == (status, True)
        assert this_browser.state.kill_switch == OFF

    async def test_a_route_that_has_gone_is_turned_off_on_any_page(self, browser: Open) -> None:
        this_browser = await browser()
        switch = OFF.turned_for("old/one", True, "", "2026-11-23T08:00:00.000Z")
        for name in (f"route-{number}" for number in range(MAX_LINES + 5)):
            switch = switch.turned_for(name, True, EVIL, "2026-11-23T08:00:00.000Z")
        this_browser.state.workers.turned(switch)
        page = await this_browser.text("/explain")
        assert page.count("routes.yaml has no such route now.") == page.count("Turn it off") == MAX_LINES
        assert "Kill switch on for 6 more routes" in page
        assert "<script>alert" not in page
        form = {"mark": await this_browser.mark(), "on": "0", "route": "old/one"}
        response = await this_browser.post("/actions/kill-switch", form)
        assert (response.status, response.headers["Location"]) == (303, "/?said=route-alive")
        assert "old/one" not in this_browser.state.kill_switch.routes

    async def test_it_is_not_turned_on_without_a_reason(self, browser: Open) -> None:
        this_browser = await browser()
        response = await this_browser.post(
            "/actions/kill-switch", {"mark": await this_browser.mark(), "on": "1", "reason": " "}
        )
        assert (response.status, this_browser.state.kill_switch.on) == (400, False)

    async def test_shadowing_that_has_stopped_is_shown_and_resumed_and_audited(self, browser: Open) -> None:
        this_browser = await browser()
        path, events = "/routes/orders", "shadowing of route &#39;orders&#39; is stopped: no &lt;header&gt;"
        assert "Resume shadowing" not in await this_browser.text(path)
        form = {"mark": await this_browser.mark(), "why": "it confirms now"}
        assert (await this_browser.post("/actions/shadows/orders", form)).status == 409, "there is nothing to resume"
        shadow = this_browser.state.shadow
        shadow.switch.halt(shadow.table.routes["orders"], "no <header>")
        for page in ("/", path):
            assert events in await this_browser.text(page)
        assert "Resume shadowing" in await this_browser.text(path)
        response = await this_browser.post("/actions/shadows/orders", form)
        assert (response.status, response.headers["Location"]) == (303, "/routes/orders?said=resumed")
        assert "is stopped" not in await this_browser.text(path)
        rows = await this_browser.state.store.call(
            lambda db: db.execute("SELECT what, route, why, detail FROM audit").fetchall()
        )
        assert rows == [("shadow resume", "orders", "it confirms now", "no <header>")]

    @pytest.mark.parametrize("name", ["ordrs", "plain"], ids=["no such route", "a route without shadows"])
    async def test_only_routes_with_shadows_are_resumed(self, browser: Open, name: str) -> None:
        this_browser = await browser(routes=ROUTES + "  - {name: plain, match: {prefix: /plain}, candidate: orders}\n")
        response = await this_browser.post(f"/actions/shadows/{name}", {"mark": await this_browser.mark()})
        assert response.status == 404
        assert "Nothing was changed" in await response.text()

    @pytest.mark.parametrize(
        "path",
        [
            "/actions/kill-switch",
            "/actions/signatures/0123",
            "/actions/signatures",
            "/actions/shadows/orders",
            "/actions/ledger",
            "/logout",
        ],
    )
    @pytest.mark.parametrize("mark", ["", "0" * 64, "ü"])
    async def test_a_form_without_its_mark_does_nothing(self, browser: Open, path: str, mark: str) -> None:
        this_browser = await browser()
        await this_browser.text("/")
        response = await this_browser.post(path, {"mark": mark, "on": "1", "reason": "x", "state": "known"})
        assert (response.status, this_browser.state.kill_switch.on) == (403, False)

    @pytest.mark.parametrize("charset", ["bogus", "utf-8"])
    async def test_a_form_that_cannot_be_read_is_refused(self, browser: Open, charset: str) -> None:
        this_browser = await browser()
        kind = f"application/x-www-form-urlencoded; charset={charset}"
        response = await this_browser.client.post(
            "/actions/kill-switch", data=b"mark=\xff", headers={"Content-Type": kind}
        )
        assert response.status in (400, 403)

    async def test_a_cookie_of_that_name_from_another_application_is_replaced(self, browser: Open) -> None:
        this_browser = await browser()
        this_browser.client.session.cookie_jar.update_cookies({COOKIE: "theirs"}, this_browser.client.make_url("/"))
        assert (
            await this_browser.post(
                "/actions/kill-switch", {"mark": await this_browser.mark(), "on": "1", "reason": "x"}
            )
        ).status == 303

    async def test_a_mark_of_another_browser_does_nothing(self, browser: Open) -> None:
        this_browser = await browser()
        mark = await this_browser.mark()
        this_browser.client.session.cookie_jar.clear()
        await this_browser.text("/")
        response = await this_browser.post("/actions/kill-switch", {"mark": mark, "on": "1", "reason": "x"})
        assert (response.status, this_browser.state.kill_switch.on) == (403, False)

    async def test_a_page_from_elsewhere_does_nothing_even_with_the_mark(self, browser: Open) -> None:
        this_browser = await browser()
        form = {"mark": await this_browser.mark(), "on": "1", "reason": "x"}
        response = await this_browser.post("/actions/kill-switch", form, headers={"Origin": "http://evil.example"})
        assert (response.status, this_browser.state.kill_switch.on) == (403, False)

    async def test_actions_need_the_session(self, browser: Open) -> None:
        this_browser = await browser(TOKEN)
        form = {"mark": await this_browser.mark("/login"), "on": "1", "reason": "x"}
        assert (await this_browser.post("/actions/kill-switch", form)).status == 401
        await this_browser.log_in()
        assert (
            await this_browser.post("/actions/kill-switch", form | {"mark": await this_browser.mark()})
        ).status == 303
        assert this_browser.state.kill_switch.on

    async def test_a_get_changes_nothing(self, browser: Open) -> None:
        this_browser = await browser()
        assert (await this_browser.get("/actions/kill-switch?on=1&reason=x")).status == 405

    @pytest.mark.parametrize("state", ["known", "fixed"])
    async def test_a_difference_is_known_or_fixed(self, browser: Open, state: str) -> None:
        this_browser = await browser()
        await this_browser.keep(difference())
        name = await this_browser.signature()
        form = {"mark": await this_browser.mark(), "state": state, "why": "rounding", "owner": "ana", "until": ""}
        response = await this_browser.post(f"/actions/signatures/{name}", form)
        assert response.headers["Location"] == f"/signatures/{name}?said={state}"
        page = await this_browser.text(f"/signatures/{name}")
        assert f">{state}</span>" in page
        assert "rounding" in page
        rows = await this_browser.state.store.call(
            lambda db: db.execute("SELECT what, route, why FROM audit").fetchall()
        )
        assert rows == [(state, "orders", "rounding")]

    async def test_a_page_that_is_older_than_a_new_name_still_works(self, browser: Open) -> None:
        """Somebody has it open while the ledger folds words of the path."""
        this_browser = await browser()
        await this_browser.keep(difference({"a": 1, "b": 1}, {"a": "1", "b": "1"}))
        names = sorted(set(re.findall(r'name="id" value="(\w+)"', await this_browser.text("/signatures"))))
        form = {"mark": await this_browser.mark("/signatures"), "state": "known", "which": "ticked", "why": "rounding"}
        wide = {("orders", "GET /api/orders/{}"): "GET /api/{}/{}"}
        await this_browser.state.store.call(
            lambda connection: carry_over(connection, wide, {}, date(2026, 11, 23), time.time())
        )
        response = await this_browser.post("/actions/signatures", [*form.items(), *(("id", name) for name in names)])
        assert "2 noted as known." in await this_browser.text(response.headers["Location"])
        for name in names:
            assert "GET /api/{}/{}" in await this_browser.text(f"/signatures/{name}")
        fixed = {"mark": form["mark"], "state": "fixed"}
        assert (await this_browser.post(f"/actions/signatures/{names[0]}", fixed)).status == 303
        assert ">fixed</span>" in await this_browser.text(f"/signatures/{names[0]}")

    async def test_to_accept_writes_a_rule_into_routes_yaml(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(difference())
        name = await this_browser.signature()
        form = {
            "mark": await this_browser.mark(),
            "state": "accepted",
            "why": "agreed",
            "owner": "ana",
            "until": "2099-01-31",
        }
        assert (await this_browser.post(f"/actions/signatures/{name}", form)).status == 303
        text = this_browser.state.reload.path.read_text()
        rule = '{path: "$.price", endpoint: "GET /api/orders/{}", kind: type, owner: "ana", until: 2099-01-31'
        assert f'- {rule}, why: "agreed"}}' in text
        assert "# the first to move" in text

    @pytest.mark.parametrize(
        ("form", "status"),
        [
            pytest.param({"state": "accepted", "why": ""}, 400, id="without a reason"),
            pytest.param({"state": "accepted", "why": "x", "until": "soon"}, 409, id="until no day"),
            pytest.param({"state": "new"}, 400, id="a state that is no review"),
            pytest.param({}, 400, id="no state"),
        ],
    )
    async def test_a_review_that_makes_no_sense_changes_nothing(
        self, browser: Open, form: dict[str, str], status: int
    ) -> None:
        this_browser = await browser()
        await this_browser.keep(difference())
        name = await this_browser.signature()
        response = await this_browser.post(f"/actions/signatures/{name}", {"mark": await this_browser.mark(), **form})
        assert response.status == status
        assert this_browser.state.reload.path.read_text() == ROUTES
        assert ">new</span>" in await this_browser.text(f"/signatures/{name}")

    async def test_a_5xx_cannot_be_accepted(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(finding_of(json_response({}), json_response({}, 500), captured(at=time.time())))
        name = await this_browser.signature()
        assert "a 5xx is a failure" in await this_browser.text(f"/signatures/{name}")
        form = {"mark": await this_browser.mark(), "state": "accepted", "why": "x"}
        assert (await this_browser.post(f"/actions/signatures/{name}", form)).status == 409

    async def test_several_are_reviewed_by_one_form(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(difference({"a": 1, "b": 1, "c": 1}, {"a": "1", "b": "1", "c": "1"}))
        names = sorted(set(re.findall(r'name="id" value="(\w+)"', await this_browser.text("/signatures"))))
        assert len(names) == 3
        form = {"mark": await this_browser.mark("/signatures"), "state": "known", "which": "ticked", "why": "rounding"}
        response = await this_browser.post(
            "/actions/signatures", [*form.items(), *(("id", name) for name in names[:2])]
        )
        assert response.status == 303
        page = await this_browser.text(response.headers["Location"])
        assert "2 noted as known." in page
        assert page.count(">known</span>") == 2
        rows = await this_browser.state.store.call(lambda db: db.execute("SELECT who, what, why FROM audit").fetchall())
        assert rows == [("dashboard 127.0.0.1", "known", "rounding")] * 2

    async def test_all_that_filters_choose_are_accepted_in_one_edit(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(
            difference({"a": 1, "b": 1}, {"a": "1", "b": "1"}),
            finding_of(json_response({}), json_response({}, 500), captured(at=time.time())),
            difference({"z": 1}, {"z": 2}),
        )
        page = await this_browser.text("/signatures?severity=breaking")
        assert "all 3 open ones" in page
        form = {"mark": await this_browser.mark("/signatures"), "state": "accepted", "which": "all", "why": "agreed"}
        response = await this_browser.post("/actions/signatures", form | {"by_severity": "breaking"})
        page = await this_browser.text(response.headers["Location"])
        assert "2 noted as accepted. 1 left as they were: a 5xx is a failure" in page
        text = this_browser.state.reload.path.read_text()
        assert text.count("endpoint:") == 2
        assert "$.z" not in text

    async def test_a_form_with_one_unknown_id_does_nothing(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(difference())
        form = [
            ("mark", await this_browser.mark("/signatures")),
            ("state", "known"),
            ("id", await this_browser.signature()),
        ]
        assert (await this_browser.post("/actions/signatures", [*form, ("id", "0123")])).status == 404
        assert (await this_browser.post("/actions/signatures", form[:2])).status == 400
        rows = await this_browser.state.store.call(lambda db: db.execute("SELECT state FROM signatures").fetchall())
        assert rows == [("new",)]

    async def test_a_difference_of_an_earlier_release_is_reviewed_on_its_page(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(difference())
        name = await this_browser.signature()
        await this_browser.state.store.call(lambda db: name_release(db, "orders", "v2", time.time()))
        form = {"mark": await this_browser.mark(), "state": "known", "why": "seen in the former one"}
        assert (await this_browser.post(f"/actions/signatures/{name}", form)).status == 303
        rows = await this_browser.state.store.call(lambda db: db.execute("SELECT state FROM signatures").fetchall())
        assert rows == [("known",)]

    async def test_many_differences_have_pages(self, browser: Open) -> None:
        this_browser = await browser()
        many = {f"key{number:04}": number for number in range(450)}
        for start in range(0, 450, 50):
            part = dict(list(many.items())[start : start + 50])
            await this_browser.keep(difference(part, {key: str(value) for key, value in part.items()}))
        first, second = await this_browser.text("/signatures"), await this_browser.text("/signatures?page=2")
        assert (first.count('name="id"'), second.count('name="id"')) == (300, 150)
        assert "450 differences, page" in first
        assert "all 450 open ones" in second
        assert (await this_browser.text("/signatures?page=99")).count('name="id"') == 150

    async def test_the_list_is_narrowed_by_endpoint_and_noise(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(difference(), difference(target=b"/api/orders/7/lines"))
        page = await this_browser.text("/signatures?endpoint=GET+/api/orders/%7B%7D/lines")
        assert page.count('name="id"') == 1
        assert (await this_browser.text("/signatures?noise=yes")).count('name="id"') == 0
        assert (await this_browser.text("/signatures?noise=no")).count('name="id"') == 2

    async def test_the_list_is_narrowed_by_source_and_says_what_replays_have_seen(self, browser: Open) -> None:
        this_browser = await browser()
        both, replayed = difference(), replace(difference(target=b"/api/orders/7/lines"), source="replay")
        await this_browser.keep(both, replace(both, source="replay"), replayed)
        pages = {name: await this_browser.text(f"/signatures?source={name}") for name in ("", *SOURCES)}
        assert {name: page.count('name="id"') for name, page in pages.items()} == {"": 2, "live": 1, "replay": 2}
        assert "<option selected>replay</option>" in pages["replay"]
        assert "1 of 2 were seen in replays" in pages["live"]
        assert [pages[""].count(f"{seen} were seen in replays") for seen in ("1 of 2", "1 of 1")] == [1, 1]
        (name,) = set(re.findall(r'href="/signatures/(\w+)"', pages["live"]))
        assert "<dt>In replays</dt><dd>1</dd>" in await this_browser.text(f"/signatures/{name}")

    async def test_without_replays_nothing_is_said_of_them(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(difference())
        name = await this_browser.signature()
        assert "in replays" not in await this_browser.text("/signatures")
        assert "In replays" not in await this_browser.text(f"/signatures/{name}")

    async def test_another_order_is_a_hint(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(difference({"items": [1, 2, 3]}, {"items": [3, 2, 1]}))
        assert "the same elements in another order at $.items." in unescape(await this_browser.text("/signatures"))

    async def test_a_rule_for_a_part_of_an_endpoint_is_a_hint(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(difference())
        form = {"mark": await this_browser.mark(), "state": "accepted", "why": "agreed"}
        name = await this_browser.signature()
        assert (await this_browser.post(f"/actions/signatures/{name}", form)).status == 303
        await this_browser.until(lambda: this_browser.state.settings.routes[0].compare.accept)
        wide = {("orders", "GET /api/orders/{}"): "GET /api/{}/{}"}
        await this_browser.state.store.call(
            lambda connection: carry_over(connection, wide, {}, date(2026, 11, 23), time.time())
        )
        await this_browser.keep(difference())
        page = unescape(await this_browser.text("/signatures"))
        assert "route 'orders' for GET /api/orders/{} is for that part of it alone" in page
        assert "that part of it" not in await this_browser.text("/signatures?severity=additive")

    async def test_the_audit_is_a_page_and_what_people_wrote_is_text(self, browser: Open) -> None:
        this_browser = await browser()
        assert "Nothing was changed yet" in await this_browser.text("/audit")
        await this_browser.state.audit(f"eve{EVIL}\x1b[2J", "shift", "orders", f"\u202e{EVIL}", "5 to 25 %")
        page = await this_browser.text("/audit")
        assert "<script>alert" not in page
        assert EVIL in unescape(page)
        assert not any(sign in page for sign in ("\x1b", "\u202e"))
        assert "eve" not in await this_browser.text("/audit?who=ana")

    async def test_what_is_not_there_cannot_be_reviewed(self, browser: Open) -> None:
        this_browser = await browser()
        form = {"mark": await this_browser.mark(), "state": "known"}
        assert (await this_browser.post("/actions/signatures/0123", form)).status == 404


class TestPages:
    async def test_the_overview_says_what_is_recorded_and_for_whom(self, browser: Open) -> None:
        this_browser = await browser()
        assert 'id="recording"' not in await this_browser.text("/")
        recordings = this_browser.state.recordings
        recording = recordings.begin(RecordingRequest(routes=["orders"], share=10, redact=False), f"ana{EVIL}")
        page = await this_browser.text("/")
        assert EVIL not in page
        assert f"Recording by ana{EVIL} since {recording.header.made}" in unescape(page)
        assert "orders, 10 % of the callers, NOT redacted; 0 pairs, 0 dropped" in page
        recordings.end(recording)
        assert 'id="recording"' not in await this_browser.text("/")

    async def test_the_overview_has_the_nodes_that_share_the_store(self, browser: Open) -> None:
        this_browser = await browser()
        assert 'id="nodes"' not in await this_browser.text("/")
        nodes = this_browser.state.fleet.nodes
        others = [
            StoredNode(nodes.node, "1.0", "a" * 64, 0.4, 30),
            StoredNode(f"other{EVIL}", "1.1", "b" * 64, 0.9, 10),
            StoredNode("silent", "1.0", "a" * 64, 14.2, 5),
        ]
        nodes.adopt(others, is_ours=True)
        page = await this_browser.text("/")
        assert EVIL not in page
        rows = {
            name: re.sub(r"<[^>]*>", " ", row).split()
            for name, row in re.findall(r'<tr data-node="([^"]*)">(.*?)</tr>', page, re.DOTALL)
        }
        assert rows[nodes.node] == [nodes.node, "leads", "1.0", "a" * 12, "75%", "0", "s", "ago"]
        assert rows[escape(f"other{EVIL}")][-7:] == ["1.1", "b" * 12, "differs", "25%", "0", "s", "ago"]
        assert rows["silent"] == ["silent", "1.0", "a" * 12, "–", "14", "s", "ago"]
        assert "node 'silent' was heard 14 s ago" in unescape(page)
        assert f"node 'other{EVIL}' has another routes.yaml than most" in unescape(page)

    async def test_the_overview_tells_what_workers_reported(self, browser: Open) -> None:
        this_browser = await browser()
        this_browser.state.history.observe(time.monotonic() - 1, {})
        take(
            this_browser.state,
            {
                ("strangler_requests_total", ("orders", "legacy", "legacy", "2xx")): (1234,),
                ("strangler_requests_total", ("orders", "candidate", "orders", "2xx")): (300,),
                ("strangler_requests_total", ("orders", "candidate", "orders", "5xx")): (100,),
                ("strangler_requests_total", ("", "legacy", "legacy", "2xx")): (366,),
            },
        )
        this_browser.state.history.observe(time.monotonic(), this_browser.state.links.totals.values())
        page = await this_browser.text("/")
        cells = dict(re.findall(r'data-cell="([\w-]+)">\s*(.*?)</', page, re.DOTALL))
        assert cells["candidate-requests"] == "400"
        assert re.search(r'data-cell="legacy-requests">1,234<', page)
        assert re.search(r'data-cell="legacy-requests">366<', page)
        assert '<span class="loud">25%</span>' in page, "a quarter of the candidate's answers were 5xx"
        assert re.search(r'id="share-all">20%<', page)

    async def test_a_service_beside_the_monolith_is_no_part_of_the_candidates_share(self, browser: Open) -> None:
        routes = ROUTES + "  - {name: chat, match: {prefix: /chat}, passthrough: orders}\n"
        this_browser = await browser(routes=routes)
        this_browser.state.history.observe(time.monotonic() - 1, {})
        take(
            this_browser.state,
            {
                ("strangler_requests_total", ("orders", "legacy", "legacy", "2xx")): (300,),
                ("strangler_requests_total", ("orders", "candidate", "orders", "2xx")): (100,),
                ("strangler_requests_total", ("chat", "candidate", "orders", "2xx")): (5000,),
            },
        )
        this_browser.state.history.observe(time.monotonic(), this_browser.state.links.totals.values())
        page = await this_browser.text("/")
        assert re.search(r'id="share-all">25%<', page)
        assert re.search(r'id="share-now">25%<', page)
        assert '<span class="dim">passthrough</span>' in page
        assert "passthrough: always the candidate" in await this_browser.text("/routes/chat")

    async def test_problems_of_routes_yaml_are_told_at_their_lines(self, browser: Open) -> None:
        this_browser = await browser()
        this_browser.state.reload.path.write_text(ROUTES.replace("percent: 25", "percent: 250"))
        await this_browser.until(lambda: this_browser.state.reload.in_force.problems)
        assert "routes.yaml is rejected" in await this_browser.text("/")
        page = unescape(await this_browser.text("/config"))
        assert "split.percent is 250" in page
        assert re.search(r'class="line wrong"><span class="number">11</span>', page)

    async def test_the_file_in_force_is_shown_without_its_secrets(self, browser: Open) -> None:
        this_browser = await browser(routes=ROUTES.replace("${TOKEN:-}", TOKEN))
        await this_browser.log_in()
        await this_browser.until(lambda: this_browser.state.reload.texts)
        page = await this_browser.text("/config")
        assert "# the first to move" in page
        assert TOKEN not in page
        assert "hush" not in page

    async def test_explain_says_what_the_command_says(self, browser: Open) -> None:
        this_browser = await browser()
        page = unescape(await this_browser.text("/explain", params={"url": "/api/orders/7", "headers": "X-User-Id: 3"}))
        assert "bucket 4696 of 10000 for header x-user-id is not below 25% of group 'orders'" in page
        assert re.search(r'id="arm">legacy<', page)

    async def test_explain_says_what_is_wrong_with_a_description(self, browser: Open) -> None:
        page = unescape(await (await browser()).text("/explain", params={"url": "api"}))
        assert "'api' is neither a path nor an http(s) URL" in page

    async def test_a_signature_shows_both_answers_side_by_side(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(difference(), match(at=time.time()))
        page = unescape(await this_browser.text(f"/signatures/{await this_browser.signature()}"))
        (row,) = re.findall(r'<tr class="changed">(.*?)</tr>', page)
        assert '"price": 19.99' in row
        assert '"price": "19.99"' in row
        assert "50%" in page

    async def test_a_route_tells_its_readiness_and_draws_its_charts(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(difference(), match(at=time.time()))
        take(this_browser.state, {("strangler_requests_total", ("orders", "legacy", "legacy", "2xx")): (5,)})
        this_browser.state.history.observe(time.monotonic(), this_browser.state.links.totals.values())
        page = await this_browser.text("/routes/orders")
        assert 'id="verdict"' in page
        assert 'id="pairs">2<' in page
        assert page.count('<svg class="chart"') == 5

    @pytest.mark.parametrize("path", ["/routes/none", "/signatures/none", "/static/none", "/static/..%2Fsite.py"])
    async def test_what_is_not_there_is_not_found(self, browser: Open, path: str) -> None:
        assert (await (await browser()).get(path)).status == 404

    @pytest.mark.parametrize("sample", ["0", "-1", "x", "9" * 5000, "²"])
    async def test_a_sample_that_is_not_there_is_another_one(self, browser: Open, sample: str) -> None:
        this_browser = await browser()
        await this_browser.keep(difference())
        assert "Sample 1 of 1" in await this_browser.text(
            f"/signatures/{await this_browser.signature()}?sample={sample}"
        )

    async def test_many_routes_are_found_by_name(self, browser: Open) -> None:
        more = "".join(f"  - {{name: r{n}, match: {{prefix: /r{n}}}, candidate: orders}}\n" for n in range(300))
        this_browser = await browser(routes=ROUTES + more)
        page = await this_browser.text("/")
        assert page.count("data-route=") == 201
        assert "101 more routes" in page
        assert (await this_browser.text("/?q=r299")).count("data-route=") == 2


class TestHostileTraffic:
    @pytest.mark.parametrize("path", PAGES)
    async def test_every_page_forbids_scripts_but_our_own(self, browser: Open, path: str) -> None:
        response = await (await browser()).get(path)
        assert {name: response.headers[name] for name in HEADERS} == HEADERS
        text = await response.text()
        assert not re.search(r"<script(?! src=)|\sstyle=|<style|\son\w+=|javascript:", text)
        assert "unsafe" not in HEADERS["Content-Security-Policy"]

    async def test_refusals_have_the_same_headers(self, browser: Open) -> None:
        this_browser = await browser(TOKEN)
        for path in ("/", "/login", "/static/dashboard.js", "/live?of=/", "/static/none"):
            response = await this_browser.get(path)
            assert response.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"], path

    async def test_values_of_answers_are_text(self, browser: Open) -> None:
        this_browser = await browser()
        legacy, candidate = {"name": EVIL}, {"name": f'{EVIL}"><img src=x onerror=alert(1)>'}
        lines = f"Host: shop\r\nX-Evil: {EVIL}\r\n".encode()
        await this_browser.keep(
            finding_of(
                json_response(legacy, headers=((b"Content-Language", EVIL.encode()),)),
                json_response(candidate),
                captured(b"/api/orders/" + EVIL.encode(), lines, at=time.time()),
            )
        )
        for path in ("/", "/signatures", "/routes/orders", f"/signatures/{await this_browser.signature()}"):
            text = await this_browser.text(path)
            assert "<script>" not in text
            assert "<img" not in text
        assert EVIL in unescape(text)

    @pytest.mark.parametrize(
        "path",
        [
            f"/explain?url={EVIL}&method={EVIL}&headers={EVIL}&client={EVIL}",
            f"/?q={EVIL}",
            f"/signatures?route={EVIL}",
            f"/?said={EVIL}",
            f"/routes/{EVIL.replace('/', '%2F')}",
        ],
    )
    async def test_what_an_address_says_is_text(self, browser: Open, path: str) -> None:
        assert "<script>" not in await (await (await browser()).get(path)).text()

    async def test_a_reason_for_the_kill_switch_is_text(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.post("/actions/kill-switch", {"mark": await this_browser.mark(), "on": "1", "reason": EVIL})
        page = await this_browser.text("/")
        assert "<script>" not in page
        assert EVIL in unescape(page)


class TestLive:
    async def test_the_stream_sends_the_page_and_again_when_it_changes(self, browser: Open) -> None:
        this_browser = await browser()
        async with this_browser.client.get("/live", params={"of": "/"}) as stream:
            assert stream.content_type == "text/event-stream"
            assert 'id="kill-switch">off<' in await _content(stream)
            await this_browser.state.turn_kill_switch(True, EVIL, "ana")
            page = await _content(stream)
            while 'id="kill-switch">ON<' not in page:
                page = await _content(stream)
            assert "<script>" not in page

    async def test_it_ends_with_the_session(self, browser: Open) -> None:
        this_browser = await browser(TOKEN)
        await this_browser.log_in()
        async with this_browser.client.get("/live", params={"of": "/"}) as stream:
            await _content(stream)
            await this_browser.post("/logout", {"mark": await this_browser.mark()})
            async with asyncio.timeout(5):
                assert b"event: leave" in await stream.content.read()

    async def test_it_ends_when_control_ends_and_holds_nothing_up(self, browser: Open) -> None:
        this_browser = await browser()
        async with this_browser.client.get("/live", params={"of": "/"}) as stream:
            await _content(stream)
            async with asyncio.timeout(5):
                await this_browser.client.app.shutdown()
                while await stream.content.readline():
                    pass

    async def test_it_needs_the_session(self, browser: Open) -> None:
        assert (await (await browser(TOKEN)).get("/live?of=/")).status == 401

    async def test_there_are_only_so_many(self, browser: Open) -> None:
        this_browser = await browser()
        streams = [await this_browser.get("/live?of=/config") for _ in range(MAX_STREAMS)]
        assert (await this_browser.get("/live?of=/")).status == 503
        for stream in streams:
            stream.close()
        async with asyncio.timeout(5):
            while (response := await this_browser.get("/live?of=/")).status == 503:  # noqa: ASYNC110 - seen within a second
                await asyncio.sleep(0.05)
        response.close()

    @pytest.mark.parametrize("of", ["/nowhere", "/api/status", "/explain", "/static/dashboard.js"])
    async def test_it_shows_no_page_but_ours(self, browser: Open, of: str) -> None:
        this_browser = await browser()
        async with this_browser.client.get("/live", params={"of": of}) as stream:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await stream.content.readline()

    @pytest.mark.parametrize("of", ["http://[", "//evil.example/routes/orders", "x"])
    async def test_what_is_no_address_here_is_the_overview(self, browser: Open, of: str) -> None:
        this_browser = await browser()
        async with this_browser.client.get("/live", params={"of": of}) as stream:
            assert "Served by candidates" in await _content(stream)


async def _content(stream: ClientResponse) -> str:
    """The next `content`."""
    async with asyncio.timeout(5):
        while True:
            line = await stream.content.readline()
            if line.startswith(b"data: "):
                found: str = json.loads(line[6:])
                return found


class TestSessions:
    def test_a_session_ends_by_itself(self) -> None:
        now = [0.0]
        sessions = SessionsState(clock=lambda: now[0])
        cookie = sessions.begin(TOKEN)
        now[0] = LASTS_S - 1
        assert sessions.holds(cookie, TOKEN)
        now[0] = LASTS_S
        assert not sessions.holds(cookie, TOKEN)

    def test_a_new_token_ends_all_sessions(self) -> None:
        sessions = SessionsState()
        cookie = sessions.begin(TOKEN)
        assert not sessions.holds(cookie, "another")
        assert not sessions.holds(cookie, TOKEN)

    def test_their_number_is_bounded_and_the_newest_stay(self) -> None:
        sessions = SessionsState()
        cookies = [sessions.begin(TOKEN) for _ in range(MAX_SESSIONS + 1)]
        assert not sessions.holds(cookies[0], TOKEN)
        assert all(sessions.holds(cookie, TOKEN) for cookie in cookies[1:])

    def test_a_mark_is_good_for_its_own_browser_and_process(self) -> None:
        sessions, other = SessionsState(), SessionsState()
        cookie = sessions.begin(TOKEN)
        assert sessions.is_ours(cookie, sessions.mark(cookie))
        assert not sessions.is_ours(sessions.begin(TOKEN), sessions.mark(cookie))
        assert not other.is_ours(cookie, sessions.mark(cookie))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("admin: {token: hush}", "admin: {token: ••••}", id="a token"),
        pytest.param('  X-Api-Key: "a b" # c', "  X-Api-Key: •••• # c", id="a header"),
        pytest.param('token: "${TOKEN:-}"', 'token: "${TOKEN:-}"', id="a variable tells nothing"),
        pytest.param('sticky: ["cookie:sid"]', 'sticky: ["cookie:sid"]', id="a sticky source is no secret"),
        pytest.param("note: s3cret-token", "note: ••••", id="the token wherever it stands"),
        pytest.param("percent: 25", "percent: 25", id="anything else"),
    ],
)
def test_secrets_of_routes_yaml_are_left_out(line: str, expected: str) -> None:
    assert source.lines(line, (), "s3cret-token")[0].text == expected


class TestMatch:
    """One number, as judged now; a gap where nothing was compared."""

    async def test_the_overview_shows_what_the_verdict_says(self, browser: Open) -> None:
        this_browser = await browser()
        await this_browser.keep(difference(), match(at=time.time()), match(at=time.time()))
        await this_browser.state.figures.look()
        assert 'data-cell="match">66.666%' in await this_browser.text("/")
        assert 'id="match">66.666%' in await this_browser.text("/routes/orders")
        name = await this_browser.signature()
        await this_browser.state.store.call(lambda connection: set_state(connection, name, "fixed", time.time()))
        await this_browser.state.figures.look()
        assert 'data-cell="match">100%' in await this_browser.text("/")

    def test_a_chart_has_gaps_and_no_line_through_them(self) -> None:
        points = [(5.0, 1.0), (4.0, 1.0), (3.0, None), (2.0, 1.0), (1.0, None), (0.0, None)]
        drawn = str(svg(Chart("Match of orders", {"match": points}, 5, str, 2)))
        lines = re.findall(
            r'<path[^>]* d="([^"]+)"[^>]*class="line reactive|<path[^>]*class="line reactive[^>]* d="([^"]+)"', drawn
        )
        points_of = [re.findall(r"[\d.]+ [\d.]+", "".join(line)) for line in lines]
        assert [len(points) for points in points_of] == [2, 2]
        assert points_of[1][0] == points_of[1][1]  # a dot

    def test_the_match_of_an_hour_without_pairs_is_a_gap(self) -> None:
        now = 1_795_435_200
        timeline = [{"at": now - 7200, "match": 3, "mismatch": 1}, {"at": now, "not_comparable": 5, "match": 1}]
        chart = str(match_chart(timeline, now + 60, "orders"))
        assert len(re.findall('class="line reactive', chart)) == 2
        assert len(re.findall('class="line reactive', str(match_chart(timeline[:1], now + 60, "orders")))) == 1
        assert match_chart([], now, "orders") is None
        assert match_chart([{"at": now, "not_comparable": 5}], now + 60, "orders") is None
