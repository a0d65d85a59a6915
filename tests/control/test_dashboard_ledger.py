"""The pages of the ledger over HTTP: what they say, that nothing from traffic becomes markup, and their forms."""

import re
import time
from html import unescape
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from yarl import URL

from strangler.control.dashboard.cached_ledger import CachedLedgerState
from strangler.control.dashboard.cached_queries import EvidenceState
from strangler.control.dashboard.ledger_view import MAX_ENDPOINTS, MAX_HITS, endpoint_url
from strangler.control.dashboard.pages import Pages
from strangler.core.documents import LedgerEvidence, LedgerHistoryDocument
from tests.control.admin_browser import EVIL, ROUTES, TOKEN, Browser, Open
from tests.control.control import control_of
from tests.control.ledger_documents import FixedLedger, caller, day, document, endpoint, row
from tests.ledger.ledgers import called

RETIRING = """\
  - name: reports
    match: {prefix: /reports}
    retire: {sunset: 2099-03-01, brownouts: [{from: 2099-02-01T09:00Z, to: 2099-02-01T10:00Z}]}
"""
ROWS = (
    row("GET /api/orders/{}", state="splitting", route="orders", owner="ana", legacy=5, candidate=15),
    row("POST /api/orders", route="orders", legacy=4000, last_legacy="2027-02-03T10:00:00.000Z"),
    row(
        "GET /reports/{}",
        state="deletable",
        legacy=2,
        last_legacy="2026-11-03T10:00:00.000Z",
        callers=[caller("nightly-job", 2, 2)],
    ),
    row("GET /wp-login.php", state="probed", probes=900),
)
HOSTILE = f'GET /{EVIL}/"><img src=x onerror=alert(1)>/\u202e{{}}'


def fixed(opened: Browser, ledger: FixedLedger) -> FixedLedger:
    opened.state.ledger = ledger  # type: ignore[assignment]  # it is what the pages need
    return ledger


def endpoints_of(page: str) -> list[str]:
    """Return the endpoints of a list, in its order."""
    table = page.partition('<table class="rows endpoints">')[2].partition("</table>")[0]
    return [unescape(name) for name in re.findall(r"<th scope=\"row\">.*?<code>(.*?)</code>", table)]


