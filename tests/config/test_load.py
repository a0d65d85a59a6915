"""From text to settings: defaults, the design's own example, and all problems at once."""

import gc
import time
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.config.load import load, parse
from strangler.core import settings as s
from strangler.core.routing.snapshot import Snapshot
from tests.config.files import TODAY, TOP, problems, read, route
from tests.factories import head

EVERYTHING = """\
version: 1
listen: 127.0.0.1:8080
admin: {listen: 127.0.0.1:8081, token: "${STRANGLER_TOKEN:-}"}
workers: 1
state: .strangler
log: {level: info, format: auto, access: true}
expose_arm: true
tracing: {otlp: null, sample: 1%}
events: {webhook: null, kafka: null}
trusted_proxies: []
ambiguous_paths: legacy
limits: {header_bytes: 32KiB, header_timeout: 10s, idle_timeout: 75s, request_body: none, connections: 10000, drain: 30s,
         response_header: 256KiB}
upstreams:
  legacy:
    url: http://127.0.0.1:8000
  orders:
    url: http://127.0.0.1:8001
    host: preserve
    timeouts: {connect: 2s, response: 10s, idle: 60s}
    bulkhead: {in_flight: 256, waiting: 64, wait: 1s}
    breaker: {failure_rate: 50%, min_requests: 20, window: 30s, consecutive: 5, slow_call: none, cooldown: 10s, max_cooldown: 5m, trials: 5,
              counts: [connect, reset, timeout, bad_response, 500, 502, 503, 504]}
    retry: {attempts: 2, when: [connect, reset], backoff: 25ms, max_backoff: 250ms, budget: 20%}
    health: {path: /healthz, interval: 10s, timeout: 1s, fall: 3, rise: 1}
    headers: {set: {}, remove: []}
  payments:
    urls: [https://10.0.0.1, https://10.0.0.2]
    tls: {ca: ca.pem, verify: true}
routes:
  - name: orders
    match: {prefix: /api/orders, methods: [GET, HEAD], host: null, headers: {}, query: {}}
    candidate: orders
    enabled: true
    split:
      percent: 25
      headers: {X-Beta: "1"}
      override: X-Strangler-Arm
      sticky: ["header:X-User-Id", "cookie:sid", client_ip]
      group: orders
    rewrite: {prefix: /v2/orders}
    timeouts: {response: 5s}
    fallback: {when: [connect, timeout, open, full, 500, 502, 503, 504], fence: 60s}
    shadow: {percent: 10, methods: [GET, HEAD], of: legacy, max_body: 256KiB, timeout: 5s, in_flight: 32, recheck: 2s, baseline: 2%,
             writes: skip}
    compare:
      headers: [content-type, location, cache-control]
      accept:
        - {path: "$.generated_at"}
        - {path: "$..updated_at", kind: value}
        - {path: "$.total", abs: 0.01}
        - {path: "$.note", kind: extra, owner: ana, until: 2027-01-31, why: "new field, agreed"}
        - {header: cache-control}
      unordered: [{path: "$.items", key: id}]
      redact: ["$..email", "header:x-tenant"]
    gate: {min_pairs: 3000, min_match: 99.9%, max_breaking: 0, max_latency_ratio: 1.1, min_age: 24h}
  - name: order-page
    match: {path: "/api/order-pages/{id}"}
    aggregate:
      order: {upstream: orders, path: "/v2/orders/{id}"}
      payment: {upstream: payments, path: "/payments/order/{id}", required: false, timeout: 500ms}
  - name: carts
    match: {prefix: /api/carts}
    candidate: orders
    split: {sticky: ["cookie:sid"]}
    shadow: {percent: 5, of: any}
    rollout:
      steps: [1, 5, 25, 50, 100]
      hold: 30m
      evidence: {requests: 500, callers: 20}
      look: 1m
      errors: {ratio: 1.5, floor: 0.1%}
      latency: {ratio: 1.3}
      gate: every
      failed_looks: 3
      then: step_back
      back: {hold: 2m}
      approve: []
      within: null
"""
"""Every key, each with its default where it has one."""

