"""Rules that join several keys."""

import pytest

from tests.config.files import TOP, problems, route, warnings

_LIST = "- {name: b, match: {%s}, candidate: orders}\n"

_ERRORS: list[tuple[str, str]] = [
    # the file
    (TOP + "admin: {listen: '0.0.0.0:81'}", "f:7:17: admin.listen is '0.0.0.0:81'; without admin.token only a loopback address may be bound"),
    (TOP + "admin: {listen: '10.0.0.1:81', token: ''}", "without admin.token only a loopback"),
    (TOP + "listen: 127.0.0.1:8081", "f:7:9: listen and admin.listen both take port 8081"),
    (TOP + "listen: localhost:8081", "listen and admin.listen both take port 8081"),
    (TOP + "listen: 0.0.0.0:8081", "listen and admin.listen both take port 8081"),
    (TOP + "limits: {header_bytes: 10}", "f:7:24: limits.header_bytes is 10; no real header section fits; it must be at least 1KiB"),
    # upstreams
    (TOP.replace("  orders: {url:", "  orders: {host: upstream, x-y:"), "upstream 'orders': url is missing"),
    (TOP.replace("  orders: {url:", "  orders: {urls: [http://b], url:"), "upstream 'orders': url and urls are both there"),
    (TOP.replace("  orders: {url", "  or ders: {url"), "f:4:3: upstream 'or ders': the name 'or ders' cannot be a label"),
    (TOP.replace("  orders: {url", "  aggregate: {url"), "upstream 'aggregate': this name is reserved"),
    (TOP.replace("8001", "8080"), "that is the proxy's own listen address, so requests would loop"),
    (TOP.replace("127.0.0.1:8001", "localhost:8081"), "that is the proxy's own admin.listen address"),
    (TOP.replace(':8001"', ':8001", headers: {set: {Host: a}}'), "headers.set has 'Host'; write `host: upstream`"),
    (TOP.replace(':8001"', ':8001", headers: {remove: [Connection]}'), "headers.remove has 'Connection'; the proxy itself controls"),
    (TOP.replace(':8001"', ':8001", headers: {set: {content-length: 1}}'), "headers.set has 'content-length'; the proxy itself"),
    (TOP.replace(':8001"', ':8001", headers: {set: {X: 1, x: 2}}'), "headers.set has 'x' twice"),
    (TOP.replace(':8001"', ':8001", headers: {set: {X: 1}, remove: [x]}'), "headers.set and headers.remove both have 'x'"),
    (TOP.replace(':8001"', ':8001", headers: {set: {"X Y": 1}}'), "f:4:58: upstream 'orders': headers.set has the name 'X Y'; a header's name"),
    (TOP.replace(':8001"', ':8001", health: {path: x}'), "health.path is 'x'; it must start with '/'; write /x"),
    (TOP.replace(':8001"', ':8001", breaker: {cooldown: 6m}'), "breaker.cooldown is longer than breaker.max_cooldown"),
    (TOP.replace(':8001"', ':8001", retry: {backoff: 1s}'), "retry.backoff is longer than retry.max_backoff"),
    # what a route is and matches
    (route().replace("name: a", "name: a b"), "f:6:10: route 'a b': name is 'a b'; it is a metric label"),
    (TOP + _LIST % "prefix: /b" + "- {name: B, match: {prefix: /c}, candidate: orders}", "f:8:10: route 'B': the name is taken by the route on line 7"),
    (route(match="methods: [GET]"), "f:6:13: route 'a': match.prefix is missing"),
    (route(match="prefix: /a, path: /a"), "f:6:33: route 'a': match.prefix and match.path are both there"),
    (route(match="prefix: a"), "match.prefix is 'a'; it must start with '/'; write /a"),
    (route(match="prefix: /a?b=1"), "a path has no '?'; write match.query for parameters"),
    (route(match="path: '/a#b'"), "a path has no '#'"),
    (route(match="path: '/a b'"), "no spaces"),
    (route(match="prefix: /a/*"), "'*' has no meaning here; write match.prefix for all below a path"),
    (route(match="path: '/a/{id}/{id}'"), "match.path has {id} twice; give each its own name"),
    (route(match="path: '/a/x{id}'"), "match.path has the segment 'x{id}'; write a whole segment as {name}"),
    (route(match="path: '/a/{}'"), "match.path has the segment '{}'"),
    (route(match="path: '/a/{b-c}'"), "match.path has the segment '{b-c}'"),
    (route(match="prefix: /a/../b"), "can never be reached"),
    (route(match="prefix: /a//b"), "can never be reached"),
    (route(match="path: /a;b"), "can never be reached"),
    (route(match="path: /a%2Fb"), "can never be reached"),
    (route(match="path: /a%zz"), "'%' starts an encoding"),
    (route(match="prefix: /a, host: 'a:80'"), "match.host is 'a:80'; write it without the port"),
    (route(match="prefix: /a, host: 'http://a'"), "write the host only"),
    (route(match="prefix: /a, host: '*'"), "write a host such as shop.example.com"),
    (route(match="prefix: /a, headers: {A: 1, a: 2}"), "match.headers has 'a' twice"),
    (route(match="prefix: /a, headers: {Host: b}"), "match.headers has 'Host'; write match.host"),
    (route("split: {headers: {A: 1, a: 2}}"), "split.headers has 'a' twice"),
    # the sources of a gate
    (route("shadow: {percent: 1}, gate: {from: []}"), "gate.from is empty; the gate would never hold; write live or replay"),
    (route("shadow: {percent: 1}, gate: {from: [live, replay, live]}"), "gate.from has 'live' twice; take one out"),
    (route("shadow: {percent: 1}, gate: {from: [dream]}"), "gate.from[0] is 'dream'"),
    # where it goes
    (route(goes="enabled: true"), "f:6:3: route 'a': candidate is missing"),
    (route("split: {percent: 5}", goes="candidate: legacy"), "f:6:53: route 'a': split has no meaning with candidate 'legacy'; take it out, or name a new service"),
    (route("shadow: {percent: 5}", goes="candidate: legacy"), "shadow has no meaning with candidate 'legacy'"),
    (route("gate: {min_pairs: 5}", goes="candidate: legacy"), "gate has no meaning with candidate 'legacy'"),
    (route("rewrite: {prefix: /b}", goes="candidate: legacy"), "rewrite has no meaning with candidate 'legacy'"),
    (route("split: {percent: 5}", goes="passthrough: orders"), "split has no meaning with passthrough; take it out, or write `candidate` if legacy serves this too"),
    (route("shadow: {percent: 5}", goes="passthrough: orders"), "shadow has no meaning with passthrough"),
    (route("fallback: false", goes="passthrough: orders"), "fallback has no meaning with passthrough"),
    (route(goes="passthrough: legacy"), "passthrough is 'legacy'; a passthrough cannot lead to legacy; for an exception write `candidate: legacy`"),
    (route(goes="passthrough: ordrs"), "unknown upstream 'ordrs'; did you mean 'orders'?"),
    (route("passthrough: orders"), "candidate and passthrough are both there; keep one of them"),
    (route(goes="candidate: ordrs"), "f:6:45: route 'a': unknown upstream 'ordrs'; did you mean 'orders'?"),
    (route(goes="candidate: zebra"), "unknown upstream 'zebra'; add it to upstreams, or take one of legacy, orders"),
    (route("aggregate: {x: {upstream: orders, path: /x}}"), "candidate and aggregate are both there"),
    (route(goes="aggregate: {}"), "aggregate has no parts"),
    (route(goes="aggregate: {x: {upstream: ordrs, path: /x}}"), "unknown upstream 'ordrs'; did you mean 'orders'?"),
    (route(goes="aggregate: {x: {upstream: orders, path: '/x/{id}'}}"), "aggregate.x.path has {id}, which the match does not have; take a name from the match; it has none"),
    (route(goes="aggregate: {x: {upstream: orders, path: '/x/{id}'}}", match="path: '/a/{key}'"), "it has {key}"),
    (route(goes="aggregate: {x: {upstream: orders, path: /x}}", match="path: /a, methods: [GET, POST]"), "match.methods has POST, and an aggregate serves only GET, HEAD; take it out; what the route does not match goes to legacy"),
    (route("rewrite: {prefix: /b}", goes="aggregate: {x: {upstream: orders, path: /x}}"), "rewrite has no meaning with aggregate"),
    (route("timeouts: {idle: 1s}", goes="aggregate: {x: {upstream: orders, path: /x}}"), "timeouts has no meaning with aggregate"),
    (route("rewrite: {prefix: /b}", match="path: /a"), "rewrite needs match.prefix"),
    (route("rewrite: {prefix: b}"), "rewrite.prefix is 'b'; it must start with '/'"),
    (route("rewrite: {prefix: '/b/{id}'}"), "rewrite.prefix has {id}, which match.prefix does not have"),
    (route("rewrite: {prefix: '/b c'}"), "percent-encode"),
    (route("rewrite: {prefix: '/b?c'}"), "a prefix has no '?'"),
    # shadows and comparing
    (route("shadow: {percent: 1, methods: [GET, POST]}"), "shadow.methods has POST; a shadow would run the write twice"),
    (route("compare: {accept: [{path: $.a, css: p}]}"), "compare.accept[0] has path and css; split it into 2 rules"),
    (route("compare: {accept: [{path: $.a, from: 1}]}"), "compare.accept[0] has from without to; write both, or neither"),
    (route("compare: {accept: [{status: [302, 303], kind: value}]}"), "compare.accept[0] has status and kind; take kind out"),
    (route("compare: {accept: [{status: [200, 503]}]}"), "a 5xx is a failure and cannot be accepted; fix the service"),
    (route("compare: {accept: [{status: [302, 302]}]}"), "both are the same, so there is no difference to accept"),
    (route("compare: {accept: [{status: [302]}]}"), "compare.accept[0].status is a list; write two statuses, legacy's and the candidate's"),
    (route("compare: {accept: [{path: $.a, endpoint: /a}]}"), "compare.accept[0].endpoint is '/a'; write a method"),
    (route("fold: [shops]"), "fold[0] is 'shops'; a path starts with '/'"),
    (route("fold: ['/a/x{b}']"), "the segment 'x{b}' cannot be read; write a whole segment as {}, or {...} at the end"),
    (route("release: {}"), "release.header is missing"),
    (route("release: {header: X}", goes="aggregate: {x: {upstream: orders, path: /x}}"), "release.header has no meaning with aggregate"),
    (route("shadow: {percent: 1, baseline: 0.5}"), "a number below 1 can be read in two ways"),
    (route("shadow: {percent: 1, writes: sandbox}"), "shadow.writes is 'sandbox' and shadow.to is missing"),
    (route("shadow: {percent: 1, to: orders}"), "shadow.to has no meaning with shadow.writes 'skip'"),
    (route("shadow: {percent: 1, writes: sandbox, to: legacy}"), "shadow.to is 'legacy'; legacy would run every write twice"),
    *(
        (
            route("shadow: {percent: 1, writes: sandbox, to: copy}").replace(
                "  orders: {url", f"  copy: {{url: '{url}'}}\n  orders: {{url", 1
            ),
            "shadow.to is 'copy'; legacy would run every write twice",
        )
        for url in ("http://127.0.0.1:8000", "http://LOCALHOST:8000/", "http://[::1]:8000", "http://localhost.:8000")
    ),
    (route("shadow: {percent: 1, writes: sandbox, to: ordrs}"), "unknown upstream 'ordrs'; did you mean 'orders'?"),
    (route("compare: {accept: [{path: $.a}, {kind: value}]}"), "compare.accept[1] has neither path, css, header nor status"),
    (route("compare: {accept: [{path: $.a, header: x}]}"), "compare.accept[0] has path and header"),
    (route("compare: {accept: [{path: x}, {header: x, abs: 1}]}"), "compare.accept[1] has abs; it compares two numbers of a body"),
    (route("compare: {accept: [{path: $.a, kind: extra, rel: 1%}]}"), "compare.accept[0] has rel"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), _ERRORS, ids=[line for _, line in _ERRORS])
