"""A scripted month of the demo's shop: its endpoints go from the first call to the end, the time being an argument."""

from dataclasses import replace

import msgspec

from strangler.core.ledger_settings import LedgerSettings
from strangler.core.retire_settings import RetireSettings
from strangler.core.settings import RouteSettings, Settings
from strangler.ledger.ledger_queries import Filters, endpoint_document, ledger_document, progress
from strangler.ledger.ledger_state import LedgerState
from tests import factories as f
from tests.ledger.ledgers import sum_of

HOUR = 3600.0
DAY = 24 * HOUR
BEGIN = 20_000 * DAY
QUIET = 7 * DAY
LETTERS = {
    "legacy": "L", "shadowed": "S", "splitting": "%", "cut_over": "C", "quiet": "q", "deletable": "D", "retired": "R",
}  # fmt: skip


class Shop:
    """The shop behind the proxy, hour by hour: its routes of the day, its callers, and the states at each day's end."""

    def __init__(self) -> None:
        self.ledger = LedgerState()
        self.day = 0
        self.routes: dict[str, RouteSettings] = {}
        self.chat = f.route("chat", prefix="/api/chat", candidate="chat", percent=100, is_passthrough=True)
        self.days: dict[str, str] = {}

    @property
    def now(self) -> float:
        return BEGIN + self.day * DAY

    @property
    def settings(self) -> Settings:
        routes = [*self.routes.values(), self.chat]
        return replace(f.settings(routes), ledger=LedgerSettings(quiet_s=QUIET))

    def route(self, route: RouteSettings) -> None:
        """Edit routes.yaml."""
        self.routes[route.name] = route
        self.ledger.adopt(self.settings, self.now)

    def call(self, endpoint: str, at: float, arm: str = "legacy", status: int = 200, caller: str = "Firefox") -> None:
        document = endpoint_document(self.ledger, self.settings, at, endpoint, None)
        route = "" if document is None else document.row.route or ""
        self.ledger.count([sum_of(endpoint, at, arm=arm, status=status, caller=caller, route=route)], QUIET)

    def live(self, calls: dict[str, str], *, is_down: bool = False) -> None:
        """Live for a day: each endpoint is called once an hour, and served by the arms in turn (`lc`: both)."""
        for hour in range(24):
            at = self.now + hour * HOUR
            if is_down:
                continue
            self.ledger.watch.add(at, at + HOUR)
            for endpoint, arms in calls.items():
                arm = {"l": "legacy", "c": "candidate", "-": ""}[arms[hour % len(arms)]]
                self.call(endpoint, at, arm, 200 if arm else 410)
            if hour % 6 == 0:
                self.call("GET /wp-login.php", at, status=404, caller="zgrab")
        self.day += 1
        document = ledger_document(self.ledger, self.settings, self.now, Filters(with_hidden=True))
        for row in document.rows:
            if row.state != "probed":
                self.days[row.endpoint] = self.days.get(row.endpoint, "") + LETTERS[row.state]

    def step(self, endpoint: str) -> str:
        document = endpoint_document(self.ledger, self.settings, self.now, endpoint, None)
        assert document is not None
        return document.next.text

    def assert_is_plain_data(self) -> None:
        """Assert that what a store keeps is read as it was."""
        for name in ("tree", "rows", "watch"):
            value = getattr(self.ledger, name)
            assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


ORDERS, CATALOG, REPORT, CHAT = "GET /api/orders/7", "GET /api/catalog/shoes", "GET /reports/daily", "GET /api/chat/9"


def test_a_month_of_the_shop() -> None:
    shop = Shop()
    alive = {CATALOG: "l", CHAT: "c"}
    for _ in range(2):
        shop.live(alive | {ORDERS: "l", REPORT: "l"})
    shop.route(f.route("orders", prefix="/api/orders", percent=0, shadow=f.shadow()))
    for _ in range(3):
        shop.live(alive | {ORDERS: "l"})
    shop.live(alive, is_down=True)
    shop.live(alive, is_down=True)
    for percent in (25, 25, 50, 50):
        shop.route(f.route("orders", prefix="/api/orders", percent=percent, shadow=f.shadow()))
        shop.live(alive | {ORDERS: "lc"})
    assert "Nobody has called it for 7 days. Announce its end" in shop.step(REPORT)
    shop.route(f.route("orders", prefix="/api/orders", percent=100))
    sunset = int(shop.now + 5 * DAY)
    shop.route(
        f.route(
            "reports", path="/reports/daily", candidate="legacy", retire=RetireSettings(sunset, None, None, 410, ())
        )
    )
    for _ in range(3):
        shop.live(alive | {ORDERS: "c"})
    shop.call(ORDERS, shop.now, "legacy")  # a fallback
    for _ in range(4):
        shop.live(alive | {ORDERS: "c"})
    assert "It is deletable on 2024-10-25 if legacy is not called again." in shop.step(ORDERS)
    shop.live(alive | {ORDERS: "c", REPORT: "-"})
    assert "its callers were Firefox. Tell them" in shop.step(REPORT)
    for _ in range(4):
        shop.live(alive | {ORDERS: "c"})
    assert "Legacy has not served it for 7 days, its candidate has: delete the code" in shop.step(ORDERS)
    shop.assert_is_plain_data()

    assert shop.day == 23
    assert shop.days == {
        "GET /api/orders/{}": "LLSSSSS%%%%CCCCCCCCCDDD",
        "GET /api/catalog/shoes": "L" * 23,
        "GET /reports/daily": "LLLLLLLLqqDDDDDRRRRRRRR",
        "GET /api/chat/{}": "C" * 23,
    }
    reached = progress(shop.ledger, shop.settings, shop.now)
    states = {name: count for name, count in reached.states.items() if count}
    assert states == {"legacy": 1, "cut_over": 1, "deletable": 1, "retired": 1, "probed": 1}
    assert reached.share == 0.5, "of the last week: orders, while the catalog is legacy's, and the chat counts for none"