LITTLE = """\
version: 1
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001", health: {}}
  payments: {urls: ["https://10.0.0.1", "https://10.0.0.2"], tls: {ca: ca.pem}}
routes:
  - name: orders
    match: {prefix: /api/orders, methods: [get, head]}
    candidate: orders
    split: {percent: 25%, headers: {X-Beta: 1}, override: X-Strangler-Arm, sticky: ["header:X-User-Id", "cookie:sid", client_ip]}
    rewrite: {prefix: /v2/orders}
    timeouts: {response: 5s}
    shadow: {percent: 10}
    compare:
      accept:
        - {path: $.generated_at}
        - {path: $..updated_at, kind: value}
        - {path: $.total, abs: 0.01}
        - {path: $.note, kind: extra, owner: ana, until: 2027-01-31, why: "new field, agreed"}
        - {header: Cache-Control}
      unordered: [{path: $.items, key: id}]
      redact: [$..email, header:X-Tenant]
  - name: order-page
    match: {path: "/api/order-pages/{id}"}
    aggregate:
      order: {upstream: orders, path: "/v2/orders/{id}"}
      payment: {upstream: payments, path: "/payments/order/{id}", required: no, timeout: 500ms}
  - name: carts
    match: {prefix: /api/carts}
    candidate: orders
    split: {sticky: ["cookie:sid"]}
    shadow: {percent: 5, of: any}
    rollout: {}
"""
"""The same without anything that is a default."""


def test_what_is_not_written_is_as_the_design_says() -> None:
    everything, little = read(EVERYTHING), read(LITTLE)
    assert everything.problems == little.problems == ()
    assert everything.settings == little.settings


def test_units_are_seconds_bytes_and_shares() -> None:
    made = read(EVERYTHING).settings
    assert made is not None
    assert made.limits == s.LimitSettings(32768, 10.0, 75.0, None, 262144, 10_000, 30.0)
    assert made.tracing.sample == 0.01
    orders = made.upstreams["orders"]
    assert orders.urls == (s.Url("http", "127.0.0.1", 8001, ""),)
    assert orders.timeouts == s.TimeoutSettings(2.0, 10.0, 60.0)
    assert orders.bulkhead == s.BulkheadSettings(256, 64, 1.0)
    assert orders.breaker == s.BreakerSettings(
        0.5, 20, 30.0, 5, None, 10.0, 300.0, 5, ("connect", "reset", "timeout", "bad_response", 500, 502, 503, 504)
    )
    assert orders.retry == s.RetrySettings(2, ("connect", "reset"), 0.025, 0.25, 0.2)
    assert orders.health == s.HealthSettings("/healthz", 10.0, 1.0, 3, 1)
    route = made.routes[0]
    assert route.split == s.SplitSettings(
        25.0,
        (("x-beta", "1"),),
        "x-strangler-arm",
        (s.StickySource("header", "x-user-id"), s.StickySource("cookie", "sid"), s.StickySource("client_ip", "")),
        "orders",
    )
    assert route.fallback == s.FallbackSettings(("connect", "timeout", "open", "full", 500, 502, 503, 504), 60.0)
    assert route.shadow == s.ShadowSettings(
        10.0, ("GET", "HEAD"), "legacy", 262144, 5.0, 32, 2.0, s.BaselineSettings(0.02, False), "skip", None
    )
    assert route.gate == s.GateSettings(3000, 0.999, 0, 1.1, 86400.0)
    assert route.compare.accept[3] == s.AcceptRule(
        path="$.note", kind="extra", owner="ana", until="2027-01-31", why="new field, agreed"
    )
    assert route.compare.redact == ("$..email", "header:x-tenant")
    assert made.routes[1].aggregate == (
        s.AggregatePart("order", "orders", "/v2/orders/{id}", True, None),
        s.AggregatePart("payment", "payments", "/payments/order/{id}", False, 0.5),
    )