def test_rules_that_join_keys_are_held(text: str, line: str) -> None:
    assert any(line in problem for problem in problems(text)), problems(text)


_SAME: list[tuple[str, str, str]] = [
    ("the same prefix", "prefix: /b", "prefix: /b"),
    ("a slash at the end of a prefix", "prefix: /b", "prefix: /b/"),
    ("other names", "path: '/b/{x}'", "path: '/b/{y}'"),
    ("methods in another order and case", "prefix: /b, methods: [GET, POST]", "prefix: /b, methods: [post, get]"),
    ("hosts in another case", "prefix: /b, host: A.example", "prefix: /b, host: a.example"),
    ("headers in another case", "prefix: /b, headers: {A: 1, B: 2}", "prefix: /b, headers: {b: 2, a: 1}"),
    ("the same query", "prefix: /b, query: {a: 1}", "prefix: /b, query: {a: 1}"),
]


@pytest.mark.parametrize(("first", "second"), [case[1:] for case in _SAME], ids=[case[0] for case in _SAME])
def test_two_routes_cannot_match_exactly_the_same(first: str, second: str) -> None:
    text = TOP + _LIST % first + (_LIST % second).replace("name: b", "name: c")
    assert [problem for problem in problems(text) if "it matches exactly what route 'b' (line 7) matches" in problem]