class TestList:
    async def test_an_empty_ledger_says_how_it_is_filled(self, browser: Open) -> None:
        opened = await browser()
        fixed(opened, FixedLedger())
        page = await opened.text("/ledger")
        assert "No endpoint is known yet" in page
        assert "strangler ledger import" in page

    @pytest.mark.parametrize("path", ["/ledger", "/ledger/endpoint?endpoint=GET+/x"])
    async def test_a_ledger_that_is_off_says_so(self, browser: Open, path: str) -> None:
        page = await (await browser(routes=ROUTES + "ledger: false\n")).text(path)
        assert "ledger: false" in page
        assert "<table" not in page

    async def test_it_has_progress_states_and_endpoints(self, browser: Open) -> None:
        opened = await browser()
        course = LedgerHistoryDocument([day("2027-02-01", 30, 10)], [day("2026-11", 5)])
        fixed(opened, FixedLedger(document(*ROWS, share=0.2513, left_out=1234), course=course))
        page = await opened.text("/ledger")
        assert 'id="share">25.13%<' in page
        assert re.search(r'data-state="deletable">.*?<strong>1</strong> deletable', page, re.DOTALL)
        assert "its code in legacy can go" in page
        assert "1,234 calls are under" in page
        assert page.count('<svg class="chart"') == 0
        assert len(re.findall(r'<svg[^>]*class="chart"', page)) == 2
        assert endpoints_of(page) == ["POST /api/orders", "GET /api/orders/{}", "GET /reports/{}"]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("?q=REPORTS", ["GET /reports/{}"]),
            ("?q=nightly", ["GET /reports/{}"]),
            ("?q=/api/orders/{id}", ["GET /api/orders/{}"]),
            ("?state=splitting", ["GET /api/orders/{}"]),
            ("?route=(none)", ["GET /reports/{}"]),
            ("?owner=ana", ["GET /api/orders/{}"]),
            ("?sort=endpoint", ["POST /api/orders", "GET /api/orders/{}", "GET /reports/{}"]),
            ("?hidden=1&q=wp-", ["GET /wp-login.php"]),
            ("?q=wp-", []),
        ],
    )
    async def test_it_is_narrowed_by_its_address(self, browser: Open, query: str, expected: list[str]) -> None:
        opened = await browser()
        fixed(opened, FixedLedger(document(*ROWS)))
        assert endpoints_of(await opened.text(f"/ledger{query}")) == expected

    @pytest.mark.parametrize(
        ("text", "covering"),
        [("/users/9", "GET /users/{}"), ("get /users/9", "GET /users/{}"), ("/none/9", None), ("nothing", None)],
    )
    async def test_a_call_leads_to_its_endpoint(self, browser: Open, text: str, covering: str | None) -> None:
        opened = await learned(browser)
        page = await opened.text("/ledger", params={"q": text})
        assert "No endpoint matches." in page
        found = re.search(r'id="covering" href="([^"]+)"', page)
        assert (None if found is None else unescape(found[1])) == (covering and endpoint_url(covering))

    async def test_its_links_sort_by_each_column_and_turn_the_order(self, browser: Open) -> None:
        opened = await browser()
        fixed(opened, FixedLedger(document(*ROWS)))
        page = await opened.text("/ledger")
        links = dict(re.findall(r'<a href="([^"]+)" data-sort="(\w+)"', page))
        assert len(links) == 11
        for href, name in links.items():
            sorted_page = await opened.text(unescape(href))
            assert f'data-sort="{name}"' in sorted_page.partition("aria-sort=")[2]
        turned = await opened.text("/ledger?turn=1")
        assert endpoints_of(turned) == endpoints_of(page)[::-1]

    async def test_five_thousand_rows_are_drawn_in_half_a_second(self, browser: Open) -> None:
        opened = await browser()
        many = (
            row(
                f"GET /shop/{number:04}/{{}}",
                legacy=number,
                callers=[caller(f"app/{n}") for n in range(50)],
                route="orders",
            )
            for number in range(5000)
        )
        fixed(opened, FixedLedger(document(*many)))
        await opened.text("/ledger")
        begun = time.perf_counter()
        page = await opened.text("/ledger?q=SHOP&sort=endpoint&page=2")
        taken = time.perf_counter() - begun
        assert taken < 0.5
        assert len(endpoints_of(page)) == MAX_ENDPOINTS
        assert "4,700 more" in page
        assert "5,000 endpoints, page" in page

    async def test_the_list_is_read_once_for_many_watchers(self, browser: Open) -> None:
        opened = await browser()
        ledger = fixed(opened, FixedLedger(document(*ROWS)))
        for path in ("/ledger", "/ledger?sort=state&state=legacy", "/routes/orders", "/ledger?page=2"):
            await opened.text(path)
        assert ledger.reads == 1


