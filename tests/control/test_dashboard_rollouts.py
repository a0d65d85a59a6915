"""The pages of rollouts over HTTP: the ladder, why it waits, the looks, the moves, and the commands."""

import re
from html import unescape

import pytest
from aiohttp import ClientResponse

from strangler.control.rollout.climbs import UnknownRolloutError
from strangler.core.rollout.machine import NoTransitionError
from strangler.store.store import StoreError
from tests.control.admin_browser import EVIL, ROUTES, TOKEN, Browser, Open
from tests.control.rollout_documents import FixedRollouts, look, move, rollout

ROLLOUT = """\
  - name: carts
    match: {prefix: /carts}
    candidate: orders
    split: {sticky: ["header:X-User-Id"]}
    rollout: {steps: [1, 5, 25, 50, 100], approve: [50], hold: 30m, within: "mon-fri 09:00-17:00 UTC"}
"""
WITH = ROUTES + ROLLOUT
GROUP = WITH.replace("split: {sticky", "split: {group: shop, sticky") + ROLLOUT.replace("carts", "shops").replace(
    "split: {sticky", "split: {group: shop, sticky"
)


def fixed(opened: Browser, rollouts: FixedRollouts) -> FixedRollouts:
    opened.state.rollouts = rollouts  # type: ignore[assignment]  # it is what the pages need
    return rollouts


def ladder_of(page: str) -> list[tuple[str, str]]:
    """Return the percents of the ladder with the word of their place."""
    return re.findall(r'<li class="rung (\w+)".*?data-percent="([\d.]+)"', page)


def forms(page: str) -> list[str]:
    return re.findall(r'<form method="post" action="/actions/rollouts/[^"]+" class="review" id="([^"]+)"', page)


class TestList:
    async def test_without_any_it_says_what_to_write(self, browser: Open) -> None:
        opened = await browser()
        fixed(opened, FixedRollouts())
        page = await opened.text("/rollouts")
        assert "No route has a rollout" in page
        assert "steps: [1, 5, 25, 50, 100]" in page
        assert "<table" not in page

    async def test_it_says_where_each_stands_and_why(self, browser: Open) -> None:
        opened = await browser()
        waiting = rollout("carts", group="shop", state="waiting", percent=0.0, waits_for="start", why="it waits")
        fixed(opened, FixedRollouts([rollout(until="2026-11-30T09:30:00.000Z"), waiting]))
        page = unescape(await opened.text("/rollouts"))
        assert 'href="/rollouts/orders"' in page
        assert "the candidate has served 120 of 500 requests" in page
        assert "2026-11-30 09:30" in page
        assert "waits to be started" in page
        assert "group shop" in page
        assert "3 of 5" in page


class TestLadder:
    @pytest.mark.parametrize(
        ("percent", "expected"),
        [
            (0.0, [("here", "0"), ("ahead", "1"), ("ahead", "5"), ("ahead", "25"), ("ahead", "50"), ("ahead", "100")]),
            (
                25.0,
                [
                    ("reached", "0"),
                    ("reached", "1"),
                    ("reached", "5"),
                    ("here", "25"),
                    ("ahead", "50"),
                    ("ahead", "100"),
                ],
            ),
            (
                30.5,
                [
                    ("reached", "0"),
                    ("reached", "1"),
                    ("reached", "5"),
                    ("reached", "25"),
                    ("here", "30.5"),
                    ("ahead", "50"),
                    ("ahead", "100"),
                ],
            ),
        ],
        ids=["not begun", "on a step", "on a percent that is no step"],
    )
    async def test_it_has_each_step_and_where_it_stands(
        self, browser: Open, percent: float, expected: list[tuple[str, str]]
    ) -> None:
        opened = await browser(routes=WITH)
        fixed(opened, FixedRollouts([rollout("carts", percent=percent)]))
        page = await opened.text("/rollouts/carts")
        assert ladder_of(page) == expected
        assert page.count('aria-current="step"') == 1
        assert page.count("by approval") == 1
        assert page.count("no step") == (percent == 30.5)

    async def test_higher_steps_are_drawn_higher(self, browser: Open) -> None:
        opened = await browser(routes=WITH)
        fixed(opened, FixedRollouts([rollout("carts")]))
        heights = [
            float(text) for text in re.findall(r'height="([\d.]+)"/></svg>', await opened.text("/rollouts/carts"))
        ]
        assert heights == sorted(heights)
        assert len(set(heights)) == 6


