"""A secret is found in whatever formats it is nested, and cut as it may be; and what is no secret stays readable."""

import base64
import json
import re
from collections.abc import Callable
from html import escape
from urllib.parse import quote, quote_plus, unquote
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.compare import Redactor, Sample, redact_differences, redact_sample
from tests.core.compare.responses import compared, response
from tests.core.compare.responses import settings as rules_of

REDACTOR = Redactor.of(b"key", [])
SECRET = st.text("abcdefghijkXYZ0123456789_-.~", min_size=4, max_size=24).map("S3C{}".format)
NAME = st.sampled_from(["password", "user_passwd", "clientSecret", "access-token", "api_key", "sessionId", "cvv"])

NAMED: dict[str, Callable[[str, str], str]] = {
    "member": lambda name, secret: json.dumps({"n": 1, name: secret}),
    "member that is an object": lambda name, secret: json.dumps({name: {"x": [secret]}}),
    "parameter": lambda name, secret: f"a=1&{name}={quote_plus(secret)}",
    "element": lambda name, secret: f"<r><b>1</b><{name}>{secret}</{name}></r>",
    "attribute": lambda name, secret: f"<r><b {name}='{secret}'/></r>",
    "field": lambda name, secret: f'<form><input type="hidden" name="{name}" value="{secret}"></form>',
    "line": lambda name, secret: f"one\n{name}: {secret}\nthree",
    "address": lambda name, secret: f"https://shop.example/cb?x=1&{name}={secret}#top",
    "password in an address": lambda _, secret: f"ftp://joe:{secret}@shop.example/",
    "script": lambda name, secret: f'window.state = {{"a": 1, "{name}": "{secret}"}};',
}
IN: dict[str, Callable[[str], str]] = {
    "a member": lambda inner: json.dumps({"note": inner, "n": 1}),
    "an array, spelt out": lambda inner: '[1,"' + "".join(f"\\u{ord(char):04x}" for char in inner) + '"]',
    "a JSON text": json.dumps,
    "an element": lambda inner: f"<r><a>{escape(inner)}</a></r>",
    "an element, numbered": lambda inner: "<r>" + "".join(f"&#{ord(char)};" for char in inner) + "</r>",
    "CDATA": lambda inner: f"<r><![CDATA[{inner.replace(']]>', '')}]]></r>",
    "a comment": lambda inner: f"<r><!-- {inner.replace('--', '')} --><b/></r>",
    "an attribute": lambda inner: f"<r><b x={quoteattr(inner)}/></r>",
    "a page": lambda inner: f"<!DOCTYPE html><p>text<br>{escape(inner)}",
    "a data attribute": lambda inner: f"<div data-state='{escape(inner)}'>text<br></div>",
    "a script": lambda inner: scripted(inner),
    "a form": lambda inner: f"a=1&b={quote_plus(inner)}&c=2",
    "a query": lambda inner: f"/p/q?b={quote(inner)}&c=2",
    "a fragment": lambda inner: f"https://shop.example/p#b={quote(inner)}",
    "Base64": lambda inner: base64.b64encode(inner.encode()).decode(),
    "a data URI": lambda inner: "data:text/plain;base64," + base64.b64encode(inner.encode()).decode(),
}
FORMED = {
    "card": "4111111111111111",
    "card in groups": "4111 1111 1111 1111",
    "e-mail address": "mia.k+shop@mail.example",
    "international e-mail address": "jörg@bücher.example",
    "IBAN": "DE89370400440532013000",
    "IBAN in groups": "GB29 NWBK 6016 1331 9268 19",
    "phone number": "+49 30 901820",
    "phone number with zeros": "0049 30 901820",
    "JSON Web Token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "API key": "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "private key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END PRIVATE KEY-----",
}
LAYERS = st.lists(st.sampled_from(list(IN.values())), max_size=4)
MEDIA = {
    "text/plain": None,
    "application/json": IN["a member"],
    "application/x-ndjson": IN["a member"],
    "application/x-www-form-urlencoded": IN["a form"],
    "text/xml": IN["an element"],
    "text/html": IN["a page"],
    "": None,
}


def scripted(inner: str) -> str:
    text = json.dumps(inner).replace("</", "<\\/")
    return f"<p>a<script>load({text})</script>"


def wrapped(inner: str, layers: list[Callable[[str], str]]) -> str:
    for layer in layers:
        inner = layer(inner)
    return inner


def encodings(secret: str) -> set[str]:
    """The secret as it might stand in a text, by the encodings that the tests use."""
    written = [secret, quote(secret), quote_plus(secret), escape(secret), json.dumps(secret)[1:-1]]
    for shift in range(3):
        code = base64.b64encode(b" " * shift + secret.encode()).decode()
        written.append(code[shift + 1 if shift else 0 : -4])
    return set(written)


