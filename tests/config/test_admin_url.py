"""`admin.url`: where people reach the dashboard, and so what approval links begin with."""

import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from strangler.config.json_schema import json_schema
from tests.config.files import TOP, problems, read, route, warnings

STICKY = "split: {sticky: [client_ip]}, "
WEBHOOK = "events: {webhook: https://hooks.example/x}\n"
APPROVED = route(STICKY + "rollout: {approve: [50], gate: never}") + WEBHOOK


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("https://ops.example.com", "https://ops.example.com", id="a host"),
        pytest.param("https://ops.example.com/", "https://ops.example.com", id="a slash at the end"),
        pytest.param("http://10.0.0.7:8081/ops/strangler/", "http://10.0.0.7:8081/ops/strangler", id="a path"),
        pytest.param("'http://[::1]:8081'", "http://[::1]:8081", id="IPv6"),
        pytest.param("null", None, id="null"),
        pytest.param("'${NONE:-}'", None, id="an empty variable"),
    ],
)
def test_it_is_the_beginning_of_links(written: str, expected: str | None) -> None:
    text = TOP + f"admin: {{url: {written}}}\n"
    loaded = read(text)
    assert loaded.settings is not None, loaded.problems
    assert loaded.settings.admin.url == expected
    data = json.loads(json.dumps(yaml.safe_load(text)))
    assert [error.message for error in Draft202012Validator(json_schema()).iter_errors(data)] == []


@pytest.mark.parametrize(
    ("written", "way_out"),
    [
        ("ops.example.com", "it must start with http:// or https://"),
        ("ftp://ops.example.com", "it must start with http:// or https://"),
        ("https://ops.example.com/?a=1", "cannot have a query; take it out"),
        ("'https://ops.example.com/#top'", "take the '#' out"),
        ("https://ana:pw@ops.example.com", "a URL with a user and password"),
        ("https://ops.example.com/../up", "such as https://ops.example.com/strangler"),
        ("https://ops.example.com//twice", "such as https://ops.example.com/strangler"),
        ("'https://ops.example.com/<b>'", "such as https://ops.example.com/strangler"),
        ("https://ops.example.com:0", "the port must be 1 to 65535"),
        ("'https://'", "it has no host"),
        ("[a]", "write a URL such as https://ops.example.com/strangler"),
    ],
)
def test_what_no_link_can_begin_with_is_refused(written: str, way_out: str) -> None:
    (problem,) = problems(TOP + f"admin: {{url: {written}}}\n")
    assert problem.startswith("f:7:")
    assert "admin.url" in problem
    assert way_out in problem


def test_links_that_lead_to_the_readers_own_machine_are_warned_of() -> None:
    (warning,) = [each for each in warnings(APPROVED) if "approval" in each]
    assert "events.webhook" in warning
    assert "127.0.0.1:8081" in warning
    assert "admin: {url:" in warning


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(APPROVED + "admin: {url: https://ops.example}\n", id="a URL"),
        pytest.param(APPROVED + "admin: {listen: '0.0.0.0:8081', token: s3cret}\n", id="an address for all"),
        pytest.param(route(STICKY + "rollout: {approve: [50], gate: never}"), id="no webhook"),
        pytest.param(route(STICKY + "rollout: {gate: never}") + WEBHOOK, id="no approvals"),
    ],
)
def test_others_are_not(text: str) -> None:
    assert [each for each in warnings(text) if "approval" in each] == []
