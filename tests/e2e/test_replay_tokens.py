"""A visit of a real token service, recorded behind a real proxy, and replayed on one with other keys and tokens."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.journeys import Journey
from tests.http1.proxies import strangler
from tests.replay.django_apps import CLIENT_SECRET, PASSWORD, token_service
from tests.replay.visitor import Visitor
from tests.replay.visits import TOKEN_STATUSES, grant, token_visit

ROUTES = """\
version: 1
listen: "127.0.0.1:{{port}}"
admin: {{{{listen: "127.0.0.1:{{admin}}"}}}}
workers: 1
state: "{{state}}"
upstreams:
  legacy: {{{{url: "http://127.0.0.1:{}"}}}}
  candidate: {{{{url: "http://127.0.0.1:{}"}}}}
routes:
  - name: api
    match: {{{{prefix: /}}}}
    candidate: candidate
    split: {{{{percent: 0}}}}
    gate: {{{{min_pairs: 5, min_match: 50%, min_age: 0s}}}}
"""
WHOLE = ("--to", "candidate", "--writes", "sandbox")
SECRETS = {"*": {"body:password": PASSWORD, "body:client_secret": CLIENT_SECRET}}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Journey, int]]:
    """A token service behind a proxy, whose own tokens are accepted as such, and the port of the candidate."""
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(name) for name in ("legacy", "candidate", "proxy")]
        ports = [stack.enter_context(token_service(folder)) for folder in folders[:2]]
        proxy = stack.enter_context(strangler(ROUTES.format(*ports), folders[2]))
        journey = Journey(folders[2], proxy.port, ())
        journey.recorded("tokens.rec", token_visit, "--no-redact")
        journey.recorded("redacted.rec", token_visit)
        (journey.folder / "callers.yaml").write_text(json.dumps(SECRETS))
        for words in (("tokens.rec",), ("redacted.rec", "--callers", "callers.yaml")):
            first = journey.replay(*words, *WHOLE)
            print(first.output)
            done = journey.run("diffs", "accept", "--source", "replay", "--yes", "--why", "tokens of its own")
            assert done.code == 0, (first, done)
        yield journey, ports[1]


def expected() -> dict[str, int]:
    return {str(status): TOKEN_STATUSES.count(status) for status in sorted({*TOKEN_STATUSES})}


@pytest.mark.parametrize("words", [("tokens.rec",), ("redacted.rec", "--callers", "callers.yaml")], ids=lambda _: "")
def test_tokens_are_got_used_and_refreshed(tokens: tuple[Journey, int], words: tuple[str, ...]) -> None:
    document = tokens[0].replayed(*words, *WHOLE, "--fail-on", "difference")
    assert document.statuses == expected()
    assert (document.reasons, document.left_out, document.fields_left_out) == ([], {}, {})


def test_a_field_for_all_is_a_token_that_is_there_already(tokens: tuple[Journey, int]) -> None:
    journey, port = tokens
    token = grant(Visitor(port))["access_token"]
    document = journey.replayed("redacted.rec", "--header", f"Authorization: Bearer {token}")
    assert document.statuses == {"200": 2, "404": 4}, "a profile each time; the projects are not there"
    without = journey.replayed("redacted.rec")
    assert without.fields_left_out == {"header:authorization": 6}
    assert without.statuses == {"403": 6}
    assert {row.endpoint: row.reasons for row in without.unsent}["POST /oauth/token"] == {"a write": 3}
