"""Planted secrets are nowhere in the bytes of the state folder."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.compare import Redactor
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.journal import Journal
from strangler.store.evidence.writing import SCHEMA, store_findings
from tests.store.evidence.pairs import KEY, NOON, captured, finding_of, json_response

SECRET = "zq9-planted-Xk"  # no word of ours holds it
CARD = "4111111111111111"
_NAMES = st.sampled_from(
    ["password", "userPassword", "PASSWD", "client-secret", "access_token", "api_key", "apiKey", "Authorization",
     "cookie", "session_id", "sessionId", "cvv", "refresh.token"]
)  # fmt: skip
_SECRETS = st.integers(0, 9999).map(lambda number: f"{SECRET}{number}")
_PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-1000, 1000), st.text("abc <>&\"'\\", max_size=8))
_TREES = st.recursive(
    st.one_of(_PLAIN, _SECRETS.map(lambda secret: {"token": secret})),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["id", "items", "note", "$ref", "a b"]), inner, max_size=4),
        st.builds(lambda name, secret: {name: secret}, _NAMES, st.one_of(_SECRETS, st.lists(_SECRETS, max_size=3))),
        st.builds(lambda name, secret: {name: {"deep": [secret]}}, _NAMES, _SECRETS),
    ),
    max_leaves=12,
)


def _folder_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def _stored(legacy: Any, candidate: Any, name: str, secret: str, rules: list[str]) -> bytes:
    """All bytes that are kept of a comparison in whose every corner a secret was put."""
    raw = secret.encode()
    request = captured(
        target=b"/api/orders/7?page=2&%b=%b&token=%b" % (name.encode(), quote_from_bytes(raw).encode(), raw),
        lines=b"Host: shop\r\nAuthorization: Bearer %b\r\nCookie: sid=%b; theme=dark\r\nX-Api-Key: %b\r\n"
        b"X-Session-Id: %b\r\nX-Tenant: %b\r\n" % (raw, raw, raw, raw, raw),
        body=b'{"password": "%b", "card": "%b"}' % (raw, CARD.encode()),
    )
    headers = ((b"Set-Cookie", b"sid=%b; Path=/" % raw), (b"X-Auth-Token", raw))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        index = IndexState()
        finding = finding_of(
            json_response(legacy, headers=headers),
            json_response(candidate, headers=headers),
            request,
            index,
            Redactor.of(KEY, ["header:x-tenant", *rules]),
        )
        with closing(sqlite3.connect(folder / "strangler.db")) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")  # nothing here has to survive
            connection.executescript(SCHEMA)
            store_findings(connection, index, [finding], NOON)
        Journal(folder).append([finding.line] if finding.line else [])
        return _folder_bytes(folder)


@settings(max_examples=150, deadline=None)
@given(_TREES, _TREES, _NAMES, _SECRETS)
def test_planted_secrets_never_reach_the_state_folder(legacy: Any, candidate: Any, name: str, secret: str) -> None:
    content = _stored({"a": legacy, name: secret}, {"a": candidate, name: secret + "0"}, name, secret, [])
    assert SECRET.encode() not in content
    assert CARD.encode() not in content


@settings(max_examples=50, deadline=None)
@given(_SECRETS)
def test_what_a_route_redacts_never_does(secret: str) -> None:
    legacy = {"items": [{"email": secret, "id": 1}], "note": "plain"}
    candidate = {"items": [{"email": secret + "1", "id": 2}], "note": "other"}
    content = _stored(legacy, candidate, "cvv", "nothing", ["$..email"])
    assert SECRET.encode() not in content
    assert b"plain" in content


def test_what_is_no_secret_is_kept_so_that_the_search_means_something() -> None:
    assert b"an open word" in _stored({"note": "an open word"}, {"note": "another"}, "cvv", "x", [])
