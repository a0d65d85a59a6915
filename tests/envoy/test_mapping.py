"""The table of all keys is complete, the page is made of it, and `check` warns of each loss."""

from pathlib import Path

import pytest

from strangler.config.describe import keys
from strangler.config.load import parse
from strangler.envoy.losses import LOSSES
from strangler.envoy.mapping import MAPPING, filled, row_of
from strangler.envoy.mapping_row import Exactness, Row
from tests.config.files import TODAY

_ROOT = Path(__file__).parents[2]
_ALL = [key.path for key in keys()]
_LEAVES = [path for path in _ALL if not any(other.startswith((f"{path}.", f"{path}[]")) for other in _ALL)]

_FILE = """\
version: 1
engine: envoy
{top}
upstreams:
  legacy: {{url: "http://127.0.0.1:8000", timeouts: {{{times}}}, bulkhead: {{waiting: 0}}{legacy}}}
  orders: {{url: "http://127.0.0.1:8001", bulkhead: {{{bulkhead}}}{upstream}}}
  sandbox: {{url: "http://127.0.0.1:8002", bulkhead: {{waiting: 0}}}}
routes:
- {{name: a, match: {{{kind}: "/a/{{id}}"{match}}}{route}}}
"""
_CANDIDATE = ", candidate: orders, fallback: {fence: 0s, when: [connect, timeout, reset, open]}"


def _warnings(**parts: str) -> list[str]:
    """Return the warnings of a file about Envoy, with these parts of it."""
    loaded = parse(_text(**parts), "f", {}, TODAY)
    assert loaded.problems == ()
    return [str(warning) for warning in loaded.warnings if " by Envoy" in warning.what]


def _text(**parts: str) -> str:
    usual = {
        "top": "",
        "legacy": "",
        "times": "response: 10s",
        "upstream": "",
        "bulkhead": "waiting: 0",
        "kind": "path",
        "match": "",
    }
    return _FILE.format(**{**usual, "route": _CANDIDATE, **parts})


@pytest.mark.parametrize("key", _LEAVES)
def test_each_key_has_a_row(key: str) -> None:
    assert row_of(key).envoy


@pytest.mark.parametrize("row", MAPPING, ids=lambda row: str(row.keys[0]))
def test_each_row_is_about_keys_that_there_are(row: Row) -> None:
    for pattern in row.keys:
        section = pattern.removesuffix(".*")
        assert section in _ALL or any(key.startswith(f"{section}.") for key in _ALL)


def test_a_row_says_what_happens_instead_if_and_only_if_something_is_lost() -> None:
    for row in MAPPING:
        assert (row.exactness is Exactness.EXACT) == (not row.instead), row


def test_the_page_is_fresh() -> None:
    """If this fails: `python -m strangler.envoy.mapping docs`."""
    page = (_ROOT / "docs" / "envoy.md").read_text()
    assert filled(page) == page
    assert all(f"`{key}`" in page for row in MAPPING for key in row.keys)


