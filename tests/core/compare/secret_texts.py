"""Texts with secrets and without, and a redactor that takes no proof."""

import base64
import json
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

from strangler.core.compare import Redactor

SECRETS = [
    "ana@example.com",
    "4111 1111 1111 1111",
    "4111111111111111",
    "41111111111111.110",
    "4.111111111111111e15",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_1",
    "AKIAABCDEFGHIJKLMNOP",
    "ghp_abcdefghijklmnopqrstuv",
    "DE89370400440532013000",
    "de89 3704 0044 0532 0130 00",
    "+49 30 901820",
    "0049301234567",
    "a:0049301234567",
    "a%2B49%2030%20901820",
    "tel:030+90+18+20",
    '{"at": 1796051655579, "card": 41111111111111.11e2}',
    "token=abc~123",
    "to&#107en=abc",
    "to&shyken",
    "pass\u00adword: x",
    "pa\u00dfword=x",
    "se\u017f\u017fionid=x1",
    "\uff54\uff4f\uff4b\uff45\uff4e=x1",
    "cook\u0131e=abc",
    "ap\u0131 key: abc",
    '{"password": "p w"}',
    '{"name": "cvv", "value": 123}',
    "https://ana:geheim@shop.example/x",
    "//shop:geheim",
    "/token/abc/x",
    "/a;jsessionid=q/b",
    "Bearer abcdef123456",
    "basic+dXNlcjpwYXNz",
    "-----BEGIN PRIVATE KEY-----\nabc",
    "<input name=cvv value=123>",
    "<token>abc</token>",
    "sk-abcdefghijklmnopqrstuvwxyz0123456789",
]
PLAIN = [
    "3f2b8c1e-7a5d-4e0f-9b6a-1c2d3e4f5a6b",
    "2026-11-30T15:27:41.459+01:00",
    "1796051655579",
    "/products/12345?ref=list&page=3",
    "/a%20b?q=%C3%A4&x=a+b",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36",
    'W/"33a64df551425fcc55e4d42a148795d9f25f89d4"',
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "text/html;q=0.9",
    "Übergröße, 12,50 €",
    "https://shop.example/a/b",
    '{"id": 4711, "name": "Ana", "total": 12.5, "at": "2026-11-30T15:27:41Z", "tags": ["a", "b"], "ok": true}',
    "x=1&y=2",
    "",
]
DELIMITERS = [
    "",
    " ",
    "/",
    "?",
    "&",
    "=",
    ";",
    "#",
    ":",
    ",",
    ".",
    "+",
    "-",
    "_",
    "@",
    '"',
    "'",
    "\n",
    "%20",
    "%2F",
    "x",
    "9",
    "ä",
    "[",
]


class Thorough(Redactor):
    """A redactor that searches all, and takes no proof."""

    def is_clear(self, text: str) -> bool:
        return False

    def is_clear_document(self, text: str) -> bool:
        return False


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Secrets, and parts of them, beside harmless texts, encoded in some way."""
    pieces: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        piece = draw(st.sampled_from(SECRETS + PLAIN) | st.text(max_size=8))
        if draw(st.booleans()):
            start = draw(st.integers(0, len(piece)))
            piece = piece[start : draw(st.integers(start, len(piece)))]
        pieces += [piece, draw(st.sampled_from(DELIMITERS))]
    text = "".join(pieces)
    for _ in range(draw(st.integers(0, 2))):
        text = draw(st.sampled_from(ENCODED))(text)
    return text


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


def quoted(text: str) -> str:
    return quote(text, errors="replace")


ENCODED = [
    in_base64,
    lambda text: f"/abc/{in_base64(text)}",
    lambda text: f"abc+{in_base64(text)}",
    lambda text: f"a=x%20y+{in_base64(text)}",
    lambda text: base64.urlsafe_b64encode(text.encode("utf-8", "replace")).decode().rstrip("="),
    quoted,
    lambda text: quote_plus(text, errors="replace"),
    lambda text: f"/x/{quoted(text)}?q={quoted(text)}",
    lambda text: json.dumps({"a": [text, 1]}),
    lambda text: json.dumps({text: text}, ensure_ascii=False),
]
