"""Visits of a real shop, recorded behind a real proxy, and replayed on candidates with other keys, sessions and ids."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from xml.etree import ElementTree as ET

import pytest

from strangler.core.documents import ReplayDocument
from tests.e2e.browsing import chromium
from tests.e2e.journeys import Journey
from tests.http1.proxies import strangler
from tests.recordings import made
from tests.replay.browser_visit import BrowserVisit
from tests.replay.django_apps import PASSWORD, django_shop
from tests.replay.replayed_visits import written_gor
from tests.replay.test_junit import case, check
from tests.replay.visitor import Visitor
from tests.replay.visits import SHOP_STATUSES, shop_visit, sign_in

ROUTES = """\
version: 1
listen: "127.0.0.1:{{port}}"
admin: {{{{listen: "127.0.0.1:{{admin}}"}}}}
workers: 1
state: "{{state}}"
upstreams:
  legacy: {{{{url: "http://127.0.0.1:{}"}}}}
  candidate: {{{{url: "http://127.0.0.1:{}"}}}}
  faulty: {{{{url: "http://127.0.0.1:{}"}}}}
routes:
  - name: shop
    match: {{{{prefix: /}}}}
    candidate: candidate
    split: {{{{percent: 0}}}}
    gate: {{{{min_pairs: 10, min_match: 70%, min_age: 0s}}}}