def test_an_aggregate_leaves_other_methods_to_other_routes_and_to_legacy() -> None:
    text = (
        TOP
        + """\
- {name: page, match: {path: "/p/{id}"}, aggregate: {x: {upstream: orders, path: "/x/{id}"}}}
- {name: edit, match: {path: "/p/{id}", methods: [POST]}, candidate: orders}
- {name: rest, match: {path: "/p/{id}"}, candidate: orders}
"""
    )
    loaded = read(text)
    assert loaded.problems == ()
    assert loaded.settings is not None
    assert [route.match.methods for route in loaded.settings.routes[1:]] == [("GET", "HEAD"), ("POST",), ()]
    table = Snapshot(loaded.settings, 1)
    taken = {method: table.plan(head("/p/7", method), lambda: 0.0).route for method in ("GET", "HEAD", "POST", "PUT")}
    assert {method: route.name if route else None for method, route in taken.items()} == {
        "GET": "page", "HEAD": "page", "POST": "edit", "PUT": "rest",
    }  # fmt: skip


def test_two_aggregates_of_one_path_are_one_too_many() -> None:
    part = 'aggregate: {x: {upstream: orders, path: "/x"}}'
    text = TOP + f"- {{name: b, match: {{path: /p}}, {part}}}\n"
    assert problems(text) == []
    assert (
        "it matches exactly what route 'b' (line 7) matches"
        in problems(text + text.splitlines()[-1].replace("b,", "c,") + "\n")[0]
    )


def test_legacy_s_breaker_counts_less_than_others() -> None:
    made = read(TOP).settings
    assert made is not None
    assert made.upstreams["legacy"].breaker is not None
    assert made.upstreams["legacy"].breaker.counts == ("connect", "timeout")
    assert made.upstreams["orders"].breaker is not None
    assert 503 in made.upstreams["orders"].breaker.counts


@pytest.mark.parametrize("word", ["false", "off", "no", "Off", '"off"'])
@pytest.mark.parametrize("part", ["bulkhead", "breaker", "retry", "health"])
def test_false_switches_a_part_off(part: str, word: str) -> None:
    made = read(TOP.replace(':8001"', f':8001", {part}: {word}')).settings
    assert made is not None
    assert getattr(made.upstreams["orders"], part) is None


@pytest.mark.parametrize("part", ["bulkhead", "breaker", "retry", "health"])
def test_true_switches_a_part_on(part: str) -> None:
    made = read(TOP.replace(':8001"', f':8001", {part}: on')).settings
    assert made is not None
    assert getattr(made.upstreams["orders"], part) is not None


def test_a_part_with_nothing_after_it_is_refused() -> None:
    found = problems(TOP.replace(':8001"', ':8001", retry: '))
    assert found == [
        "f:4:49: upstream 'orders': retry has no value; write `retry: {}` for the defaults, or `retry: false` to switch it off"
    ]


def test_a_section_with_nothing_in_it_has_its_defaults() -> None:
    bare, commented = read(TOP).settings, read(TOP + "limits:\n  # drain: 5s\nlog:\ntrusted_proxies:\n").settings
    assert bare == commented
    assert bare is not None


@pytest.mark.parametrize(
    ("written", "value"),
    [("{}", None), ("{response: 5s}", (2.0, 5.0, 9.0)), ("{idle: none, connect: 1s}", (1.0, 10.0, None))],
)
def test_what_a_route_s_timeouts_leave_out_is_the_upstream_s(
    written: str, value: tuple[float | None, ...] | None
) -> None:
    text = TOP.replace(':8001"', ':8001", timeouts: {idle: 9s}').replace(
        "orders}\n", f"orders, timeouts: {written}}}\n"
    )
    made = read(text).settings
    assert made is not None
    assert made.routes[0].timeouts == s.TimeoutSettings(*(value or (2.0, 10.0, 9.0)))  # type: ignore[arg-type]