class TestRollout:
    async def test_it_says_why_it_waits_and_has_both_arms_and_who_moved_it(self, browser: Open) -> None:
        opened = await browser(routes=WITH)
        looks = [
            look(5.0, at="2026-11-30T08:00:00.000Z"),
            look(25.0, "not_enough", (9000, 12, None), (120, 1, 48.5), 7, ["120 of 500 requests"]),
        ]
        moves = [
            move("start", 0.0, 0.0, "the first one", "ana"),
            move("stepped", 5.0, 25.0, "the look was good", at="2026-11-30T08:30:00.000Z"),
        ]
        status = rollout(
            "carts", looks=looks, moves=moves, until="2026-11-30T09:30:00.000Z", failed_looks=1, notes=["shadows: none"]
        )
        fixed(opened, FixedRollouts([status]))
        page = unescape(await opened.text("/rollouts/carts"))
        assert 'id="why">the candidate has served 120 of 500 requests on this step<' in page
        assert 'id="waits">for evidence<' in page
        assert 'id="until">2026-11-30 09:30 UTC<' in page
        assert "shadows: none" in page
        arms = re.findall(r'<tr data-arm="(\w+)">.*?Requests">(.*?)<.*?Failed">(\d+)', page, re.DOTALL)
        assert arms == [("legacy", "9,000", "12"), ("candidate", "120", "1")]
        table = page.partition('class="rows looks"')[2].partition("</table>")[0]
        assert re.findall(r'<th scope="row">(.*?)</th>', table) == ["2026-11-30 09:00", "2026-11-30 08:00"]
        assert "120 of 500 requests" in table
        table = page.partition('class="rows moves"')[2].partition("</table>")[0]
        assert re.findall(r'Who">(.*?)<', table) == ["by itself", "ana"]
        assert "mon-fri 09:00-17:00 UTC" in page
        assert "30m" in page

    async def test_the_numbers_are_those_of_the_step_that_it_is_on(self, browser: Open) -> None:
        opened = await browser(routes=WITH)
        fixed(opened, FixedRollouts([rollout("carts", looks=[look(5.0)])]))
        page = await opened.text("/rollouts/carts")
        assert 'id="arms"' not in page
        assert 'class="rows looks"' in page

    async def test_earlier_looks_are_folded_up(self, browser: Open) -> None:
        opened = await browser(routes=WITH)
        looks = [look(at=f"2026-11-30T08:{minute:02}:00.000Z") for minute in range(20)]
        fixed(opened, FixedRollouts([rollout("carts", looks=looks)]))
        first, folded = (await opened.text("/rollouts/carts")).split("<details>")
        assert re.findall(r"08:(\d\d)</th>", first) == ["19", "18", "17", "16", "15"]
        assert "15 earlier looks" in folded
        assert re.findall(r"08:(\d\d)</th>", folded) == [f"{minute:02}" for minute in range(14, -1, -1)]

    async def test_routes_of_its_group_are_named(self, browser: Open) -> None:
        opened = await browser(routes=GROUP)
        fixed(opened, FixedRollouts([rollout("carts", group="shop"), rollout("shops", group="shop")]))
        page = await opened.text("/rollouts/carts")
        assert re.search(r'id="others">moves as one with <a href="/rollouts/shops">shops</a> \(group shop\)', page)

    async def test_a_route_without_one_says_how_to_have_one(self, browser: Open) -> None:
        opened = await browser(routes=WITH)
        fixed(opened, FixedRollouts())
        page = await opened.text("/rollouts/orders")
        assert "orders has no rollout" in page
        assert "in place of <code>split.percent</code>" in page

    async def test_what_is_not_there_is_not_found(self, browser: Open) -> None:
        opened = await browser(routes=WITH)
        fixed(opened, FixedRollouts())
        for path in ("/rollouts/none", "/rollouts/approve", "/rollouts/carts/more"):
            assert (await opened.get(path)).status == 404

    async def test_a_route_that_is_named_like_the_link_has_its_page(self, browser: Open) -> None:
        opened = await browser(TOKEN, routes=WITH.replace("carts", "approve"))
        fixed(opened, FixedRollouts([rollout("approve")]))
        assert (await opened.get("/rollouts/approve")).headers["Location"].startswith("/login")
        await opened.log_in()
        assert "Rollout of approve" in await opened.text("/rollouts/approve")

    async def test_looking_changes_nothing(self, browser: Open) -> None:
        opened = await browser(routes=WITH)
        rollouts = fixed(opened, FixedRollouts([rollout("carts")]))
        for path in ("/rollouts", "/rollouts/carts", "/rollouts/orders"):
            await opened.text(path)
        assert rollouts.commands == []
        assert await audited(opened) == []