def everything(text: str, other: str, media: str) -> str:
    """All that is kept of two responses: the sample, and the differences."""
    left, right = response(text.encode(), media), response(other.encode(), media)
    fields = [(b"X-Note", text.replace("\n", " ").encode())]
    sample = Sample(b"POST", b"/p?q=" + quote(text).encode(), fields, left, right, left.body)
    comparison = compared(left, right, rules_of(headers=("x-note",)))
    kept = [difference.as_json() for difference in redact_differences(comparison.differences, REDACTOR)]
    return json.dumps([kept, redact_sample(sample, REDACTOR)], ensure_ascii=False)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(NAMED.values())), LAYERS, NAME, SECRET, st.sampled_from(list(MEDIA)))
def test_a_named_secret_is_found_in_any_nesting(
    plant: Callable[[str, str], str], layers: list[Callable[[str], str]], name: str, secret: str, media: str
) -> None:
    outer = [*layers, wrap] if (wrap := MEDIA[media]) else layers
    text, other = (wrapped(plant(name, value), outer) for value in (secret, secret + "z"))
    kept = everything(text, other, media)
    assert not [written for written in encodings(secret) if written in kept], (text, kept)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(FORMED.values())), LAYERS, st.sampled_from(list(MEDIA)))
def test_a_secret_known_by_its_form_is_found_in_any_nesting(
    secret: str, layers: list[Callable[[str], str]], media: str
) -> None:
    outer = [*layers, wrap] if (wrap := MEDIA[media]) else layers
    text, other = (wrapped(value, outer) for value in (f"call {secret}, now", f"call {secret}, later"))
    kept = everything(text, other, media)
    assert not [written for written in encodings(secret) if written in kept], (text, kept)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(NAMED.values())), LAYERS, NAME, SECRET, st.sampled_from(list(MEDIA)), st.data())
def test_a_secret_in_a_text_that_was_cut_is_found(
    plant: Callable[[str, str], str],
    layers: list[Callable[[str], str]],
    name: str,
    secret: str,
    media: str,
    data: st.DataObject,
) -> None:
    outer = [*layers, wrap] if (wrap := MEDIA[media]) else layers
    whole = wrapped(plant(name, secret), outer)
    text = whole[: data.draw(st.integers(0, len(whole)))]
    kept = everything(text, whole, media)
    assert "S3C" not in kept, (text, kept)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*NAMED.values()]), st.lists(st.sampled_from(list(IN.values())), max_size=2), NAME, SECRET)
def test_what_is_redacted_stays_as_it_is(
    plant: Callable[[str, str], str], layers: list[Callable[[str], str]], name: str, secret: str
) -> None:
    once = REDACTOR.text(wrapped(plant(name, secret), layers))
    assert REDACTOR.text(once) == once


READABLE = [
    "image@2x.png",
    '{"dependencies": {"@scope/pkg": "1.2.3"}, "lock": "@scope/pkg@1.2.3"}',
    "2026-11-23T08:00:00+01:00",
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "order 000012345678 of 1763880000000",
    "48.8577, +2.295",
    "19.99 EUR",
    "https://shop.example:8443/p/7?page=2&sort=-price#top",
    "/api/orders/7/lines?fields=id,name",
    "/password/reset",
    "a=1&b=two+words&c=%20",
    "a < b && c > d",
    "List<String> names",
    "Hello <b>world</b>, it's <i>fine</i>",
    "<p>text<br>more</p>",
    '<?xml version="1.0"?><r a="1"><b>x &amp; y</b></r>',
    'var a = {"b": [1, 2]}; f("x\\n");',
    "R2xhZCB0byBtZWV0IHlvdQ==",
    '{"a": "{\\"b\\": 1}", "é": "ü"}',
    "100 % of 5 &amp; more",
    "C:\\temp\\new",
    "It's a secret garden",
]


@pytest.mark.parametrize("text", READABLE)
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    assert REDACTOR.text(text) == text


TARGETS = {
    "a value": ("/a?token=s3&x=1", "/a?token={s3}&x=1"),
    "a name spelt otherwise": ("/a?%74oken=s3", "/a?%74oken={s3}"),
    "a name encoded twice": ("/a?%2574oken=s3", "/a?%2574oken={s3}"),
    "a name that is an address": ("/a?mia%40mail.example=1", "/a?{mia@mail.example}=1"),
    "behind a secret name": ("/token/s3/x", "/token/{s3}/x"),
    "what is done with one": ("/api/tokens/refresh", "/api/tokens/refresh"),
    "a matrix parameter": ("/a;jsessionid=s3/b;v=1", "/a;jsessionid={s3}/b;v=1"),
    "an address in the path": ("/u/mia%40mail.example/7", "/u/{mia@mail.example}/7"),
    "userinfo": ("https://mia:s3@shop.example/a", "https://{mia:s3}@shop.example/a"),
    "a fragment": ("/cb#access_token=s3&x=1", "/cb#access_token={s3}&x=1"),
    "JSON in a value": ("/a?q=%7B%22token%22%3A%22s3%22%7D", "/a?q={%22token%22:%22{s3}%22}"),
    "an address in a value": ("/a?next=https%3A%2F%2Fx%2F%3Ftoken%3Ds3&b=1", "/a?next=https://x/%3Ftoken%3D{s3}&b=1"),
    "nothing": ("/a/b%20c?x=%20&y", "/a/b%20c?x=%20&y"),
}