def test_a_passthrough_gets_all_and_has_nothing_to_fall_back_to_or_to_be_compared_with() -> None:
    loaded = read(TOP.replace("candidate: orders}", "passthrough: orders, timeouts: {response: 5s}}"))
    assert loaded.settings is not None
    assert loaded.warnings == ()
    (made,) = loaded.settings.routes
    assert (made.candidate, made.split.percent, made.is_passthrough) == ("orders", 100.0, True)
    assert (made.fallback, made.shadow) == (None, None)
    assert made.timeouts == s.TimeoutSettings(2.0, 5.0, 60.0)


def test_all_problems_are_told_at_once_and_in_order() -> None:
    text = """\
version: 1
listen: 8080
upstreams:
  legacy: {url: "127.0.0.1:8000"}
  orders:
    url: http://127.0.0.1:8001
    timeouts: {response: 12:30}
    breakr: off
routes:
  - name: orders
    match: {prefix: /api/orders, methods: [GTE]}
    candidate: ordrs
    split:
      percent: 120
      stiky: [client_ip]
      sticky: [cooki:x]
  - match: {prefix: /x}
  - name: orders
    percent: 3
    match: {path: api}
    canddate: orders
"""
    assert problems(text) == [
        "f:2:9: listen is 8080; write host:port, such as 127.0.0.1:8080",
        "f:4:17: upstream 'legacy': url is '127.0.0.1:8000'; it must start with http:// or https://",
        "f:7:26: upstream 'orders': timeouts.response is '12:30'; a clock time can be read in two ways; write a duration with its unit, such as 750s",
        "f:8:5: upstream 'orders': unknown key 'breakr'; did you mean 'breaker'?",
        "f:11:44: route 'orders': match.methods[0] is 'GTE'; write a method such as GET or POST; did you mean 'GET'?",
        "f:12:16: route 'orders': unknown upstream 'ordrs'; did you mean 'orders'?",
        "f:14:16: route 'orders': split.percent is 120; it must be 0 to 100",
        "f:15:7: route 'orders': unknown key 'split.stiky'; did you mean 'sticky'?",
        "f:16:16: route 'orders': split.sticky[0] is 'cooki:x'; write header:NAME, cookie:NAME or client_ip; did you mean 'cookie'?",
        "f:17:5: route 2: name is missing; add `name: orders`",
        "f:18:11: route 'orders': the name is taken by the route on line 10; give each its own; case is ignored",
        "f:19:5: route 'orders': unknown key 'percent'; did you mean split.percent or shadow.percent?",
        "f:20:19: route 'orders': match.path is 'api'; it must start with '/'; write /api",
        "f:21:5: route 'orders': unknown key 'canddate'; did you mean 'candidate'?",
    ]