class TestHostileContent:
    """Paths, callers, owners and imported texts are whatever somebody sent."""

    async def test_it_is_text_wherever_it_stands(self, browser: Open) -> None:
        opened = await browser(routes=ROUTES + RETIRING)
        evil = row(
            HOSTILE,
            route="reports",
            owner=f"eve{EVIL}\x1b[2J",
            legacy=9,
            callers=[caller(f"bot{EVIL}\u202e", 9, 9, "2027-02-03T10:00:00.000Z", refused=3, last_refused=None)],
            example=f"/{EVIL}",
            source=EVIL,
            statuses={EVIL: 9},
        )
        found = endpoint(
            evil,
            [day("2027-02-01", 9, statuses={EVIL: 9})],
            text=EVIL,
            command=f"strangler {EVIL}",
            block=f"- {EVIL}\n",
            evidence=LedgerEvidence(EVIL, 5, 4, 1),
            folded=[f"/{EVIL}"],
        )
        fixed(opened, FixedLedger(document(evil), {HOSTILE: found}))
        for path in ("/ledger", endpoint_url(HOSTILE), "/routes/reports", "/routes/reports/refused"):
            page = await opened.text(path)
            assert "<script>" not in page, path
            assert "<img" not in page, path
            visible = re.sub(r' value="[^"]*"', "", page)
            assert not any(sign in visible for sign in ("\x1b", "\u202e")), path
            assert EVIL in unescape(page), path

    @pytest.mark.parametrize(
        "path",
        [
            f"/ledger?q={EVIL}&state={EVIL}&route={EVIL}&owner={EVIL}&sort={EVIL}&page={EVIL}",
            f"/ledger/endpoint?endpoint={EVIL}",
            f"/?span={EVIL}&q={EVIL}",
        ],
    )
    async def test_what_an_address_says_is_text(self, browser: Open, path: str) -> None:
        assert "<script>" not in await (await (await browser()).get(path)).text()

    @pytest.mark.parametrize(
        "name",
        [
            "GET /orders/{}",
            "GET /a b/ü/日本?x=1&y=2#z",
            "POST /%2F/{}+%20;v=1",
            "GET " + "/very-long" * 800,
            "* /{...}",
            "…",
        ],
        ids=["holes", "unicode", "escapes", "long", "any method", "the rest"],
    )
    async def test_any_endpoint_is_reached_by_its_link_and_names_itself_in_its_form(
        self, browser: Open, name: str
    ) -> None:
        opened = await browser()
        fixed(opened, FixedLedger(document(row(name, legacy=1)), {name: endpoint(row(name, legacy=1))}))
        (href,) = re.findall(r'<th scope="row"><a href="([^"]+)"', await opened.text("/ledger"))
        page = await opened.text(unescape(href))
        assert f"<code>{name}</code>" in unescape(page)
        assert f'name="endpoint" value="{name}"' in unescape(page)
        assert re.search(r'data-live="(/live[^"]+)"', page)

    async def test_links_and_forms_are_below_the_prefix_of_a_proxy_in_front(self, browser: Open) -> None:
        opened = await browser(routes=ROUTES.replace("admin: {", "admin: {trusted_proxies: [127.0.0.1], ") + RETIRING)
        shop = row("GET /reports/{}", route="reports", legacy=1, callers=[caller("app/1", refused=2)])
        found = endpoint(shop, evidence=LedgerEvidence("reports", 5, 4, 1))
        fixed(opened, FixedLedger(document(shop), {"GET /reports/{}": found}))
        for path in ("/", "/ledger", endpoint_url("GET /reports/{}"), "/routes/reports", "/routes/reports/refused"):
            page = await opened.text(path, headers={"X-Forwarded-Prefix": "/ops"})
            links = re.findall(r'(?:href|action|src)="([^"]*)"', page)
            assert [link for link in links if not link.startswith(("/ops/", "#", "?"))] == [], path


class TestEndpoint:
    async def test_it_says_who_still_calls_legacy_and_what_is_next(self, browser: Open) -> None:
        opened = await browser()
        name = "GET /api/orders/{}"
        orders = row(
            name,
            state="splitting",
            route="orders",
            legacy=5,
            candidate=1500,
            p95=(61.0, 48.5),
            statuses={"2xx": 1500, "5xx": 5},
            probes=7,
            callers=[caller("okhttp/4", 1500), caller("nightly-job", 5, 5, "2027-02-03T10:00:00.000Z")],
            example="/api/orders/7",
        )
        found = endpoint(
            orders,
            [day("2027-02-01", 3, 700), day("2027-02-03", 2, 800, 7, {"2xx": 800, "5xx": 2})],
            [day("2026-10", 100)],
            text="Raise it.",
            command="strangler shift orders 50",
            block="retire: {sunset: 2027-03-01}\n",
            evidence=LedgerEvidence("orders", 8137, 8134, 2),
            deletable_at="2027-03-05T10:00:00.000Z",
        )
        fixed(opened, FixedLedger(document(orders), {name: found}))
        page = unescape(await opened.text(endpoint_url(name)))
        callers = page.partition('<table class="rows callers">')[2].partition("</table>")[0]
        rows = re.findall(r"<tr><th[^>]*>(.*?)</th>.*?Of legacy\">(.*?)<.*?Last at legacy\">(.*?)<", callers)
        assert rows == [("okhttp/4", "0", "–"), ("nightly-job", "5", "2027-02-03 10:00")]
        assert 'id="p95">61 ms <span class="dim">legacy</span> 48 ms' in page
        assert 'data-status="5xx">5<' in page
        assert 'id="deletable">2027-03-05 10:00' in page
        assert 'id="step">Raise it.<' in page
        assert 'id="step-block">retire: {sunset: 2027-03-01}' in page
        assert "strangler shift orders 50" in page
        assert 'href="/signatures?route=orders&endpoint=GET+%2Fapi%2Forders%2F%7B%7D">2 open differences' in page
        assert "2026-10" in page
        assert len(re.findall(r'<svg[^>]*class="chart"', page)) == 2

    async def test_an_unknown_one_is_not_found(self, browser: Open) -> None:
        opened = await browser()
        fixed(opened, FixedLedger())
        for path in ("/ledger/endpoint?endpoint=GET+/none", "/ledger/endpoint", "/ledger/other"):
            assert (await opened.get(path)).status == 404


