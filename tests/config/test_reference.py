"""The reference of all keys and the JSON Schema are what the models say, and agree with what is accepted."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from strangler.config.describe import Key, keys
from strangler.config.json_schema import json_schema
from strangler.config.load import load, parse
from strangler.config.reference import filled, schema_text
from tests.config.files import TODAY, TOP, read
from tests.config.test_load import EVERYTHING, LITTLE

_ROOT = Path(__file__).parents[2]
_SCHEMA = json_schema()


def _placed(key: Key) -> str:
    """A file in which this key has its example's value."""
    data: Any = yaml.safe_load(TOP)
    data["upstreams"]["payments"] = {"url": "http://127.0.0.1:8002"}
    data["upstreams"]["orders-sandbox"] = {"url": "http://127.0.0.1:8003"}
    data["routes"][0]["match"] = {"prefix": "/a/{id}"}
    value = yaml.safe_load(key.example)
    steps = [step.replace("NAME", "orders") for step in re.split(r"\.|(\[\])", key.path) if step]
    here: Any = data
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        if step == "[]":
            here = here[0]
        elif after is None:
            here[step] = value
        elif after == "[]":
            here = here.setdefault(step, [{}]) or here
        else:
            here = here.setdefault(step, {})
    _complete(data, key.path)
    return json.dumps(data, default=str)


def _complete(data: Any, path: str) -> None:
    """Adds what the key cannot be without, and takes out what it replaces."""
    route = data["routes"][0]
    if path == "routes[].match.path":
        del route["match"]["prefix"]
    if path == "upstreams.NAME.urls":
        del data["upstreams"]["orders"]["url"]
    if path == "upstreams":
        data["upstreams"]["orders"] = {"url": "http://127.0.0.1:8001"}
    _complete_way(data, path)
    if path.startswith("listen[]."):
        _complete_listener(data["listen"][0], path)
    if path.endswith(("http2", "http3")):
        data["engine"] = "envoy"
    _complete_tls(data)
    _complete_retire(route.get("retire") or {})
    if path.startswith("routes[].shadow"):
        route["shadow"].setdefault("percent", 1)
    if path.endswith("shadow.to"):
        route["shadow"]["writes"] = "sandbox"
    for rule in (route.get("compare") or {}).get("accept", []):
        _complete_rule(rule)
    for rule in (route.get("compare") or {}).get("unordered", []):
        rule.setdefault("path", "$.a")
    if "kafka" in path and path.count(".") == 2:
        data["events"]["kafka"] = {"bootstrap_servers": "a:1", "topic": "t"} | data["events"]["kafka"]
    if path == "upstreams.NAME.tls.key":
        data["upstreams"]["orders"]["tls"]["cert"] = "client.pem"


def _complete_listener(listener: dict[str, Any], path: str) -> None:
    is_unix = path.endswith(("mode", "group"))
    listener.setdefault("address", "unix:/run/strangler.sock" if is_unix else "127.0.0.1:8080")
    if path.endswith("proxy_protocol.required"):
        listener["proxy_protocol"]["from"] = ["10.0.0.0/8"]
    if path.endswith("http3"):
        listener["tls"] = {}


def _complete_tls(data: Any) -> None:
    """Gives each `tls` a certificate."""
    listed = data.get("listen")
    holders = [data.get("admin", {}), *(listed if isinstance(listed, list) else [])]
    for tls in [holder["tls"] for holder in holders if isinstance(holder, dict) and holder.get("tls") is not None]:
        _complete_certificates(tls)


def _complete_certificates(tls: dict[str, Any]) -> None:
    for certificate in tls.setdefault("certificates", [{}]) or ():
        certificate.setdefault("cert", "shop.pem")
    if "client_cert" in tls:
        tls["client_ca"] = "ca.pem"


def _complete_way(data: Any, path: str) -> None:
    """Where the route leads."""
    route = data["routes"][0]
    if path.startswith("routes[].rollout"):
        route["split"] = {"sticky": ["client_ip"]}
    if "aggregate" in path or "passthrough" in path:
        del route["candidate"]
    if "passthrough" in path:
        data["upstreams"]["chat"] = {"url": "http://127.0.0.1:8002"}
    if "aggregate" in path:
        for part in route["aggregate"].values():
            part.setdefault("upstream", "orders")
            part.setdefault("path", "/x")


def _complete_retire(retire: dict[str, Any]) -> None:
    if retire:
        retire.setdefault("sunset", "2027-03-01")
    for brownout in retire.get("brownouts", []):
        brownout.setdefault("from", "2027-02-01T09:00Z")
        brownout.setdefault("to", "2027-02-01T10:00Z")