_ONE: list[tuple[str, str]] = [
    (TOP + "workers: no", "f:7:10: workers is 'no'; it must be a whole number from 1 to 256"),
    (TOP + "expose_arm: 1", "f:7:13: expose_arm is 1; write true or false"),
    (TOP + "log: {level: infoo}", "f:7:14: log.level is 'infoo'; write debug, info, warning or error; did you mean 'info'?"),
    (TOP + "log: [x]", "f:7:1: log is a list; write a mapping such as {format: json}"),
    (TOP + "log: x", "f:7:6: log is 'x'; write a mapping such as {format: json}"),
    (TOP + "listen: {}", "f:7:9: listen[0].address is missing; add `address: \"[::]:80\"`"),
    (TOP + "Workers: 2", "f:7:1: unknown key 'Workers'; did you mean 'workers'?"),
    (TOP + "drain: 2s", "f:7:1: unknown key 'drain'; did you mean limits.drain?"),
    (TOP + "trusted_proxies: 10.0.0.0/8", "f:7:18: trusted_proxies is '10.0.0.0/8'; write a list such as [10.0.0.0/8]"),
    (TOP + "trusted_proxies: [a, 10.0.0.1/8]", "f:7:22: trusted_proxies[1] is '10.0.0.1/8'; it has host bits set; write 10.0.0.0/8 for the network"),
    (TOP + "tracing: {sample: ${S:-0.5}}", 'put it in quotes, as "${NAME}"'),
    (TOP + 'tracing: {sample: "${S:-0.5}"}', "f:7:19: tracing.sample is 0.5 (from ${S:-0.5}); a number below 1 can be read in two ways; write 50% or 0.5%"),
    (TOP.replace("version: 1", "version: 2"), "f:1:10: version is 2; only version 1 is supported"),
    (TOP.replace("version: 1\n", ""), "f:1:1: version is missing; add `version: 1`"),
    (TOP.replace("legacy:", "legcy:"), "f:2:1: upstreams.legacy is missing; add `legacy: {url: http://127.0.0.1:8000}`"),
    ("version: 1", "f:1:1: upstreams is missing; add `upstreams: {legacy: {url: http://127.0.0.1:8000}}`"),
    ("version: 1\nupstreams: [a]", "f:2:1: upstreams is a list; write a mapping such as {legacy: {url: http://127.0.0.1:8000}}"),
    (TOP.replace("routes:", "routes: {}\nx:"), "f:5:1: routes is a mapping; write a list such as ["),
    (TOP.replace("candidate: orders", "candidate: orders, shadow: {}"), "f:6:53: route 'a': shadow.percent is missing; add `percent: 10`"),
    (TOP.replace("candidate: orders", "candidate: orders, split: {percent: }"), "f:6:70: route 'a': split.percent has no value; write a percent such as 25 or 0.5%"),
    (TOP.replace("candidate: orders", "candidate: orders, split: {percent: [1]}"), "f:6:61: route 'a': split.percent is a list; write a percent such as 25 or 0.5%"),
    (TOP.replace("http://127.0.0.1:8001", "http://me:secret@a"), "f:4:17: upstream 'orders': url is 'http://…@a'; a URL with a user and password"),
    (TOP + "admin: {token: [hush]}", "f:7:9: admin.token is a list; write a text"),
    (TOP + 'admin: {token: "hush\\nhush"}', "f:7:16: admin.token is not valid; a token goes into a header"),
    (TOP + 'admin: {token: "hush hush"}', "f:7:16: admin.token is not valid; a token goes into a header"),
    (TOP + 'admin: {token: "hush\\thush"}', "f:7:16: admin.token is not valid; a token goes into a header"),
    (TOP + 'admin: {token: "hüsh"}', "f:7:16: admin.token is not valid; a token goes into a header"),
    (TOP + 'admin: {token: " hush"}', "f:7:16: admin.token is not valid; a token goes into a header"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), _ONE, ids=[line for _, line in _ONE])
def test_a_problem_names_the_thing_and_the_way_out(text: str, line: str) -> None:
    assert any(problem.startswith(line) or line in problem for problem in problems(text)), problems(text)


def test_secrets_are_never_shown() -> None:
    text = TOP.replace(':8001"', ':8001", headers: {set: {Authorization: "hush\\n"}}').replace("8001", "80x")
    output = problems(text.replace("//127", "//me:hush@127") + 'admin: {token: "hush hush"}')
    assert len(output) == 4
    assert "hush" not in "".join(output)


def test_a_message_is_one_line_that_a_terminal_can_show() -> None:
    long, odd = "x" * 1_000_000, "\\e[2J\\n"
    for found in (problems(TOP + f"workers: {long}"), problems(TOP + f'"{odd}": 1'), problems(TOP + f'state: "{odd}"')):
        assert len(found) == 1
        assert len(found[0]) < 1000
        assert found[0].isprintable()


def test_what_could_not_be_a_routes_file_is_refused_before_it_takes_long() -> None:
    start = time.process_time()
    assert "more than 1000000 values" in problems("- \n" * 5_000_000)[0]
    found = problems(TOP + "".join(f"k{number}: 1\n" for number in range(20_000)))
    assert found[-1] == "f: 10000 more problems; fix these first"
    assert time.process_time() - start < 8


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path, Path("a\0b")):
        loaded = load(path, {})
        assert loaded.settings is None
        assert len(loaded.problems) == 1
        assert "name another one with -c" in str(loaded.problems[0])


