"""`strangler explain`: the words, the JSON, the exit codes, and that it says what the proxy does."""

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from strangler.cli import main
from strangler.core.routing.arm import Reason
from strangler.core.routing.explain import explain
from strangler.core.routing.snapshot import Snapshot
from strangler.core.routing.split import bucket
from strangler.core.settings import AggregatePart, RouteSettings
from strangler.http1.request_text import described_head
from strangler.state import kill_switch
from strangler.state.kill_switch import KilledRoute, KillSwitchState
from tests.factories import head, route, settings, shadow

ROUTES = """
version: 1
upstreams:
  legacy: {url: http://127.0.0.1:8000}
  orders: {url: http://127.0.0.1:8001}
routes:
  - name: orders
    match: {prefix: /api/orders}
    candidate: orders
    split: {percent: 25, sticky: ["header:X-User-Id", "cookie:sid"]}
    rewrite: {prefix: /v2/orders}
    shadow: {percent: 10, methods: [GET]}
  - name: users
    match: {path: "/users/{id}", host: users.example}
    candidate: orders
    split: {percent: 100}
  - name: visitors
    match: {prefix: /visitors}
    candidate: orders
    split: {percent: 50, sticky: [client_ip]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "routes.yaml"
    file.write_text(ROUTES)
    return file


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["explain", "-c", str(config), *arguments])


def response(config: Path, *arguments: str) -> dict[str, Any]:
    result = run(config, "--json", *arguments)
    assert result.exit_code == 0, result.output
    data: dict[str, Any] = json.loads(result.output)
    return data


def test_the_text_names_route_arm_and_why(config: Path) -> None:
    result = run(config, "GET", "/api/orders/7?x=1", "-H", "X-User-Id: 9")
    at = bucket("orders", b"9")
    assert result.exit_code == 0
    assert dict(line.split(None, 1) for line in result.output.splitlines()) == {
        "route": "orders",
        "arm": "legacy",
        "upstream": "legacy",
        "path": "/api/orders/7",
        "bucket": str(at),
        "timeouts": "connect 2s (default), response 60s (default), idle 60s (default)",
        "shadow": "10% of such requests",
        "reason": f"bucket {at} of 10000 for header x-user-id is not below 25% of group 'orders'",
    }
    assert at >= 2500


def test_json_has_the_promised_keys(config: Path) -> None:
    name = next(str(n) for n in range(100) if bucket("orders", b"%d" % n) < 2500)
    at = bucket("orders", name.encode())
    assert response(config, "GET", "/api/orders/7?x=1", "-H", f"X-User-Id: {name}") == {
        "route": "orders",
        "owner": None,
        "arm": "candidate",
        "upstream": "orders",
        "reason": "percent",
        "bucket": at,
        "path": "/v2/orders/7",
        "parts": None,
        "timeouts": {
            "connect": {"seconds": 2.0, "source": "default"},
            "response": {"seconds": 10.0, "source": "default"},
            "idle": {"seconds": 60.0, "source": "default"},
        },
        "shadow": False,
        "shadow_percent": 0,
        "detail": f"bucket {at} of 10000 for header x-user-id is below 25% of group 'orders'",
    }


def test_an_exception_from_a_route_stays_at_legacy_and_says_so(config: Path) -> None:
    exception = "  - {name: export, match: {prefix: /users/export}, candidate: legacy}\n"
    config.write_text(ROUTES.replace('path: "/users/{id}", host: users.example', "prefix: /users") + exception)
    assert response(config, "GET", "/users/7")["arm"] == "candidate"
    found = response(config, "GET", "/users/export/7")
    assert (found["route"], found["arm"], found["upstream"], found["path"], found["shadow"]) == (
        "export", "legacy", "legacy", "/users/export/7", False
    )  # fmt: skip
    assert found["detail"] == "route 'export' has candidate: legacy"


def test_a_service_beside_the_monolith_is_named_and_the_kill_switch_leaves_it_alone() -> None:
    made = Snapshot(settings([route("chat", prefix="/chat", is_passthrough=True, fallback=None)]), 1)
    for killed in (False, True):
        found = explain(made, head("/chat/7"), killed=killed)
        assert (found.arm, found.upstream) == ("candidate", made.settings.routes[0].candidate)
        assert found.detail == f"route 'chat' has passthrough: {found.upstream}"


def test_an_aggregate_s_parts_are_named() -> None:
    parts = (*PARTS, AggregatePart("payment", "payments", "/pay/{id}?x=1", False, None))
    made = settings([route("page", path="/pages/{id}", candidate=None, aggregate=parts)])
    found = explain(Snapshot(made, 1), head("/pages/%20a?lang=de"))
    assert found.upstream == "aggregate"
    usual = {
        name: {"seconds": seconds, "source": "default"}
        for name, seconds in (("connect", 2.0), ("response", 60.0), ("idle", 60.0))
    }
    more: dict[str, Any] = {"timeout_s": None, "timeouts": usual}
    assert found.timeouts is None
    assert msgspec.to_builtins(found.parts) == [
        {"name": "order", "upstream": "orders", "path": "/v2/orders/%20a", "required": True, **more},
        {"name": "payment", "upstream": "payments", "path": "/pay/%20a?x=1", "required": False, **more},
    ]


def test_a_cookie_is_a_sticky_key_too(config: Path) -> None:
    found = response(config, "GET", "/api/orders", "-H", "Cookie: a=b; sid=xyz")
    assert found["bucket"] == bucket("orders", b"xyz")
    assert "for cookie sid" in found["detail"]


def test_a_repeated_header_is_one_key(config: Path) -> None:
    fields = ("-H", "X-User-Id: b", "-H", "X-User-Id: a")
    found = response(config, "GET", "/api/orders", *fields)
    assert found["bucket"] == bucket("orders", b"a\0b") != bucket("orders", b"b, a")
    assert "for header x-user-id" in found["detail"]


def test_an_empty_header_is_a_key_before_the_cookie(config: Path) -> None:
    found = response(config, "GET", "/api/orders", "-H", "X-User-Id:", "-H", "Cookie: sid=xyz")
    assert found["bucket"] == bucket("orders", b"")
    assert "for header x-user-id" in found["detail"]


def test_the_clients_address_can_be_said(config: Path) -> None:
    found = response(config, "GET", "/visitors", "--client", "203.0.113.9")
    assert found["bucket"] == bucket("visitors", b"203.0.113.9")
    assert "the client's address" in found["detail"]


def test_the_host_comes_from_the_url_or_a_header(config: Path) -> None:
    assert response(config, "GET", "https://users.example:8443/users/7")["route"] == "users"
    assert response(config, "GET", "/users/7", "-H", "Host: users.example")["route"] == "users"
    assert response(config, "GET", "/users/7")["route"] is None


def test_chance_is_said_with_its_share(config: Path) -> None:
    assert "arm       legacy (the likelier one)" in run(config, "GET", "/api/orders").output
    found = response(config, "GET", "/api/orders")
    assert (found["reason"], found["bucket"]) == ("chance", None)
    assert found["detail"] == (
        "none of header x-user-id, cookie sid is present: by chance, 25% of such requests go to the candidate"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["GET", "orders"], "neither a path nor an http(s) URL"),
        (["GET", "ftp://x/y"], "neither a path nor an http(s) URL"),
        (["GET", "/a#b"], "has a fragment"),
        (["GET", "/a b"], "has white space"),
        (["GET", "/", "-H", "X-User-Id"], "is not a header"),
        (["GET", "/", "-H", "X: a\r\nY: b"], "no line breaks"),
        (["GET", "/", "-H", "X Y: b"], "the proxy would respond with 400"),
        (["G(T", "/"], "the proxy would respond with"),
        (["CONNECT", "/"], "the proxy would respond with 405"),
        (["GET"], "Missing argument"),
        (["GET", "/", "--colour"], "No such option"),
    ],
)
def test_bad_input_is_2_and_says_why(config: Path, arguments: list[str], message: str) -> None:
    result = run(config, *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_bad_file_is_2_with_all_its_problems(config: Path) -> None:
    config.write_text(
        ROUTES.replace("percent: 25", "percent: 250").replace(
            "candidate: orders\n    split: {percent: 100}", "candidate: ordrs"
        )
    )
    result = run(config, "GET", "/")
    assert result.exit_code == 2
    assert "split.percent" in result.output
    assert "did you mean" in result.output


def test_a_missing_file_is_2(tmp_path: Path) -> None:
    result = run(tmp_path / "none.yaml", "GET", "/")
    assert result.exit_code == 2
    assert "none.yaml" in result.output


PARTS = (AggregatePart("order", "orders", "/v2/orders/{id}", True, None),)
WORDS = [
    pytest.param(route("r", enabled=False), {}, "route 'r' has enabled: false", id="disabled"),
    pytest.param(route("r"), {}, "split.percent is 100: every request goes to the candidate", id="percent 100"),
    pytest.param(route("r", percent=0), {}, "split.percent is 0: every request goes to legacy", id="percent 0"),
    pytest.param(route("r", override="X-Arm"), {"X-Arm": "legacy"}, "header x-arm names legacy", id="override"),
    pytest.param(
        route("r", split_headers={"X-Beta": "1"}),
        {"X-Beta": "1"},
        "header x-beta: 1 is one of split.headers",
        id="header",
    ),
    pytest.param(
        route("r", percent=0.01, sticky=()),
        {},
        "the split has no sticky keys: by chance, 0.01% of such requests go to the candidate",
        id="no sticky keys",
    ),
    pytest.param(
        route("r", path="/r", candidate=None, aggregate=PARTS),
        {},
        "split.percent is 100: every request goes to the candidate",
        id="aggregate",
    ),
    pytest.param(route("other"), {}, "no route matches GET /r: legacy takes it", id="no route"),
]


@pytest.mark.parametrize(("this_route", "headers", "words"), WORDS)
def test_every_reason_has_words(this_route: RouteSettings, headers: dict[str, str], words: str) -> None:
    assert explain(Snapshot(settings([this_route]), 1), head("/r", headers=headers)).detail == words


@pytest.mark.parametrize(
    ("killed", "routes", "detail"),
    [
        (True, set(), "the kill switch is on: every route goes to legacy"),
        (False, {"r"}, "the kill switch is on for route 'r': all its requests go to legacy"),
        (True, {"r"}, "the kill switch is on: every route goes to legacy"),
    ],
    ids=["for all", "for this route", "both"],
)
def test_the_kill_switch_has_words_and_no_shadow(killed: bool, routes: set[str], detail: str) -> None:
    made = Snapshot(settings([route("r", shadow=shadow())]), 1)
    found = explain(made, head("/r"), killed, killed_routes=frozenset(routes))
    assert (found.reason, found.shadow, found.shadow_percent) == ("kill_switch", False, 0)
    assert found.detail == detail


def test_the_kill_switch_of_another_route_is_not_mentioned() -> None:
    found = explain(Snapshot(settings([route("r")]), 1), head("/r"), killed_routes=frozenset({"q"}))
    assert (found.reason, "kill switch" in found.detail) == ("percent", False)


def test_an_ambiguous_path_has_words() -> None:
    made = Snapshot(settings([route("r")]), 1)
    found = explain(made, head("/r/../x"))
    assert (found.arm, found.reason, found.path) == ("legacy", "ambiguous_path", "/r/../x")
    assert found.detail.endswith("ways that lead to different routes: legacy takes it, byte for byte")
    assert "bad percent-encoding" in explain(made, head("/r/%zz")).detail


def test_a_refused_request_goes_nowhere() -> None:
    made = Snapshot(settings([route("r")], ambiguous_paths="reject"), 1)
    for target in ("/r/../x", "/r/%00"):
        found = explain(made, head(target))
        assert (found.arm, found.upstream, found.path) == (None, None, None)
        assert found.detail.endswith(": refused with 400")


def test_explain_says_what_the_plan_says() -> None:
    made = Snapshot(
        settings(
            [
                route("a", percent=30, shadow=shadow(), sticky=["header:x-user-id", "client_ip"]),
                route("b", prefix="/a/b", percent=70, methods=["GET"], rewrite="/c", split_headers={"X-Beta": "1"}),
                route("c", path="/c/{x}", override="x-arm"),
            ]
        ),
        1,
    )
    rng = random.Random(1)
    seen = set()
    for _ in range(2000):
        target = "".join(
            rng.choice(["/a", "/b", "/c", "/x", "/..", "/.", "//", ";v", "%2f", "%zz", "?q"]) for _ in range(4)
        )
        headers = {"X-User-Id": str(rng.randrange(50)), rng.choice(["X-Beta", "X-Arm"]): rng.choice(["1", "legacy"])}
        request = head(target if target.startswith("/") else "/" + target, rng.choice(["GET", "PUT"]), headers)
        plan, found = made.plan(request, lambda: 0.5), explain(made, request)
        seen.add(plan.reason)
        assert found.arm == plan.arm
        assert (found.route, found.upstream) == (plan.route and plan.route.name, plan.upstream)
        assert (found.reason, found.bucket, found.shadow) == (plan.reason, plan.bucket, plan.shadow)
    assert seen >= {Reason.NO_ROUTE, Reason.AMBIGUOUS_PATH, Reason.PERCENT, Reason.SPLIT_HEADER, Reason.OVERRIDE}


def test_a_described_request_is_read_as_from_the_wire() -> None:
    made = described_head(
        settings(), "GET", "http://Shop.Example:81/a?b=c", [("X-A", " 1 "), ("x-a", "2")], "192.0.2.1"
    )
    assert (made.target, made.path, made.query, made.host) == (b"/a?b=c", b"/a", b"b=c", b"shop.example")
    assert made.fields == {b"host": b"Shop.Example:81", b"x-a": b"1, 2"}
    assert made.client_ip == b"192.0.2.1"


@pytest.mark.parametrize(
    ("url", "target"), [("http://h", b"/"), ("http://h?x", b"/?x"), ("http://h/a", b"/a"), ("/a/../b", b"/a/../b")]
)
def test_a_url_becomes_the_target_that_a_client_sends(url: str, target: bytes) -> None:
    assert described_head(settings(), "GET", url, [], "192.0.2.1").target == target


class TestWhatARequestGets:
    """The state folder, trusted_proxies, limits and timeouts count as they do for the proxy."""

    def test_the_kill_switch_of_the_state_folder_counts(
        self, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        folder = tmp_path / ".strangler"
        folder.mkdir()
        assert response(config, "GET", "/users/7", "-H", "Host: users.example")["arm"] == "candidate"
        for on, arm in ((True, "legacy"), (False, "candidate")):
            kill_switch.write(folder, KillSwitchState(on, "a test", "2026-11-23T08:00:00.000Z"))
            found = response(config, "GET", "/users/7", "-H", "Host: users.example")
            assert (found["arm"], found["reason"] == "kill_switch") == (arm, on)
        killed = KillSwitchState(False, "", None, {"users": KilledRoute("slow", "2026-11-23T08:00:00.000Z")})
        kill_switch.write(folder, killed)
        found = response(config, "GET", "/users/7", "-H", "Host: users.example")
        assert (found["arm"], found["reason"]) == ("legacy", "kill_switch")
        assert found["detail"] == "the kill switch is on for route 'users': all its requests go to legacy"
        (folder / "kill-switch.json").write_text("{")
        assert response(config, "GET", "/users/7", "-H", "Host: users.example")["reason"] == "kill_switch"

    @pytest.mark.parametrize(
        ("client", "forwarded", "caller"),
        [
            pytest.param("10.0.0.7", "203.0.113.9", "203.0.113.9", id="of a trusted proxy"),
            pytest.param("10.0.0.7", "1.1.1.1, 203.0.113.9, 10.1.1.1", "203.0.113.9", id="through two of them"),
            pytest.param("::ffff:10.0.0.7", "::ffff:203.0.113.9", "203.0.113.9", id="mapped into IPv6"),
            pytest.param("192.0.2.1", "203.0.113.9", "192.0.2.1", id="of anybody else"),
            pytest.param("10.0.0.7", "nonsense", "10.0.0.7", id="what is no address"),
        ],
    )
    def test_x_forwarded_for_counts_as_the_proxy_takes_it(
        self, config: Path, client: str, forwarded: str, caller: str
    ) -> None:
        config.write_text(ROUTES + "trusted_proxies: [10.0.0.0/8]\n")
        found = response(config, "GET", "/visitors", "--client", client, "-H", f"X-Forwarded-For: {forwarded}")
        assert found["bucket"] == bucket("visitors", caller.encode())

    @pytest.mark.parametrize(
        ("upstream", "of_route", "expected"),
        [
            ("", "", "connect 2s (default), response 10s (default), idle 60s (default)"),
            (", timeouts: {response: 30s}", "", "connect 2s (default), response 30s (upstream), idle 60s (default)"),
            (
                ", timeouts: {response: 30s, idle: none}",
                "timeouts: {response: 500ms}",
                "connect 2s (default), response 500ms (route), idle none (upstream)",
            ),
            ("", "timeouts: {connect: 2s}", "connect 2s (route), response 10s (default), idle 60s (default)"),
        ],
    )
    def test_the_timeouts_that_hold_are_told_with_where_they_stand(
        self, config: Path, upstream: str, of_route: str, expected: str
    ) -> None:
        text = ROUTES.replace("8001}", f"8001{upstream}}}")
        config.write_text(text.replace("    split: {percent: 100}", f"    split: {{percent: 100}}\n    {of_route}"))
        result = run(config, "GET", "/users/7", "-H", "Host: users.example")
        assert f"timeouts  {expected}" in result.output

    @pytest.mark.parametrize(
        ("limits", "arguments", "status"),
        [
            ("header_bytes: 1KiB", ["-H", f"X-Long: {'x' * 1100}"], 431),
            ("header_bytes: 1KiB", [f"/{'x' * 1100}"], 414),
            ("request_body: 1KiB", ["-H", "Content-Length: 2000"], 413),
        ],
    )
    def test_what_the_limits_refuse_is_refused(
        self, config: Path, limits: str, arguments: list[str], status: int
    ) -> None:
        config.write_text(ROUTES + f"limits: {{{limits}}}\n")
        url = [] if arguments[0].startswith("/") else ["/users/7"]
        result = run(config, "GET", *url, *arguments)
        assert result.exit_code == 2
        assert f"the proxy would respond with {status}" in result.output

    def test_only_blanks_and_tabs_around_a_value_go(self, config: Path) -> None:
        found = response(config, "GET", "/api/orders", "-H", "X-User-Id: \u00a09")
        assert found["bucket"] == bucket("orders", "\u00a09".encode())