def _complete_rule(rule: dict[str, Any]) -> None:
    if rule.keys().isdisjoint({"path", "css", "header", "status"}):
        rule["path"] = "$.a"
    if not rule.keys().isdisjoint({"from", "to"}):
        rule.update({"from": "EUR", "to": "eur"})


@pytest.mark.parametrize("key", keys(), ids=lambda key: str(key.path))
def test_the_example_of_every_key_is_accepted(key: Key) -> None:
    text = _placed(key)
    path = Path("nowhere/routes.yaml") if key.path == "include" else None
    assert parse(text, "f", {"STRANGLER_TOKEN": "x"}, TODAY, path=path).problems == ()
    assert [error.message for error in Draft202012Validator(_SCHEMA).iter_errors(json.loads(text))] == []


def test_the_docs_have_every_key() -> None:
    page = (_ROOT / "docs" / "configuration.md").read_text()
    for key in keys():
        assert f"| `{key.path}` |" in page
        assert key.meaning.strip()


def test_the_docs_are_fresh() -> None:
    """If this fails: `python -m strangler.config.reference docs`."""
    page = (_ROOT / "docs" / "configuration.md").read_text()
    assert filled(page) == page
    assert (_ROOT / "docs" / "routes.schema.json").read_text() == schema_text()


def test_the_defaults_in_the_docs_are_what_is_used() -> None:
    """Every default, written out, changes nothing."""
    data: Any = yaml.safe_load(TOP)
    plain = read(TOP).settings
    for key in keys():
        steps = key.path.replace("NAME", "orders").replace("routes[]", "routes").split(".")
        is_value = key.default is not None and key.default.startswith("`")
        if not is_value or "[]" in ".".join(steps) or "FIELD" in steps or len(steps) == 1:
            continue
        optional = (
            "events.kafka",
            "routes.retire",
            "routes.rewrite",
            "routes.rollout",
            "routes.timeouts",
            "routes.shadow",
            "upstreams.orders.health",
            "admin.tls",
            "receiver",
        )
        if ".".join(steps).startswith(optional):
            continue
        here = data["routes"][0] if steps[0] == "routes" else data
        for step in steps[1 if steps[0] == "routes" else 0 : -1]:
            here = here.setdefault(step, {})
        here.setdefault(steps[-1], yaml.safe_load((key.default or "").strip("`")))
    written = read(json.dumps(data))
    assert written.problems == ()
    assert written.settings == plain


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(_SCHEMA)


@pytest.mark.parametrize("text", [EVERYTHING, TOP], ids=["everything", "little"])
def test_the_schema_takes_what_check_takes(text: str) -> None:
    data = json.loads(json.dumps(yaml.safe_load(text), default=str))
    assert [error.message for error in Draft202012Validator(_SCHEMA).iter_errors(data)] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("percent: 25\n", "percent: 120\n"),
        ("percent: 25\n", "percent: 1.2.3%\n"),
        ("response: 5s", "response: 5"),
        ("header_bytes: 32KiB", "header_bytes: 32 k"),
        ("log: {level: info", "log: {levl: info"),
        ("candidate: orders", "candidat: orders"),
        ("version: 1", "version: 2"),
        ("of: legacy", "of: both"),
        ("percent: 10, ", ""),
        ("  legacy:\n", "  legcy:\n"),
    ],
)
def test_the_schema_refuses_what_check_refuses(old: str, new: str) -> None:
    text = EVERYTHING.replace(old, new, 1)
    assert text != EVERYTHING
    assert read(text).problems
    data = json.loads(json.dumps(yaml.safe_load(text), default=str))
    assert list(Draft202012Validator(_SCHEMA).iter_errors(data))


def test_variables_may_stand_for_any_value() -> None:
    text = LITTLE.replace("percent: 25%", 'percent: "${P:-5}"').replace("response: 5s", 'response: "${R:-5s}"')
    assert read(text).problems == ()
    data = json.loads(json.dumps(yaml.safe_load(text), default=str))
    assert [error.message for error in Draft202012Validator(_SCHEMA).iter_errors(data)] == []


def test_every_key_has_a_meaning_in_the_schema() -> None:
    for name, shape in {"File": _SCHEMA, **_SCHEMA["$defs"]}.items():
        for key, value in shape.get("properties", {}).items():
            assert value.get("description"), f"{name}.{key}"


def test_the_shipped_file_is_right_and_names_its_schema() -> None:
    path = _ROOT / "routes.yaml"
    loaded = load(path, {})
    assert loaded.problems == loaded.warnings == ()
    first = path.read_text().splitlines()[0]
    found = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)
    assert found is not None
    named = (path.parent / found[1]).read_text()
    data = yaml.safe_load(path.read_text())
    assert [error.message for error in Draft202012Validator(json.loads(named)).iter_errors(data)] == []
