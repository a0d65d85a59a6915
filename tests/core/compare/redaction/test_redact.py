"""Secrets never reach what is kept; equal secrets stay equal."""

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.compare import (
    PatternError,
    Redactor,
    Response,
    Sample,
    redact_difference,
    redact_differences,
    redact_sample,
)
from strangler.core.privacy.secrets import card_spans, is_card_number, is_secret_name
from tests.core.compare.responses import compared, response, trees
from tests.core.compare.responses import settings as rules_of

REDACTOR = Redactor.of(b"key", ["$..email", "header:X-Tenant"])
NAMES = [
    "password",
    "Passwd",
    "client_secret",
    "accessToken",
    "API-Key",
    "api key",
    "x.api.key",
    "Authorization",
    "cookies",
]
NAMES += ["session_id", "SessionId", "CVV2", "p_a_s_s_w_o_r_d", "ｔｏｋｅｎ", "%74oken"]


@pytest.mark.parametrize("name", NAMES)
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["pass", "session", "key", "api", "id", "cv", "author", "coo_k", ""])
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


CARDS = ["4111111111111111", "378282246310005", "6011 1111 1111 1117", "5500-0000-0000-0004", "3056.9309.0259.04"]
CARDS += ["4222222222222", "6304000000000000000", "4111%201111%201111%201111", "4111+1111+1111+1111"]


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("around", ["{}", "card {}, thanks", "x{}y", "a=1&n={}&b=2", "12 {} 34", "{} 4111"])
def test_card_numbers_are_found_anywhere_in_a_text(card: str, around: str) -> None:
    redacted = REDACTOR.text(around.format(card))
    assert card not in redacted
    assert "redacted:" in redacted


@pytest.mark.parametrize(
    "text", ["4111111111111112", "411111111111", "41111111111111110000", "1234-5678", "2026-11-23 08:00:00.123"]
)
def test_other_numbers_are_kept(text: str) -> None:
    assert REDACTOR.text(text) == text


def test_check_digit() -> None:
    assert is_card_number("79927398713000") is False
    assert is_card_number("4111111111111111")
    assert list(card_spans("4111111111111111")) == [(0, 16)]


def kept_values(legacy: Any, candidate: Any) -> list[dict[str, Any]]:
    return [redact_difference(difference, REDACTOR).as_json() for difference in trees(legacy, candidate).differences]


def test_difference_has_the_form_of_the_design() -> None:
    assert kept_values({"items": [{"price": "19.99"}]}, {"items": [{"price": 19.99}]}) == [
        {
            "in": "body",
            "path": "$.items[*].price",
            "kind": "type",
            "severity": "breaking",
            "legacy": "19.99",
            "candidate": 19.99,
        }
    ]