_APART: list[tuple[str, str, str]] = [
    ("a prefix and a path", "prefix: /b", "path: /b"),
    ("a literal and a name", "path: /b/x", "path: '/b/{y}'"),
    ("methods that are not all taken", "prefix: /b, methods: [GET]", "prefix: /b, methods: [GET, POST]"),
    ("any method after some", "prefix: /b, methods: [GET]", "prefix: /b"),
    ("a method after any", "prefix: /b", "prefix: /b, methods: [GET]"),
    ("more headers", "prefix: /b", "prefix: /b, headers: {A: 1}"),
    ("another header value", "prefix: /b, headers: {A: 2}", "prefix: /b, headers: {A: 1}"),
    ("a host", "prefix: /b", "prefix: /b, host: a.example"),
    ("a parameter", "prefix: /b", "prefix: /b, query: {a: 1}"),
    ("a slash at the end of a path", "path: /b", "path: /b/"),
]


@pytest.mark.parametrize(("first", "second"), [case[1:] for case in _APART], ids=[case[0] for case in _APART])
def test_routes_that_can_both_be_reached_are_fine(first: str, second: str) -> None:
    assert problems(TOP + _LIST % first + (_LIST % second).replace("name: b", "name: c")) == []


def test_a_route_whose_methods_others_take_first_can_never_be_reached() -> None:
    text = TOP + "".join(
        (_LIST % f"prefix: /b, methods: {methods}").replace("name: b", f"name: r{number}")
        for number, methods in enumerate(("[GET, HEAD]", "[POST]", "[GET, POST]"))
    )
    assert problems(text) == [
        "f:9:14: route 'r2': it can never be reached: route 'r0' (line 7) and route 'r1' (line 8) take GET, POST first; "
        "take it out, or add a condition"
    ]