class TestHits:
    async def test_a_route_that_ends_says_who_was_hit(self, browser: Open) -> None:
        opened = await browser(routes=ROUTES + RETIRING)
        hit = [
            caller(f"app/{n:03}", 9, refused=n, last_refused="2027-02-01T09:30:00.000Z") for n in range(MAX_HITS + 3)
        ]
        fixed(opened, FixedLedger(document(row("GET /reports/{}", route="reports", callers=hit))))
        assert 'href="/routes/reports/refused"' in await opened.text("/routes/reports")
        page = await opened.text("/routes/reports/refused")
        assert "2099-02-01 09:00 UTC to" in page
        hits = re.findall(r'<th scope="row">(.*?)</th>.*?Refused">(.*?)<.*?Last">(.*?)<', page)
        assert hits[0] == ("app/302", "302", "2027-02-01 09:30")
        assert len(hits) == MAX_HITS
        assert "2 more callers" in page, "app/000 was never refused"

    async def test_a_route_that_stays_has_no_such_page(self, browser: Open) -> None:
        opened = await browser(routes=ROUTES + RETIRING)
        fixed(opened, FixedLedger(document(*ROWS)))
        assert "who was hit" not in await opened.text("/routes/orders")
        for name in ("orders", "none"):
            assert (await opened.get(f"/routes/{name}/refused")).status == 404
        assert "No call of this route was refused" in await opened.text("/routes/reports/refused")

    async def test_a_route_lists_its_endpoints_with_their_states(self, browser: Open) -> None:
        opened = await browser()
        fixed(opened, FixedLedger(document(*ROWS)))
        page = await opened.text("/routes/orders")
        assert endpoints_of(page) == ["POST /api/orders", "GET /api/orders/{}"]
        assert 'class="tag state splitting"' in page
        assert 'href="/ledger?route=orders&amp;hidden=1"' in page
        off = await browser(routes=ROUTES + "ledger: false\n")
        assert "Endpoints of this route" not in await off.text("/routes/orders")


class TestSpans:
    async def test_hours_days_and_months_come_from_the_ledger(self, browser: Open) -> None:
        opened = await browser()
        fixed(opened, FixedLedger(course=LedgerHistoryDocument([day("2027-02-01", 30, 10)], [day("2026-11", 5)])))
        spans = {}
        for span in ("minutes", "hours", "days", "months"):
            page = await opened.text(f"/?span={span}&q=ord")
            spans[span] = re.findall(r"<figcaption>(.*?)</figcaption>", page)
            (current,) = re.findall(r'<a href="([^"]+)" aria-current="true">', page)
            assert unescape(current) == ("/?q=ord" if span == "minutes" else f"/?q=ord&span={span}")
        assert spans == {
            "minutes": ["last 5 minutes", "last 15 minutes"],
            "hours": ["share by hour (UTC), last two days", "requests by hour (UTC), last two days"],
            "days": ["share by day, last 12 weeks", "requests by day, last 12 weeks"],
            "months": ["share by month", "requests by month"],
        }

    @pytest.mark.parametrize("span", ["hours", "days", "months"])
    async def test_they_survive_a_restart_of_control(self, tmp_path: Path, span: str) -> None:
        (tmp_path / "routes.yaml").write_text(ROUTES)
        async with control_of(tmp_path, {}) as control:
            called(control.ledger.state, "GET /users/7", time.time(), calls=3, caller="nightly-job")
        async with control_of(tmp_path, {}) as control:
            content = await Pages(EvidenceState(), CachedLedgerState()).content(control, URL(f"/?span={span}"))
        assert content is not None
        assert "3 by legacy, 0 by candidates" in str(content.context["charts"])

    async def test_without_a_ledger_only_what_memory_holds_is_offered(self, browser: Open) -> None:
        page = await (await browser(routes=ROUTES + "ledger: false\n")).text("/?span=months")
        assert re.findall(r'href="(/\?span=\w+)"', page) == ["/?span=hours"]
        assert "last 5 minutes" in page
        hours = await (await browser(routes=ROUTES + "ledger: false\n")).text("/?span=hours")
        assert re.findall(r"<figcaption>(.*?)</figcaption>", hours) == ["last 6 hours", "last 24 hours"]