class TestElsewhere:
    async def test_links_and_forms_are_below_the_prefix_of_a_proxy_in_front(self, browser: Open) -> None:
        opened = await browser(routes=GROUP.replace("admin: {", "admin: {trusted_proxies: [127.0.0.1], "))
        status = rollout("carts", group="shop", commands=["start", "pause", "resume", "approve", "back"])
        fixed(opened, FixedRollouts([status, rollout("shops", group="shop")]))
        for path in ("/rollouts", "/rollouts/carts", "/rollouts/orders"):
            page = await opened.text(path, headers={"X-Forwarded-Prefix": "/ops"})
            links = re.findall(r'(?:href|action|src)="([^"]*)"', page)
            assert [link for link in links if not link.startswith(("/ops/", "#"))] == [], path

    async def test_the_overview_and_the_route_say_where_it_stands(self, browser: Open) -> None:
        opened = await browser(routes=WITH)
        fixed(opened, FixedRollouts([rollout("carts", waits_for="approve")]))
        overview = await opened.text("/")
        found = re.findall(r'data-cell="rollout" href="([^"]+)">(.*?)</a>', overview)
        assert found == [("/rollouts/carts", "running, step 3 of 5")]
        page = await opened.text("/routes/carts")
        assert 'href="/rollouts/carts">running, step 3 of 5, waits for an approval</a>' in page
        assert 'id="rollout"' not in await opened.text("/routes/orders")

    async def test_names_and_reasons_are_text(self, browser: Open) -> None:
        opened = await browser(routes=WITH)
        evil = rollout(
            "carts",
            why=f"{EVIL}\u202e",
            notes=[EVIL],
            looks=[look(reasons=[EVIL])],
            moves=[move("pause", 5.0, 5.0, EVIL, f"{EVIL}\x1b[2J")],
        )
        fixed(opened, FixedRollouts([evil]))
        for path in ("/rollouts", "/rollouts/carts"):
            page = await opened.text(path)
            assert "<script>" not in page
            assert not any(sign in page for sign in ("\x1b", "\u202e"))
            assert EVIL in unescape(page)

    async def test_each_input_has_a_label_and_each_column_a_heading(self, browser: Open) -> None:
        opened = await browser(routes=WITH)
        status = rollout("carts", commands=["start", "pause", "resume", "approve", "back"], looks=[look()], moves=[])
        fixed(opened, FixedRollouts([status]))
        for path in ("/rollouts", "/rollouts/carts"):
            page = await opened.text(path)
            bare = re.sub(r"<label.*?</label>", "", page, flags=re.DOTALL)
            assert re.findall(r'<input (?!type="hidden")[^>]*>', bare) == []
            assert "<caption" in page
            assert re.findall(r"<th\b(?![^>]*scope)[^>]*>", page) == []