@pytest.mark.parametrize(("target", "kept"), TARGETS.values(), ids=TARGETS)
def test_of_a_target_secrets_are_marked_and_the_rest_stays(target: str, kept: str) -> None:
    expected = re.sub(r"\{([\w:@.]+)\}", lambda found: REDACTOR.mark(found[1]), kept)
    assert REDACTOR.target(target.encode()) == expected


@pytest.mark.parametrize("behind", [">>>", ">>>>", ">>>>>"])
@pytest.mark.parametrize("encode", [str, quote_plus], ids=["as it is", "encoded"])
def test_base64_with_plus_signs_is_read_in_a_query(behind: str, encode: Callable[[str], str]) -> None:
    code = base64.b64encode(json.dumps({"n": behind, "token": "s3cr3t"}).encode()).decode()
    assert "+" in code
    kept = REDACTOR.target(f"/a?q={encode(code)}&b=1".encode())
    (written,) = re.findall(r"q=([^&]*)&b=1$", kept)
    plain = unquote(written)
    data = json.loads(base64.b64decode(plain + "=" * (-len(plain) % 4)))
    assert data == {"n": behind, "token": REDACTOR.mark("s3cr3t")}


SHAPES = {
    "behind a secret name": ("/token/abc/x", "/token/{}/x"),
    "what is done with one": ("/password/reset", "/password/reset"),
    "an international address": ("/u/jörg@bücher.example", "/u/{}"),
    "a phone number": ("/call/+49 30 901820", "/call/{}"),
    "words": ("/api/orders/{}", "/api/orders/{}"),
}


@pytest.mark.parametrize(("shape", "kept"), SHAPES.values(), ids=SHAPES)
def test_secrets_in_an_endpoints_shape_are_folded(shape: str, kept: str) -> None:
    assert REDACTOR.shape(shape) == kept


def test_equal_secrets_stay_equal_however_they_are_nested() -> None:
    texts = [
        wrapped('{"token": "s3&x y"}', [layer]) for name, layer in IN.items() if name not in ("Base64", "a data URI")
    ]
    assert [text for text in texts if REDACTOR.mark("s3&x y") not in REDACTOR.text(text)] == []


BODIES_THAT_DO_NOT_PARSE = {
    "XML, an unclosed comment": ("<r><!-- <token>s3</token></r>", "text/xml"),
    "XML that was cut": ("<r><token>s3</tok", "application/xml"),
    "XML that lost a sign": ("<r>token>s3</token></r>", "application/soap+xml"),
    "XML with entities": ('<!DOCTYPE r [<!ENTITY t "s3">]><r>&t;</r>', "text/xml"),
    "JSON that was cut": ('{"token": "s3', "application/json"),
    "NDJSON with an odd line": ('{"a": 1}\n{"token": "s3"', "application/x-ndjson"),
    "multipart that was cut": (
        '--b\r\nContent-Disposition: form-data; name="token"\r\n\r\ns3',
        "multipart/form-data; boundary=b",
    ),
}


@pytest.mark.parametrize(("text", "media"), BODIES_THAT_DO_NOT_PARSE.values(), ids=BODIES_THAT_DO_NOT_PARSE)
def test_what_does_not_parse_as_what_it_is_called_is_hash_and_length(text: str, media: str) -> None:
    side = response(text.encode(), media)
    kept = redact_sample(Sample(b"GET", b"/", [], side, response(b"x", media)), REDACTOR)
    data = text.encode()
    assert kept["legacy"]["body"] == {"kind": "opaque", "hash": REDACTOR.hashed(data), "length": len(data)}  # type: ignore[index,call-overload]
    differences = redact_differences(compared(side, response(b"x", media)).differences, REDACTOR)
    assert "s3" not in json.dumps([difference.as_json() for difference in differences])


def test_what_is_nested_deeper_than_is_searched_is_marked_as_a_whole() -> None:
    text = '{"a": "s3"}'
    for _ in range(12):
        text = json.dumps({"a": text})
    assert "s3" not in REDACTOR.text(text)
    assert "redacted:" in REDACTOR.text(text)