class TestForms:
    """Each change is made by the ledger itself, and audited."""

    async def test_an_owner_is_named(self, browser: Open) -> None:
        opened = await learned(browser)
        fields = {"name": f"ana {EVIL}", "why": "it is ours"}
        response = await change(opened, "own", "GET /users/{}", **fields)
        assert response.headers["Location"] == f"{endpoint_url('GET /users/{}')}&said=own"
        page = await opened.text(response.headers["Location"])
        assert "Its owner is noted." in page
        assert "<script>" not in page
        assert f'id="owner">ana {EVIL}<' in unescape(page)
        assert await audited(opened) == [("ledger own", "it is ours")]
        await change(opened, "own", "GET /users/{}", name="")
        assert 'id="owner">nobody<' in await opened.text(endpoint_url("GET /users/{}"))

    async def test_a_path_is_folded_and_unfolded(self, browser: Open) -> None:
        opened = await learned(browser)
        response = await change(opened, "fold", "/shops/{}", page="GET /shops/acme")
        assert response.headers["Location"] == f"{endpoint_url('GET /shops/{}')}&said=fold"
        page = await opened.text(response.headers["Location"])
        assert "are one endpoint now" in page
        assert 'id="calls">3 ' in page, "the calls of both"
        response = await change(opened, "unfold", "GET /shops/{}")
        assert response.status == 303
        assert await audited(opened) == [("ledger fold", ""), ("ledger unfold", "")]

    async def test_an_endpoint_is_ignored_and_shown_again(self, browser: Open) -> None:
        opened = await learned(browser)
        response = await change(opened, "ignore", "GET /users/{}", why="the load balancer")
        assert response.headers["Location"].endswith("&said=ignore")
        assert "GET /users/{}" not in endpoints_of(await opened.text("/ledger"))
        assert "GET /users/{}" in endpoints_of(await opened.text("/ledger?hidden=1"))
        assert (await change(opened, "ignore", "GET /users/{}")).headers["Location"].endswith("&said=shown")
        assert "GET /users/{}" in endpoints_of(await opened.text("/ledger"))

    @pytest.mark.parametrize(
        ("what", "of", "status"),
        [
            pytest.param("own", "GET /none", 409, id="an unknown endpoint"),
            pytest.param("fold", "/shops", 409, id="nothing to fold"),
            pytest.param("unfold", "GET /users/{}", 409, id="a value that was never folded"),
            pytest.param("delete", "GET /users/{}", 400, id="no such change"),
            pytest.param("", "", 400, id="nothing at all"),
        ],
    )
    async def test_what_cannot_be_changed_is_not(self, browser: Open, what: str, of: str, status: int) -> None:
        opened = await learned(browser)
        response = await change(opened, what, of)
        assert response.status == status
        assert await audited(opened) == []

    async def test_without_a_ledger_there_is_nothing_to_change(self, browser: Open) -> None:
        opened = await browser(routes=ROUTES + "ledger: false\n")
        response = await change(opened, "own", "GET /users/{}")
        assert response.status == 404
        assert "ledger: false" in unescape(await response.text())

    @pytest.mark.parametrize("mark", ["", "0" * 64])
    async def test_a_form_of_another_site_changes_nothing(self, browser: Open, mark: str) -> None:
        opened = await learned(browser)
        form = {"mark": mark, "what": "own", "endpoint": "GET /users/{}", "name": "eve"}
        assert (await opened.post("/actions/ledger", form)).status == 403
        assert 'id="owner">nobody<' in await opened.text(endpoint_url("GET /users/{}"))

    async def test_it_needs_the_session(self, browser: Open) -> None:
        opened = await learned(browser, TOKEN)
        form = {"mark": await opened.mark("/login"), "what": "own", "endpoint": "GET /users/{}", "name": "eve"}
        assert (await opened.post("/actions/ledger", form)).status == 401
        await opened.log_in()
        assert (await opened.post("/actions/ledger", form | {"mark": await opened.mark()})).status == 303


async def learned(browser: Open, token: str = "") -> Browser:
    """Return a browser in front of a ledger that has counted calls."""
    opened = await browser(token)
    now = time.time()
    for call, calls in (("GET /users/7", 2), ("GET /shops/acme", 1), ("GET /shops/bolt", 2)):
        called(opened.state.ledger.state, call, now, calls=calls)
    return opened


async def change(opened: Browser, what: str, of: str, **fields: str) -> ClientResponse:
    form = {"mark": await opened.mark(), "what": what, "endpoint": of, "page": of}
    return await opened.post("/actions/ledger", form | fields)


async def audited(opened: Browser) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = await opened.state.store.call(
        lambda db: db.execute("SELECT what, why FROM audit").fetchall()
    )
    return rows