class TestCommands:
    @pytest.mark.parametrize(
        ("commands", "expected"),
        [
            (["start"], ["start"]),
            (["pause", "approve", "back"], ["approve-50", "pause", "back"]),
            (["resume", "back"], ["resume", "back"]),
            ([], []),
        ],
        ids=["waiting", "running", "paused", "none"],
    )
    async def test_there_is_a_button_for_what_can_be_done_now(
        self, browser: Open, commands: list[str], expected: list[str]
    ) -> None:
        opened = await browser(routes=WITH)
        fixed(opened, FixedRollouts([rollout("carts", commands=commands)]))
        assert forms(await opened.text("/rollouts/carts")) == expected

    @pytest.mark.parametrize("command", ["start", "pause", "resume", "approve", "back"])
    async def test_a_button_gives_its_command_with_who_and_why(self, browser: Open, command: str) -> None:
        opened = await browser(routes=WITH)
        rollouts = fixed(opened, FixedRollouts([rollout("carts", commands=[command])]))
        percent = 50.0 if command == "approve" else None
        response = await submit(opened, "/rollouts/carts", why="it is time", confirmed="1")
        assert response.headers["Location"] == f"/rollouts/carts?said=rollout-{command}"
        assert rollouts.commands == [("carts", command, "dashboard 127.0.0.1", "it is time", percent, None)]
        assert 'class="said' in await opened.text(response.headers["Location"])

    async def test_the_way_back_is_confirmed(self, browser: Open) -> None:
        opened = await browser(routes=WITH)
        rollouts = fixed(opened, FixedRollouts([rollout("carts", commands=["back"])]))
        response = await submit(opened, "/rollouts/carts", why="oh no")
        assert response.status == 400
        assert "Tick the box" in await response.text()
        assert rollouts.commands == []
        assert 'name="confirmed" value="1" required' in await opened.text("/rollouts/carts")

    @pytest.mark.parametrize(
        ("refusal", "status"),
        [
            pytest.param(UnknownRolloutError("route 'carts' has no rollout"), 404, id="no rollout"),
            pytest.param(NoTransitionError("the rollout is paused"), 409, id="not possible now"),
            pytest.param(StoreError("disk full"), 507, id="not stored"),
        ],
    )
    async def test_a_refusal_says_why(self, browser: Open, refusal: Exception, status: int) -> None:
        opened = await browser(routes=WITH)
        fixed(opened, FixedRollouts([rollout("carts", commands=["start"])], refusal=refusal))
        response = await submit(opened, "/rollouts/carts")
        assert response.status == status
        assert str(refusal) in unescape(await response.text())

    @pytest.mark.parametrize("fields", [{"command": "fly"}, {"command": ""}, {"command": "approve", "percent": "x"}])
    async def test_what_is_no_command_moves_nothing(self, browser: Open, fields: dict[str, str]) -> None:
        opened = await browser(routes=WITH)
        rollouts = fixed(opened, FixedRollouts([rollout("carts")]))
        mark = await opened.mark("/rollouts/carts")
        assert (await opened.post("/actions/rollouts/carts", {"mark": mark, **fields})).status == 400
        assert rollouts.commands == []

    @pytest.mark.parametrize("mark", ["", "0" * 64])
    async def test_a_form_of_another_site_moves_nothing(self, browser: Open, mark: str) -> None:
        opened = await browser(routes=WITH)
        rollouts = fixed(opened, FixedRollouts([rollout("carts")]))
        await opened.text("/rollouts/carts")
        assert (await opened.post("/actions/rollouts/carts", {"mark": mark, "command": "start"})).status == 403
        assert rollouts.commands == []

    async def test_it_needs_the_session(self, browser: Open) -> None:
        opened = await browser(TOKEN, routes=WITH)
        rollouts = fixed(opened, FixedRollouts([rollout("carts", commands=["start"])]))
        form = {"mark": await opened.mark("/login"), "command": "start"}
        assert (await opened.post("/actions/rollouts/carts", form)).status == 401
        assert rollouts.commands == []
        await opened.log_in()
        assert (await submit(opened, "/rollouts/carts")).status == 303


async def submit(opened: Browser, path: str, **fields: str) -> ClientResponse:
    """Send the only form for a command on a page, with these fields filled in."""
    page = await opened.text(path)
    (form,) = re.findall(r'<form method="post" action="(/actions/rollouts/[^"]+)"(.*?)</form>', page, re.DOTALL)
    action, content = form
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', content))
    return await opened.post(unescape(action), hidden | fields)


async def audited(opened: Browser) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = await opened.state.store.call(
        lambda db: db.execute("SELECT what, why FROM audit").fetchall()
    )
    return rows