"""
SANDBOX = "    shadow: {percent: 0, writes: sandbox, to: candidate}\n"
SAFE, WRITES = 10, 8
"""Requests of a visit."""
SECRETS = {"*": {"body:password": PASSWORD}}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    """A shop behind a proxy, another as the candidate, and one with a fault; in each, other orders come first."""
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(name) for name in ("legacy", "candidate", "faulty", "proxy")]
        ports = [
            stack.enter_context(django_shop(folder, others=others, fault=fault))
            for folder, others, fault in zip(folders, (3, 21, 14), ("", "", "total"), strict=False)
        ]
        proxy = stack.enter_context(strangler(ROUTES.format(*ports), folders[3]))
        journey = Journey(folders[3], proxy.port, tuple(folder / "shop.db" for folder in folders[:3]))
        journey.keep_databases()
        journey.recorded("shop.rec", shop_visit, "--no-redact")
        journey.recorded("redacted.rec", shop_visit)
        (journey.folder / "callers.yaml").write_text(json.dumps(SECRETS))
        yield journey


@pytest.fixture(scope="module")
def accepting(shop: Journey) -> Journey:
    """The shop after its first replay: what each shop makes by itself is accepted, and writes have a way."""
    first = shop.replay("shop.rec", "--to", "candidate", "--writes", "sandbox")
    assert first.code == 1, first
    assert "header location" in first.output
    done = shop.run("diffs", "accept", "--source", "replay", "--yes", "--why", "each shop's own", "--owner", "ana")
    assert done.code == 0, done
    shop.write_routes(shop.routes.read_text().replace("    gate:", f"{SANDBOX}    gate:"))
    return shop


def statuses(document: ReplayDocument) -> dict[str, int]:
    return {status: count for status, count in document.statuses.items() if count}


def expected_statuses() -> dict[str, int]:
    return {str(status): SHOP_STATUSES.count(status) for status in sorted({*SHOP_STATUSES})}


def test_without_a_way_for_writes_it_says_what_is_missing(shop: Journey) -> None:
    done = shop.replay("redacted.rec", "--no-inbox", "--to", "candidate", "--junit", "a.xml")
    assert done.code == 1
    assert "secrets are learned from responses or given by --callers and --header" in done.plan
    assert "writes are not sent (a login, a new order); --writes sandbox or --writes dry_run sends them" in done.plan
    assert f"{WRITES} requests not sent: a write {WRITES}\n" in done.output
    assert "  shop: PATCH /api/orders/{}: a write 1\n" in done.output
    assert "  later requests may need these writes; --writes sandbox" in done.output
    assert "left out of requests, since their values are redacted: cookie:sessionid " in done.output
    assert '  --callers gives them by these names: "*": {"cookie:sessionid": "…"}\n' in done.output
    assert "x-forwarded-for" not in done.output, "clients have addresses that nobody has"
    root = ET.parse(shop.folder / "a.xml").getroot()
    check(root)
    assert [child.tag for child in case(root, "POST /payments/")] == ["skipped"]
    assert [child.tag for child in case(root, "GET /api/orders")] == ["failure"]


def test_a_session_that_is_there_already_is_given_to_a_caller(shop: Journey) -> None:
    """No writes are sent: the pages behind the login are read by the cookies of somebody who has signed in by hand."""
    pairs, _ = made.read(shop.folder / "redacted.rec")
    shop.as_new()
    visitor = sign_in(_port(shop, "candidate"))
    cookies = "; ".join(f"{name}={visitor.cookie(name)}" for name in ("sessionid", "csrftoken"))
    (shop.folder / "ada.yaml").write_text(json.dumps({pairs[0].caller: {"Cookie": cookies}}))
    words = ("--speed", "max", "--no-inbox", "--json", "--callers", "ada.yaml")
    found = json.loads(shop.run("replay", "redacted.rec", *words).output)
    assert found["fields_left_out"] == {}
    assert found["statuses"] == {"200": 7, "404": 3}, "signed in; the orders of the recording are not there"


def _port(journey: Journey, upstream: str) -> int:
    (line,) = [line for line in journey.routes.read_text().splitlines() if line.startswith(f"  {upstream}:")]
    return int(line.rpartition(":")[2].rstrip('"}'))


def test_beside_legacy_the_times_of_both_are_judged(shop: Journey) -> None:
    document = shop.replayed("shop.rec", "--against", "legacy", "--fail-on", "difference")
    assert document.reasons == []
    assert (document.sent, document.left_out) == (SAFE, {"a write": WRITES})
    assert document.routes[0].verdict.latency is not None


def test_legacy_and_itself_until_the_rule_is_in_routes_yaml(shop: Journey) -> None:
    """The session of the recording is still there: nobody signs out, and the database stays."""

    def read_twice(port: int) -> Visitor:
        visitor = sign_in(port)
        visitor.visit("GET", "/api/orders")
        visitor.visit("GET", "/api/orders")
        return visitor

    shop.recorded("clock.rec", read_twice, "--no-redact")
    text = shop.routes.read_text()
    done = shop.run("replay", "clock.rec", "--self", "--speed", "max")
    assert done.code == 1
    assert "failed: route 'shop': legacy differs from itself in 2 of 3 pairs" in done.output
    patch = done.output.partition('  - name: "shop"\n')[2].partition("\n1 request")[0]
    assert '{path: "$.at", kind: value' in patch
    shop.routes.write_text(text + patch + "\n")
    done = shop.run("replay", "clock.rec", "--self", "--speed", "max")
    shop.routes.write_text(text)
    assert done.code == 0, done
    assert done.output.splitlines()[-1] == "legacy agrees with itself"


def test_a_visit_with_its_login_runs_on_the_candidate(accepting: Journey) -> None:
    done = accepting.replay("shop.rec", "--no-inbox")
    assert done.code == 0, done
    assert "writes of route 'shop': to the sandbox candidate (" in done.plan
    assert done.output.splitlines()[-1] == "passed"
    with closing(sqlite3.connect(accepting.databases[1])) as orders:
        found = orders.execute("SELECT id, state FROM django_shop_order WHERE id > 21 ORDER BY id").fetchall()
    assert found == [(23, "open")], "two orders were made there, the paid one was merged into the other"


@pytest.mark.parametrize("name", ["shop.rec", "redacted.rec"])
def test_all_of_a_visit_is_as_it_was_recorded(accepting: Journey, name: str) -> None:
    document = accepting.replayed(name, "--callers", "callers.yaml", "--fail-on", "difference")
    assert document.reasons == []
    assert (document.read, document.sent, document.left_out, document.fields_left_out) == (SAFE + WRITES,) * 2 + (
        {},
        {},
    )
    assert statuses(document) == expected_statuses()
    assert document.routes[0].verdict.verdict == "ready"


def test_a_redacted_visit_without_its_password_says_what_is_missing(accepting: Journey) -> None:
    document = accepting.replayed("redacted.rec")
    assert not document.passed
    assert document.fields_left_out["body:password"] == 1
    assert statuses(document) != expected_statuses()


def test_a_wrong_total_is_the_difference_that_is_found(accepting: Journey) -> None:
    done = accepting.replay("shop.rec", "--to", "faulty", "--writes", "sandbox", "--junit", "b.xml")
    assert done.code == 1
    assert "failed: route 'shop': not enough evidence" in done.output
    rows = json.loads(accepting.run("diffs", "--source", "replay", "--state", "new", "--json").output)["signatures"]
    places = {(row["endpoint"], row["path"]) for row in rows}
    assert {path for _, path in places} == {"$.total_cents", "$.orders[*].total_cents", "#total"}
    total = next(row for row in rows if row["endpoint"] == "POST /api/orders")
    assert total["id"][:8] in done.output
    page = accepting.run("diffs", "show", total["id"][:8])
    assert page.code == 0
    assert "POST /api/orders" in page.output
    assert "13400" in page.output
    root = ET.parse(accepting.folder / "b.xml").getroot()
    check(root)
    (failure,) = case(root, "POST /api/orders")
    assert failure.tag == "failure"
    assert "$.total_cents" in (failure.text or "")
    assert list(case(root, "GET /login/")) == []

    verdict = json.loads(accepting.run("ready", "shop", "--json").output)
    assert (verdict["pairs"], verdict["breaking_open"]) == (0, 0), "no gate counts replays unless it says so"
    text = accepting.routes.read_text()
    accepting.write_routes(text.replace("min_age: 0s", "min_age: 0s, from: [live, replay]"))
    verdict = json.loads(accepting.run("ready", "shop", "--json").output)
    assert verdict["pairs"] >= SAFE + WRITES
    assert verdict["matches"] < verdict["pairs"]
    accepting.write_routes(text)


def test_through_the_proxy_requests_are_those_of_clients(accepting: Journey) -> None:
    document = accepting.replayed("shop.rec", "--to", "proxy")
    assert document.arms == {"legacy": SAFE}
    assert (document.sent, document.left_out) == (SAFE, {"a write": WRITES})


def test_a_capture_of_goreplay_is_imported_and_replayed(accepting: Journey) -> None:
    accepting.as_new()
    visit = shop_visit(_port(accepting, "legacy")).recording
    written_gor(accepting.folder / "traffic.gor", visit)
    assert accepting.run("record", "--from", "traffic.gor", "-o", "gor.rec").code == 0
    document = accepting.replayed("gor.rec", "--callers", "callers.yaml", "--fail-on", "difference")
    assert (document.reasons, document.sent) == ([], SAFE + WRITES)


def test_an_access_log_is_imported_and_replayed_beside_legacy(accepting: Journey) -> None:
    line = '127.0.0.1 - - [30/Nov/2026:15:00:0%d +0000] "GET %s HTTP/1.1" 200 9 "-" "Firefox"\n'
    targets = ["/", "/login/", "/", "/login/"]
    (accepting.folder / "access.log").write_text("".join(line % each for each in enumerate(targets)))
    assert accepting.run("record", "--from", "access.log", "-o", "log.rec").code == 0
    document = accepting.replayed("log.rec", "--against", "legacy", "--fail-on", "difference")
    assert (document.reasons, document.routes[0].matches) == ([], len(targets))
    alone = accepting.replayed("log.rec", "--fail-on", "difference")
    assert alone.reasons == ["no pair could be compared"]


def test_the_visit_of_a_browser_is_imported_and_replayed(accepting: Journey) -> None:
    accepting.as_new()
    with chromium("--remote-allow-origins=*") as browser:
        visit = BrowserVisit(browser, accepting.port)
        visit.make()
        visit.write(accepting.folder / "visit.har")
    assert accepting.run("record", "--from", "visit.har", "-o", "har.rec").code == 0
    document = accepting.replayed("har.rec", "--callers", "callers.yaml")
    assert (document.left_out, document.fields_left_out) == ({}, {})
    assert {row.path for row in document.differences if row.severity == "breaking"} == set()