LOST: dict[str, tuple[dict[str, str], str]] = {
    "listen[].group": (
        {"top": 'listen: {address: "unix:/run/s.sock", group: www-data}'},
        "f:3:46: warning: listen[0].group is not kept",
    ),
    "listen[].proxy_protocol.from": (
        {"top": "listen: {address: 0.0.0.0:80, proxy_protocol: {from: [10.0.0.0/8], required: false}}"},
        "f:3:78: warning: listen[0].proxy_protocol.required is kept only nearly",
    ),
    "tracing.otlp": ({"top": "tracing: {otlp: http://127.0.0.1:4318}"}, "f:3:17: warning: tracing.otlp is not kept"),
    "trusted_proxies": ({"top": "trusted_proxies: [10.0.0.1]"}, "f:3:1: warning: trusted_proxies is kept only nearly"),
    "ambiguous_paths": ({"top": "ambiguous_paths: reject"}, "f:3:18: warning: ambiguous_paths is kept only nearly"),
    "upstreams.legacy.timeouts.response": (
        {"times": ""},
        "f:2:9: warning: the default of upstreams.legacy.timeouts.response is kept only nearly",
    ),
    "upstreams.NAME.bulkhead.waiting": ({"bulkhead": "waiting: 5"}, "upstream 'orders': bulkhead.waiting is not kept"),
    "upstreams.NAME.bulkhead.wait": ({"bulkhead": "wait: 2s"}, "upstream 'orders': bulkhead.wait is not kept"),
    "upstreams.NAME.bulkhead.streams": (
        {"bulkhead": "waiting: 0, streams: 9"},
        "upstream 'orders': bulkhead.streams is kept only nearly",
    ),
    "upstreams.NAME.breaker.window": (
        {"upstream": ", breaker: {window: 10s}"},
        "upstream 'orders': breaker.window is kept only nearly",
    ),
    "upstreams.NAME.breaker.slow_call": (
        {"upstream": ", breaker: {slow_call: 3s}"},
        "upstream 'orders': breaker.slow_call is not kept",
    ),
    "upstreams.NAME.breaker.cooldown": (
        {"upstream": ", breaker: {cooldown: 5s}"},
        "upstream 'orders': breaker.cooldown is kept only nearly",
    ),
    "upstreams.NAME.breaker.max_cooldown": (
        {"upstream": ", breaker: {max_cooldown: 1m}"},
        "upstream 'orders': breaker.max_cooldown is kept only nearly",
    ),
    "upstreams.NAME.breaker.trials": (
        {"upstream": ", breaker: {trials: 1}"},
        "upstream 'orders': breaker.trials is not kept",
    ),
    "upstreams.NAME.breaker.counts": (
        {"legacy": ", breaker: {counts: [connect, 503]}"},
        "upstream 'legacy': breaker.counts is kept only nearly",
    ),
    "upstreams.NAME.retry.attempts": (
        {"upstream": ", retry: {attempts: 3}", "route": ", candidate: orders, fallback: {fence: 0s}"},
        "upstream 'orders': retry.attempts is kept only nearly",
    ),
    "upstreams.NAME.retry.budget": (
        {"upstream": ", retry: {budget: 5%}"},
        "upstream 'orders': retry.budget is kept only nearly",
    ),
    "upstreams.NAME.keepalive": (
        {"upstream": ", keepalive: 4s"},
        "upstream 'orders': keepalive is kept only nearly",
    ),
    "routes[].match.query": ({"match": ", query: {a: b}"}, "route 'a': match.query is kept only nearly"),
    "routes[].aggregate": (
        {"route": ', aggregate: {x: {upstream: orders, path: "/{id}"}}'},
        "route 'a': aggregate is not kept",
    ),
    "routes[].split.sticky": (
        {"top": "listen: '[::]:80'", "route": f"{_CANDIDATE}, split: {{percent: 5, sticky: ['cookie:s', client_ip]}}"},
        "route 'a': split.sticky[1] is kept only nearly",
    ),
    "routes[].timeouts.connect": (
        {"route": f"{_CANDIDATE}, timeouts: {{connect: 1s}}"},
        "route 'a': timeouts.connect is not kept",
    ),
    "routes[].fallback.when": (
        {"route": ", candidate: orders, fallback: {fence: 0s}"},
        "f:2:9: warning: the default of fallback.when is kept only nearly by Envoy (route 'a')",
    ),
    "routes[].fallback.fence": (
        {"route": ", candidate: orders, fallback: {when: [connect, open], fence: 5s}"},
        "route 'a': fallback.fence is not kept",
    ),
    "routes[].shadow.percent": (
        {"route": f"{_CANDIDATE}, shadow: {{percent: 5}}, gate: {{}}"},
        "route 'a': shadow.percent is kept only nearly",
    ),
    "routes[].shadow.methods": (
        {"route": f"{_CANDIDATE}, shadow: {{percent: 5, methods: [PUT], writes: sandbox, to: sandbox}}"},
        "route 'a': shadow.methods is kept only nearly",
    ),
}
"""By key of the table: parts of a file that uses it, and a part of the warning."""


def test_a_file_that_loses_nothing_has_no_warning() -> None:
    assert _warnings() == []


@pytest.mark.parametrize("key", LOST)
def test_a_loss_is_a_warning_that_says_what_happens_instead(key: str) -> None:
    parts, text = LOST[key]
    (warning,) = [each for each in _warnings(**parts) if each.endswith(f"; {row_of(key).instead}") and text in each]
    assert warning.startswith("f:")


def test_each_loss_is_tried() -> None:
    assert set(LOST) == set(LOSSES)


@pytest.mark.parametrize("key", LOST)
def test_the_built_in_engine_loses_nothing(key: str) -> None:
    parts, _ = LOST[key]
    loaded = parse(_text(**parts).replace("engine: envoy", "engine: builtin"), "f", {}, TODAY)
    assert loaded.problems == ()
    assert [warning for warning in loaded.warnings if " by Envoy" in warning.what] == []


def test_defaults_that_are_lost_are_one_warning_for_all_routes() -> None:
    route = ", candidate: orders, fallback: {when: [connect, open]}"
    more = "".join(f"- {{name: {name}, match: {{path: /{name}}}{route}}}\n" for name in "bcd")
    loaded = parse(_text(route=route) + more, "f", {}, TODAY)
    (warning,) = [str(each) for each in loaded.warnings if "fence" in each.what]
    assert warning.startswith(
        "f:2:9: warning: the default of fallback.fence is not kept by Envoy (route 'a', route 'b' and 2 more); "
    )


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        pytest.param({"route": ", candidate: orders, fallback: false"}, "fallback", id="no fallback, no fence"),
        pytest.param({"upstream": ", breaker: false"}, "breaker", id="no breaker"),
        pytest.param({"bulkhead": "wait: 0s, waiting: 5"}, "bulkhead", id="nothing waits for no time"),
        pytest.param({"route": f"{_CANDIDATE}, split: {{sticky: [client_ip]}}"}, "sticky", id="IPv4 alone"),
        pytest.param({"route": f"{_CANDIDATE}, shadow: {{percent: 0}}, gate: {{}}"}, "shadow", id="no shadows"),
        pytest.param({"upstream": ", breaker: {cooldown: 5m}"}, "cooldown", id="a cooldown that never grows"),
    ],
)
def test_what_is_not_used_is_not_lost(parts: dict[str, str], key: str) -> None:
    assert [warning for warning in _warnings(**parts) if key in warning] == []


def test_a_loss_in_defaults_is_one_warning_at_its_place() -> None:
    text = _text(top="defaults: {routes: {shadow: {percent: 5}, gate: {}}}") + (
        '- {name: b, match: {path: "/b"}, candidate: orders}\n'
    )
    (warning,) = [str(each) for each in parse(text, "f", {}, TODAY).warnings if "shadow.percent" in each.what]
    assert warning.startswith("f:3:39: warning: route 'a' and 1 more: shadow.percent is kept only nearly")