def test_what_is_wrong_in_one_route_hides_nothing_in_another() -> None:
    text = TOP + "- {name: b}\n- {name: c, match: {prefix: /a}, candidate: nobody, split: {percent: x}}\n"
    assert [problem.split(": ", 2)[2] for problem in problems(text)] == [
        "match is missing; add `match: {prefix: /api/orders}`",
        "it matches exactly what route 'a' (line 6) matches; take one of them out, or add a condition",
        "unknown upstream 'nobody'; add it to upstreams, or take one of legacy, orders",
        "split.percent is 'x'; write a percent such as 25, 25% or 0.5%",
    ]


def test_an_upstream_that_is_wrong_is_still_known_to_routes() -> None:
    assert problems(TOP.replace('"http://127.0.0.1:8001"', "x")) == [
        "f:4:17: upstream 'orders': url is 'x'; it must start with http:// or https://"
    ]


@pytest.mark.parametrize("word", ["open", "full", "client_gone", "client_timeout", "client_protocol", "too_large"])
def test_a_breaker_counts_only_what_is_the_upstreams_fault(word: str) -> None:
    """If the proxy's refusals and clients' faults counted, they would open the breaker of a healthy upstream."""
    (problem,) = problems(TOP.replace('8001"', f'8001", breaker: {{counts: [{word}]}}'))
    assert f"breaker.counts[0] is '{word}'" in problem