def test_a_file_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text("version: 2")
    assert str(load(path, {}).problems[0]).startswith(f"{path}:1:1: ")


def test_the_settings_make_a_snapshot() -> None:
    made = read(EVERYTHING).settings
    assert made is not None
    assert list(Snapshot(made, 1).routes) == ["orders", "order-page", "carts"]


def test_ten_thousand_routes_load_in_about_a_second() -> None:
    text = TOP + "".join(
        f"""\
- name: orders-{n}
  match: {{prefix: /api/orders/{n}, methods: [GET, HEAD]}}
  candidate: orders
  split:
    percent: 25
    sticky: ["header:X-User-Id", client_ip]
"""
        for n in range(10_000)
    )
    start = time.process_time()
    loaded = parse(text, "f", {}, TODAY)
    took = time.process_time() - start
    assert loaded.settings is not None
    assert len(loaded.settings.routes) == 10_001
    assert took < 3  # 0.8 s on the machine it was written on; the rest is for slower ones
    assert gc.isenabled()


def test_routes_that_say_nothing_of_a_part_share_its_value() -> None:
    made = read(TOP + "- {name: b, match: {prefix: /b}, candidate: orders}\n").settings
    assert made is not None
    first, second = made.routes
    assert first.gate is second.gate
    assert replace(first, name="b", match=second.match, split=second.split) == second


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"], ids=["LF", "CRLF", "two"])
def test_a_line_end_behind_a_token_is_not_its_own(end: str) -> None:
    loaded = read(TOP + 'admin: {token: "${TOKEN}"}', TOKEN=f"hush{end}")
    assert loaded.settings is not None
    assert loaded.settings.admin.token == "hush"


def test_keys_at_the_top_that_begin_with_x_hold_anchors_and_mean_nothing() -> None:
    text = TOP.replace("upstreams:", "x-common: &common {breaker: {consecutive: 3}}\nx-: [1, {any: thing}]\nupstreams:")
    loaded = read(text.replace('orders: {url: "', 'orders: {<<: *common, url: "'))
    assert loaded.problems == ()
    assert loaded.settings is not None
    breaker = loaded.settings.upstreams["orders"].breaker
    assert breaker is not None
    assert breaker.consecutive == 3


@pytest.mark.parametrize("text", [TOP + "X-a: 1", TOP + "xa: 1", TOP + "workers: {x-a: 1}", route("x-a: 1")])
def test_other_keys_that_are_not_known_are_problems_as_ever(text: str) -> None:
    assert problems(text)


def test_the_page_for_errors_is_read_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(TOP + "errors: {html: sorry.html}\n")
    (tmp_path / "sorry.html").write_text("<p>{{status}}")
    loaded = load(tmp_path / "routes.yaml", {})
    assert loaded.settings is not None
    assert loaded.settings.errors == s.ErrorSettings("sorry.html", "<p>{{status}}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory; name a file beside routes.yaml"),
        (b"\xff\xfe", "is not UTF-8; save it as UTF-8"),
        (bytes(256 * 1024 + 1), "is too large; at most 256 KiB are allowed; put images elsewhere"),
    ],
    ids=["missing", "not UTF-8", "too large"],
)
def test_a_page_that_cannot_be_used_is_a_problem_at_its_line(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    (tmp_path / "routes.yaml").write_text(TOP + "errors:\n  html: sorry.html\n")
    if content is not None:
        (tmp_path / "sorry.html").write_bytes(content)
    (problem,) = load(tmp_path / "routes.yaml", {}).problems
    assert str(problem).startswith(f"{tmp_path}/routes.yaml:8:9: errors.html is 'sorry.html': ")
    assert message in str(problem)