VALUES: dict[str, tuple[bytes, Any]] = {
    "integer": (b"12", 12),
    "float": (b"19.990", 19.99),
    "2^53 + 1": (b"9007199254740993", 9007199254740993),
    "beyond 64 bits": (b"18446744073709551616", "18446744073709551616"),
    "beyond floats": (b"1e400", "1e400"),
    "more digits than a float has": (b"0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
    "bool": (b"true", True),
    "null": (b"null", None),
    "object": (b'{"b":[1,"x"]}', {"b": [1, "x"]}),
    "long string": (b'"' + b"x" * 1000 + b'"', "x" * 300 + "… (1000 characters)"),
    "large object": (b'{"a":[' + b"1," * 500 + b"1]}", '{"a":[' + "1," * 147 + "…"),
    "lone surrogate": (rb'"\ud800"', "\\ud800"),
}


@pytest.mark.parametrize(("legacy", "expected"), VALUES.values(), ids=VALUES)
def test_values_are_plain_json_and_bounded(legacy: bytes, expected: Any) -> None:
    (difference,) = compared(response(b'{"a":' + legacy + b"}"), response(b'{"a":"other"}')).differences
    kept = redact_difference(difference, REDACTOR).as_json()
    assert kept["legacy"] == expected
    json.dumps(kept).encode()


def test_value_under_a_secret_name_is_a_keyed_hash() -> None:
    (difference,) = kept_values({"token": "s3cr3t"}, {"token": "other"})
    assert difference["legacy"] == f"redacted:{REDACTOR.hashed('s3cr3t')}"
    assert len(REDACTOR.hashed("s3cr3t")) == 8
    assert Redactor.of(b"another key", []).hashed("s3cr3t") != REDACTOR.hashed("s3cr3t")


@pytest.mark.parametrize("page", ["<r><password>{}</password></r>", "<Token>{}</Token>", "<secret><b>{}</b></secret>"])
def test_an_element_with_a_secret_name_is_told_as_a_hash_in_a_page_too(page: str) -> None:
    legacy, candidate = (response(page.format(word).encode(), "text/html") for word in ("s3cr3t", "0ther"))
    (kept,) = redact_differences(compared(legacy, candidate).differences, REDACTOR)
    assert (kept.legacy, kept.candidate) == (REDACTOR.mark("s3cr3t"), REDACTOR.mark("0ther"))


def test_all_before_an_end_tag_with_a_secret_name_is_hidden_though_marks_before_it_change_its_place() -> None:
    kept = REDACTOR.markup("a@b.co 4111 1111 1111 1111 c@d.eu correcthorse</password> the rest", is_html=True)
    assert kept is not None
    assert "correct" not in kept
    assert "horse" not in kept
    assert "the rest" in kept


def test_a_secret_in_the_path_of_a_cookie_is_not_kept() -> None:
    legacy = response({}, set_cookie="a=b; Path=/token/s3cr3t; Secure")
    candidate = response({}, set_cookie="a=b; Path=/token/0ther; Secure")
    comparison = compared(legacy, candidate, rules_of(headers=("set-cookie",)))
    written = [kept_difference.as_json() for kept_difference in redact_differences(comparison.differences, REDACTOR)]
    kept = json.dumps([written, redact_sample(Sample(b"GET", b"/", [], legacy, candidate), REDACTOR)])
    assert written
    assert "s3cr3t" not in kept
    assert "0ther" not in kept
    assert "Secure" in kept


NAMED = {
    "one": lambda word: {"name": "password", "value": word},
    "as AWS writes it": lambda word: [{"Key": "ApiKey", "Value": word}],
    "of a form": lambda word: {"fields": [{"id": "csrf-token", "type": "hidden", "content": word}]},
    "a tree": lambda word: {"type": "cookie", "value": {"a": [word]}},
    "in a text": lambda word: {"x": json.dumps({"name": "DB_PASSWORD", "value": word})},
}


@pytest.mark.parametrize("made", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("other", ["0ther", None])
def test_a_member_that_another_one_names_as_a_secret_is_one(made: Any, other: str | None) -> None:
    legacy, candidate = {"a": 1, "b": made("s3cr3t")}, {"a": 2, "b": None if other is None else made(other)}
    written = json.dumps(kept_values(legacy, candidate))
    sample = Sample(b"GET", b"/", [], response(legacy), response(candidate))
    kept = json.dumps(redact_sample(sample, REDACTOR))
    for text in (written, kept):
        assert "redacted:" in text
        assert "s3cr3t" not in text
        assert "0ther" not in text


def test_other_named_members_are_kept() -> None:
    (difference,) = kept_values([{"name": "city", "value": "Bonn"}], [{"name": "city", "value": "Berlin"}])
    assert (difference["path"], difference["legacy"], difference["candidate"]) == ("$[*].value", "Bonn", "Berlin")


def test_a_list_of_named_members_hides_those_alone_that_are_secrets() -> None:
    legacy, candidate = (
        [{"name": "city", "value": "Bonn"}, {"name": "token", "value": word}] for word in ("s3cr3t", "0ther")
    )
    (difference,) = kept_values(legacy, candidate)
    assert (difference["path"], difference["legacy"]) == ("$[*].value", REDACTOR.mark("s3cr3t"))
    body = redact_sample(Sample(b"GET", b"/", [], response(legacy), response(candidate)), REDACTOR)["legacy"]
    assert "Bonn" in json.dumps(body)


def test_equal_secrets_stay_equal_wherever_they_stand() -> None:
    sample = Sample(
        b"GET",
        b"/x?access_token=s3cr3t",
        [(b"X-Api-Key", b"s3cr3t")],
        response({"token": "s3cr3t"}),
        response(b"<input name=token value='s3cr3t'>", "text/html"),
    )
    kept = json.dumps(redact_sample(sample, REDACTOR))
    assert kept.count(REDACTOR.mark("s3cr3t")) == 4


def test_redacted_object_goes_as_a_whole() -> None:
    (difference,) = kept_values({"tokens": {"k1": {"x": 1}}}, {"tokens": {"k1": {"x": 2}}})
    assert difference["path"] == "$.tokens"
    assert str(difference["legacy"]).startswith("redacted:")
    (missing,) = kept_values({"a": {"secret": [1, {"b": 2}], "c": 3}}, {})
    assert missing["legacy"] == {"secret": REDACTOR.mark('[1,{"b":2}]'), "c": 3}


def test_hash_of_an_object_does_not_hang_on_key_order() -> None:
    texts = b'{"a":1,"secret":{"x":1,"y":2}}', b'{"secret":{"y":2,"x":1.0},"a":2}'
    left, right = (redact_sample(Sample(b"GET", b"/", [], response(text), response(text)), REDACTOR) for text in texts)
    marks = [json.loads(side["legacy"]["body"]["text"])["secret"] for side in (left, right)]  # type: ignore[index,call-overload,arg-type]
    assert marks[0] == marks[1]


def test_rules_of_the_route_cover_a_node_and_all_below_it() -> None:
    (difference,) = kept_values({"user": {"email": {"work": "a@b.c"}}}, {"user": {"email": {"work": "d@e.f"}}})
    assert difference["path"] == "$.user.email"
    assert "@" not in json.dumps(difference)


@pytest.mark.parametrize("rule", ["email", "$.items[0]", "query:token"])
def test_rule_that_cannot_be_read_is_refused(rule: str) -> None:
    with pytest.raises(PatternError):
        Redactor.of(b"key", [rule])


def test_card_numbers_in_keys_and_numbers() -> None:
    (difference,) = kept_values({"4111111111111111": 4111111111111111}, {"4111111111111111": 1})
    assert "4111" not in json.dumps(difference)


def test_text_is_cut_after_it_is_redacted() -> None:
    secret = "A1" * 400
    legacy, candidate = f"token={secret} tail {secret}a", f"token={secret} tail {secret}b"
    legacy, candidate = legacy.replace(" tail ", " password="), candidate.replace(" tail ", " password=")
    (difference,) = compared(
        response(legacy.encode(), "text/plain"), response(candidate.encode(), "text/plain")
    ).differences
    kept = redact_difference(difference, REDACTOR)
    assert "A1A1" not in f"{kept.legacy}{kept.candidate}"


def test_excerpts_are_short() -> None:
    legacy, candidate = "a" * 5000 + "x" + "b" * 5000, "a" * 5000 + "y" + "b" * 5000
    (difference,) = compared(
        response(legacy.encode(), "text/plain"), response(candidate.encode(), "text/plain")
    ).differences
    assert redact_difference(difference, REDACTOR).legacy == "…" + "a" * 60 + "x" + "b" * 139 + "…"


def test_what_cannot_be_parsed_is_hash_and_length() -> None:
    broken = b'{"password": "s3cr3t"'
    (difference,) = compared(response({"a": 1}), response(broken)).differences
    assert redact_difference(difference, REDACTOR).candidate == {"hash": REDACTOR.hashed(broken), "length": len(broken)}
    kept = redact_sample(
        Sample(b"GET", b"/", [], response(broken), Response(200, [], b"part", is_too_large=True)), REDACTOR
    )
    assert kept["legacy"]["body"] == {"kind": "opaque", "hash": REDACTOR.hashed(broken), "length": len(broken)}  # type: ignore[index,call-overload]
    assert kept["candidate"]["body"]["kind"] == "opaque"  # type: ignore[index,call-overload]


HEADERS = {
    "authorization": ("Authorization", "Bearer s3cr3t"),
    "proxy-authorization": ("proxy-authorization", "Basic s3cr3t"),
    "x-api-key": ("X-API-Key", "s3cr3t"),
    "client-cert": ("Client-Cert", ":s3cr3t:"),
    "client-cert-chain": ("client-cert-chain", ":s3cr3t:"),
    "client_cert": ("Client_Cert", ":s3cr3t:"),
    "cookie": ("Cookie", "a=s3cr3t; b=s3cr3t"),
    "set-cookie": ("Set-Cookie", "sid=s3cr3t; Path=/"),
    "a secret name": ("X-Csrf-Token", "s3cr3t"),
    "named by the route": ("x-tenant", "s3cr3t"),
    "query of a location": ("Location", "https://u:s3cr3t@x/cb?token=s3cr3t&x=1"),
}


@pytest.mark.parametrize(("name", "value"), HEADERS.values(), ids=HEADERS)
def test_headers(name: str, value: str) -> None:
    assert "s3cr3t" not in REDACTOR.header(name, value)


def test_names_of_cookies_stay() -> None:
    assert REDACTOR.header("cookie", "a=1; b=2") == f"a={REDACTOR.mark('1')}; b={REDACTOR.mark('2')}"
    assert REDACTOR.header("Set-Cookie", "sid=1; Path=/") == f"sid={REDACTOR.mark('1')}; Path=/"


def test_difference_of_a_header_is_redacted() -> None:
    rules = rules_of(headers=("x-auth-token", "location"))
    legacy = response(x_auth_token="s3cr3t", location="/a?password=s3cr3t")
    comparison = compared(legacy, response(location="/b"), rules)
    assert "s3cr3t" not in json.dumps([redact_difference(d, REDACTOR).as_json() for d in comparison.differences])


SECRET = st.text("abcdefghijkXYZ0123456789_-.~", min_size=6, max_size=40).map("S3C_{}".format)
NAME = st.sampled_from(
    ["password", "user_passwd", "clientSecret", "access-token", "api_key", "sessionId", "cvv", "my cookie"]
)
CARD = st.sampled_from([card for card in CARDS if "%" not in card and "+" not in card])
WORD = st.text("abc xyz,.!?é", max_size=20)


@settings(max_examples=40, deadline=None)
@given(
    SECRET, NAME, WORD, st.recursive(st.none() | st.integers(0, 99) | WORD, lambda inner: st.lists(inner, max_size=3))
)
def test_planted_secrets_never_reach_what_is_kept(secret: str, name: str, word: str, other: Any) -> None:
    nested = {
        "a": other,
        "deep": [{name: {"x": [secret]}}, {"n": {name: secret}}],
        "t": f"{word} {name}={secret} {word}",
    }
    texts = [
        (json.dumps(nested), "application/json"),
        (json.dumps(nested) + "\n" + json.dumps([nested]), "application/x-ndjson"),
        (f"x={quote_plus(word)}&{quote_plus(name)}={quote_plus(secret)}", "application/x-www-form-urlencoded"),
        (f"{word}\n{name}: {secret}\n{word}", "text/plain"),
        (json.dumps(nested), "text/plain"),
        (json.dumps(json.dumps(nested)), "text/plain"),
        (f"<p>{word}<input name='{name}' value='{secret}'><a href='?{quote(name)}={secret}'>", "text/html"),
        (f"<r><{name.replace(' ', '-')}><b>{secret}</b></{name.replace(' ', '-')}><x>{word}</x></r>", "text/xml"),
        (f"<r><f name='{name}'>{secret}</f><f a='1' {name.replace(' ', '-')}='{secret}'/></r>", "text/xml"),
    ]
    for text, media in texts:
        body = response(text.encode(), media, location=f"/x?{quote(name)}={secret}")
        other_body = response(text.replace(secret, secret + "z").encode(), media)
        fields = [
            (b"Authorization", secret.encode()),
            (b"Cookie", f"a={secret}".encode()),
            (b"Content-Type", media.encode()),
        ]
        target = f"/p?q={quote(word)}&{quote(name)}={quote(secret)}".encode()
        sample = Sample(b"POST", target, fields, body, other_body, body.body)
        comparison = compared(body, other_body, rules_of(headers=("location",)))
        kept = [difference.as_json() for difference in redact_differences(comparison.differences, REDACTOR)]
        assert kept
        assert "S3C_" not in json.dumps([kept, redact_sample(sample, REDACTOR)])


@settings(max_examples=40, deadline=None)
@given(CARD, WORD, WORD)
def test_planted_card_numbers_never_reach_what_is_kept(card: str, before: str, behind: str) -> None:
    text = f"{before} {card} {behind}"
    body, other = response({"a": [text], text: 1}), response({"a": ["x"]})
    kept = [difference.as_json() for difference in redact_differences(compared(body, other).differences, REDACTOR)]
    sample = Sample(b"GET", f"/cards/{quote(card)}?n={quote_plus(card)}".encode(), [(b"x", card.encode())], body, other)
    everything = json.dumps([kept, redact_sample(sample, REDACTOR)])
    assert card not in everything
    assert quote_plus(card) not in everything