_STICKY = "sticky: [%s]"
_WARNINGS: list[tuple[str, str]] = [
    (TOP + "trusted_proxies: [0.0.0.0/0]", "f:7:19: warning: trusted_proxies[0] is '0.0.0.0/0'; every client could claim to be another"),
    (TOP + "admin: {trusted_proxies: [10.0.0.1, '::/0']}", "admin.trusted_proxies[1] is '::/0'; every client could claim to be another"),
    (TOP + "admin: {users: X-Forwarded-User}", "admin.users is 'X-Forwarded-User'; admin.trusted_proxies is empty, so no proxy is trusted"),
    (TOP.replace('8001"', '8001/base"'), "f:4:17: warning: upstream 'orders': url has the path '/base'; every request's path is appended to it"),
    (TOP.replace("8001", "8000"), "upstream 'legacy' has the same URL"),
    (TOP.replace('"http://127.0.0.1:8001"', '"https://b", tls: {verify: false}'), "tls.verify is false"),
    (TOP.replace('8001"', '8001", tls: {ca: x}'), "tls has no effect"),
    (TOP.replace("{url: \"http://127.0.0.1:8001\"", "{urls: [http://b, 'http://b/']"), "urls[1] is 'http://b/'; the same URL is listed twice"),
    (TOP.replace('8001"', '8001", breaker: {failure_rate: none, consecutive: none}'), "the breaker never opens"),
    (TOP.replace('8001"', '8001", breaker: {counts: []}'), "the breaker never opens: counts is empty"),
    (TOP.replace('8001"', '8001", health: {timeout: 1m}'), "health.timeout is longer than health.interval"),
    (TOP.replace("routes:", "  spare: {url: http://c}\nroutes:"), "f:5:3: warning: upstream 'spare': no route uses it"),
    (route("fold: ['/b/{}']"), "fold[0] is '/b/{}'; the route does not match such a path"),
    (route("compare: {accept: [{path: $.a, endpoint: GET /b}]}"), "endpoint is 'GET /b'; the route does not match such a path"),
    (route("split: {percent: 5}"), "f:6:70: warning: route 'a': split.sticky is empty; chance decides each request"),
    (route("split: {percent: 5, sticky: [client_ip]}"), "client_ip and trusted_proxies is empty"),
    (route("split: {percent: 5, sticky: [client_ip, 'cookie:s']}"), "client_ip before others"),
    (route("split: {percent: 5, sticky: ['header:Traceparent']}"), "split.sticky[0] is 'header:Traceparent'; it differs from request to request"),
    (route("split: {percent: 5, sticky: ['header:User-Agent']}"), "many callers share one value"),
    (route("split: {percent: 5, sticky: ['header:Set-Cookie']}"), "servers send it, callers do not"),
    (route("split: {percent: 5, sticky: ['header:X-Usre-Id']}"), "is that the right name? did you mean 'x-user-id'?"),
    (route("split: {percent: 5, sticky: ['cookie:_ga']}"), "are analytics cookies"),
    (route("split: {percent: 100}"), "split.percent is 100 and no response of the candidate gets a shadow"),
    (route("split: {percent: 100}, shadow: {percent: 5}"), "no response of the candidate gets a shadow"),
    (route("split: {override: X-Arm}") + "listen: 0.0.0.0:80\n", "any client can choose its arm with X-Arm"),
    (route("shadow: {percent: 1, methods: [POST], writes: dry_run, of: any}"), "only writes that legacy served get a shadow"),
    (route("shadow: {percent: 1, writes: sandbox, to: orders}"), "that is the candidate itself"),
    (route("compare: {accept: [{path: $.a, until: 2026-11-22}]}"), "compare.accept[0] ended on 2026-11-22"),
    (route("split: {percent: 0.05, sticky: ['cookie:s']}"), "f:6:70: warning: route 'a': split.percent is 0.05, which means 0.05 %; write 0.05% if that is intended, or 5 for 5 %"),
    (route("shadow: {percent: 0.5}"), "shadow.percent is 0.5, which means 0.5 %; write 0.5% if that is intended, or 50 for 50 %"),
    (route(match="path: '/a/:id/b'"), "f:6:27: warning: route 'a': match.path has the segment ':id', which only matches itself; write {id} for any one segment"),
    (route(match="prefix: /a/<int:pk>"), "match.prefix has the segment '<int:pk>', which only matches itself; write {pk} for any one segment"),
    (route(match="prefix: /a/<pk>"), "write {pk} for any one segment"),
    (route(match="path: '/a/[id]'"), "write {id} for any one segment"),
    (route(match="path: /a/$id"), "write {id} for any one segment"),
    (route("gate: {min_pairs: 5}"), "f:6:53: warning: route 'a': gate is set and nothing is compared; the route never becomes ready, so no shift passes without --force; add `shadow: {percent: 5}`"),
    (route("gate: {}, shadow: {percent: 0}"), "gate is set and nothing is compared"),
    (route(match="prefix: /"), "f:6:29: warning: route 'a': match.prefix is '/', which is the whole monolith; all of it would move at once, with one verdict; name what the candidate serves"),
    (route("split: {group: b}") + "- {name: b, match: {prefix: /b}, candidate: orders}", "f:6:68: warning: route 'a': split.group is 'b', the name of the route on line 7, which has no group"),
    (route("split: {group: g, sticky: ['cookie:s']}") + "- {name: b, match: {prefix: /b}, candidate: orders, split: {group: g}}", "split.sticky differs from that of route 'a'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), _WARNINGS, ids=[line for _, line in _WARNINGS])
def test_what_one_would_want_to_be_told_is_a_warning(text: str, line: str) -> None:
    assert any(line in warning for warning in warnings(text)), warnings(text)


@pytest.mark.parametrize(
    "text",
    [
        TOP,
        TOP + "admin: {listen: '0.0.0.0:81', token: x}",
        TOP + "admin: {listen: '127.0.0.2:8080'}",
        TOP + "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}",
        route("split: {percent: 5, sticky: ['header:X-User-Id', client_ip]}"),
        route("split: {percent: 5, sticky: ['header:X-User-Name']}"),
        route("split: {percent: 5, sticky: [client_ip]}") + "trusted_proxies: [10.0.0.1]",
        TOP + "admin: {users: X-Forwarded-User, trusted_proxies: [10.0.0.1]}",
        route("split: {percent: 100}, shadow: {percent: 1, of: any}"),
        route("split: {percent: 100}, enabled: false"),
        route("split: {override: X-Arm}"),
        route("compare: {accept: [{path: $.a, until: 2026-11-23}]}"),
        route("shadow: {percent: 1, methods: [GET, OPTIONS]}"),
        route(match="path: '/café/%20/.well-known/{id}'"),
        route(match="prefix: /, host: shop.example"),
        route(match="prefix: /, methods: [GET]"),
        route(match="prefix: /", goes="candidate: legacy") + "- {name: b, match: {prefix: /b}, candidate: orders}",
        TOP + "- {name: b, match: {prefix: /a/b}, candidate: legacy}",
        route(match="path: '/a/{id}/b:c/x[1]'"),
        route("split: {percent: 0.05%, sticky: ['header:X-User-Id']}"),
        route("split: {percent: 1e1, sticky: ['header:X-User-Id']}"),
        route("gate: {}, shadow: {percent: 1}"),
        route("split: {group: a}"),
        route("split: {group: b}") + "- {name: b, match: {prefix: /b}, candidate: orders, split: {group: b}}",
        route("fold: ['/a/{}', '/{...}', '/{}/b/{}']"),
        route("compare: {accept: [{path: $.a, endpoint: 'GET /a/{}.json'}, {path: $.b, endpoint: GET /a}]}"),
    ],
)
def test_what_is_fine_is_not_remarked_on(text: str) -> None:
    assert warnings(text) == []


_UNSET = """\
version: 1
upstreams:
  legacy: {url: "${A}"}
  orders: {urls: ["${B}"]}
admin: {listen: "0.0.0.0:81", token: "${C}"}
routes:
- {name: a, match: {prefix: "${D}"}, candidate: "${E}", split: {percent: "${F}"}}
- {name: "${G}", match: {prefix: /b}, aggregate: {x: {upstream: "${H}", path: "${I}"}}}
- {name: c, match: {prefix: /c}, candidate: orders, gate: {}, shadow: {percent: "${J}"}, rewrite: {prefix: "${K}"}}
"""


def test_a_variable_that_is_not_set_is_one_problem_wherever_it_stands() -> None:
    whats = [problem.split(": ", 1)[1].partition(";")[0] for problem in problems(_UNSET)]
    assert whats == [f"the environment variable {name} is not set" for name in "ABCDEFGHIJK"]
