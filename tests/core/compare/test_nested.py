"""A secret is found in whatever formats it is nested, and cut as it may be; and what is no secret stays readable."""

import base64
import json
from collections.abc import Callable
from html import escape
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import quoteattr

from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.compare import Redactor, Sample, redact_sample
from tests.core.compare.answers import answer, compared
from tests.core.compare.answers import settings as rules_of

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
    left, right = answer(text.encode(), media), answer(other.encode(), media)
    fields = [(b"X-Note", text.replace("\n", " ").encode())]
    sample = Sample(b"POST", b"/p?q=" + quote(text).encode(), fields, left, right, left.body)
    comparison = compared(left, right, rules_of(headers=("x-note",)))
    kept = [difference.as_json() for difference in REDACTOR.differences(comparison.differences)]
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
