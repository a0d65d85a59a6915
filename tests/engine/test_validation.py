"""Validation by the real Envoy: what it refuses is one line, which names the reason and no secret."""

import json
import os
from pathlib import Path

import pytest

from strangler.engine.binary import EnvoyBinary
from strangler.engine.validation import ValidationError, refusal, refusal_of
from tests.engine.envoys import real_envoy, script
from tests.factories import route, settings, upstream

SECRET = "hunter2"


def twin(**cluster: object) -> bytes:
    return json.dumps({"static_resources": {"clusters": [cluster]}}).encode()


def test_a_right_configuration_is_not_refused() -> None:
    assert refusal_of(twin(name="a", type="STATIC"), real_envoy()) is None


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        pytest.param(twin(name="a", typ="STATIC"), "typ", id="an unknown field"),
        pytest.param(twin(name="", type="STATIC"), "value length must be at least 1", id="an empty name"),
        pytest.param(twin(name="a", connect_timeout="soon"), "connect_timeout", id="a bad duration"),
        pytest.param(b"{", "JSON", id="no JSON"),
    ],
)
def test_a_refusal_is_one_line_with_the_reason(configuration: bytes, reason: str) -> None:
    found = refusal_of(configuration, real_envoy())
    assert found is not None
    assert reason in found
    assert "\n" not in found
    assert "twin.json" not in found


def test_a_refusal_has_nothing_of_the_message_that_is_refused() -> None:
    listener = {
        "name": "",
        "filter_chains": [{"transport_socket": {"name": SECRET}}],
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0, "resolver_name": SECRET}},
    }
    configuration = {"static_resources": {"listeners": [listener], "clusters": [{"name": "", "alt_stat_name": SECRET}]}}
    found = refusal_of(json.dumps(configuration).encode(), real_envoy())
    assert found is not None
    assert SECRET not in found


def test_nothing_is_left_of_a_validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert refusal_of(b"{", real_envoy()) is not None
    assert os.listdir(tmp_path) == []


def test_an_envoy_that_cannot_be_run_is_no_refusal(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="could not be asked"):
        refusal_of(b"{}", EnvoyBinary(str(tmp_path / "absent"), "1.40.0"))


def test_an_envoy_that_says_nothing_has_its_status_named(tmp_path: Path) -> None:
    assert refusal_of(b"{}", EnvoyBinary(str(script(tmp_path, "exit 3")), "1.40.0")) == "it ended with status 3"


def test_settings_are_rendered_and_validated() -> None:
    real_envoy()
    upstreams = [upstream("legacy", "http://127.0.0.1:1"), upstream("orders", "http://127.0.0.1:2")]
    assert refusal(settings(routes=[route("orders", percent=25)], upstreams=upstreams)) is None
