"""Redaction, after comparing and before anything is kept: secrets become `redacted:<8 hex>` of a keyed hash.

Equal secrets stay equal under one key, wherever they are. What cannot be read, and so cannot be searched for secrets,
is kept as hash and length only. With `hides_values` no value at all is kept, only its type, length and hash.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from html import unescape
from typing import Literal
from urllib.parse import unquote, unquote_plus

from strangler.core.compare.accept_rules.jsonpath import Pattern, parse_pattern
from strangler.core.compare.accept_rules.places import redacted_place
from strangler.core.compare.model.endpoint_names import endpoint_shape
from strangler.core.compare.model.templates import HOLE
from strangler.core.compare.model.tree import write_json
from strangler.core.compare.model.values import Node, Step, Steps
from strangler.core.compare.redaction.key_forms import is_id
from strangler.core.compare.redaction.nested import redact_nested
from strangler.core.compare.redaction.nested_markup import redact_markup
from strangler.core.compare.redaction.nesting import Nesting
from strangler.core.compare.redaction.plain_json import KeptValue
from strangler.core.compare.redaction.quick_test import holds_no_secret
from strangler.core.compare.redaction.redact_url import is_action, names_next, redact_url
from strangler.core.privacy.secrets import MARK, VALUE_MEMBERS, card_spans, holds_named_secret, is_secret_name

_SECRET_HEADERS = frozenset(["authorization", "client-cert", "client-cert-chain", "proxy-authorization", "x-api-key"])
_HARMLESS_HEADERS = frozenset(
    re.findall(
        r"[\w\-]+",
        "accept accept-charset accept-encoding accept-ranges age allow cache-control connection content-encoding "
        "content-length content-type date expect keep-alive te trailer transfer-encoding upgrade vary",
    )
)
"""Fields whose values are words of the protocol: kept in clear even with `hides_values`."""
_WORD = re.compile(r"[A-Za-z_$@#:](?:[A-Za-z_$.:\-]|[0-9](?![0-9]{2})){0,63}")
"""A key that looks like a name, not like a value."""
_JSON = re.compile(r"[\[{\"]|%(?:5B|7B|22)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Redactor:
    """Redaction by the rules of one route, made by `Redactor.of`.

    `key` is secret, at most 64 bytes, and kept over restarts so that equal secrets stay equal.
    """

    key: bytes = field(repr=False)
    patterns: tuple[Pattern, ...] = ()
    headers: frozenset[str] = _SECRET_HEADERS
    hides_values: bool = False
    words: tuple[str, ...] | None = None
    """The segments of the endpoint's shape: with `hides_values` a target keeps those that are words in it."""

    @classmethod
    def of(cls, key: bytes, rules: Iterable[str], values: Literal["shown", "hashed"] = "shown") -> "Redactor":
        """Return the redactor for the rules of a route, `$..email` or `header:x-tenant`.

        `values` is `evidence.values` of routes.yaml; `hashed` hides all values. Raises PatternError for any other rule.
        """
        rules = list(rules)
        named = {rule.removeprefix("header:").strip().lower() for rule in rules if rule.startswith("header:")}
        patterns = tuple(parse_pattern(rule) for rule in rules if not rule.startswith("header:"))
        return cls(key, patterns, _SECRET_HEADERS | named, values == "hashed")

    def hashed(self, secret: str | bytes) -> str:
        """Return 8 hex digits of a keyed hash."""
        data = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret
        return blake2b(data, key=self.key, digest_size=4).hexdigest()

    def mark(self, secret: str | bytes) -> str:
        """Return the mark of a secret, the same however it is escaped. A mark stays as it is."""
        if isinstance(secret, str):
            if MARK.fullmatch(secret):
                return secret
            secret = unescape(secret) if "&" in secret else secret
            secret = unquote(secret) if "%" in secret else secret
        return f"redacted:{self.hashed(secret)}"

    # text

    def text(self, text: str, at: Nesting | None = None) -> str:
        """Return a text with its secrets marked, searched by its format. `at`: where it is nested."""
        visible = replace(self, hides_values=False) if self.hides_values else self
        return visible.nested(text, at)

    def nested(self, text: str, at: Nesting | None) -> str:
        """Return a text that was found inside another one without its secrets."""
        return text if self.is_clear(text) else redact_nested(text, self, at)

    def is_clear(self, text: str) -> bool:
        """Return True if a text is proven to stay as it is. Patterns may mean members of JSON in it."""
        if self.hides_values or (self.patterns and _JSON.search(text)):
            return False
        return holds_no_secret(text)

    def is_clear_document(self, text: str) -> bool:
        """Return True if JSON without escapes, or a form, is proven to stay as it is."""
        if self.hides_values or any(_may_match(pattern, text) for pattern in self.patterns):
            return False
        return holds_no_secret(text)

    def value(self, text: str, at: Nesting | None = None) -> str:
        """Return a text that is a value: without its secrets, or only its type, length and hash."""
        if not self.hides_values:
            return self.nested(text, at)
        return self.described("string", text) if text.strip() else text

    def lines(self, text: str) -> str:
        """Return a body of plain text redacted. With `hides_values`, each line is a value."""
        return "\n".join(map(self.value, text.splitlines())) if self.hides_values else self.text(text)

    def markup(self, text: str, *, is_html: bool) -> str | None:
        """Return HTML or XML redacted; None if it does not parse."""
        return redact_markup(text, self, is_html=is_html)

    def described(self, kind: str, text: str) -> str:
        """Return `string(12) 3fa2b1c0`. A description or a mark stays as it is."""
        if MARK.fullmatch(text) or _DESCRIBED.fullmatch(text):
            return text
        return f"{kind}({len(text)}) {self.hashed(text)}"

    def within(self, endpoint: str) -> "Redactor":
        """Return the redactor for one endpoint, `GET /api/orders/{}`, which keeps the words of its path."""
        return replace(self, words=_words_of(endpoint.partition(" ")[2]))

    def target(self, target: bytes) -> str:
        """Return a request target with its secrets marked, its names and values decoded as by a server."""
        text = target.decode("utf-8", "backslashreplace")
        words = self.words or _words_of(endpoint_shape(target))
        return redact_url(text, self, words=words if self.hides_values else None)

    def place(self, path: str) -> str:
        """Return the place of a difference in markup redacted; with `hides_values`, without values."""
        path = redacted_place(path, self.text)
        if not self.hides_values:
            return path
        return _SELECTED.sub(self._selected, path)

    def _selected(self, found: "re.Match[str]") -> str:
        return found[0] if self._is_word(found[2]) else found[1] + self.mark(found[2])

    def _is_word(self, name: str) -> bool:
        return _WORD.fullmatch(name) is not None and not is_id(name)

    def shape(self, shape: str) -> str:
        """Return an endpoint's shape with each segment folded that contains a secret, or follows a secret name."""
        segments: list[str] = []
        is_named = False
        for segment in shape.split("/"):
            plain = unquote(segment)
            is_secret = (is_named and segment and not is_action(segment)) or self.text(plain) != plain
            segments.append(HOLE if is_secret else segment)
            is_named = names_next(segment)
        return "/".join(segments)

    def opaque(self, data: bytes) -> dict[str, KeptValue]:
        return {"hash": self.hashed(data), "length": len(data)}

    # headers

    def header(self, name: str, value: str) -> str:
        """Return a field's value as it may be kept. Cookies keep their names."""
        name = name.lower()
        if name in self.headers or name.replace("_", "-") in self.headers:
            return self.mark(value)
        if name == "cookie":
            return "; ".join(self._cookie(pair) for pair in value.split(";"))
        if name == "set-cookie":
            return self._set_cookie(value)
        if is_secret_name(name):
            return self.mark(value)
        return self.text(value) if name in _HARMLESS_HEADERS else self.value(value)

    def _cookie(self, pair: str) -> str:
        name, equals, value = pair.strip().partition("=")
        return f"{self.label(name)}={self.mark(value)}" if equals else self.mark(name)

    def _set_cookie(self, value: str) -> str:
        pair, semicolon, attributes = value.partition(";")
        return self._cookie(pair) + semicolon + self.cookie_attributes(attributes)

    def cookie_attributes(self, text: str) -> str:
        """Redact the attributes of a cookie, each value read by itself: a path is a path."""
        parts = (part.partition("=") for part in text.split(";"))
        return ";".join(f"{name}{equals}{self.text(value)}" for name, equals, value in parts)

    # trees

    def tree_at(self, root: Node, at: Nesting) -> Node:
        """Return a redacted copy of a tree that is nested in a text."""
        return self.tree(root, at=at)

    def tree(self, root: Node, steps: Steps = (), at: Nesting | None = None) -> Node:
        """Return a copy of a tree without secrets. `steps`: its place in its document."""
        masks = tuple(_masks(pattern, steps) for pattern in self.patterns)
        holder: list[Node] = [None]
        stack: list[tuple[Node, tuple[int, ...], list[Node] | dict[str, Node], int | str]] = [(root, masks, holder, 0)]
        while stack:
            node, masks, parent, place = stack.pop()
            if self._is_named(masks):
                parent[place] = self.marked_node(node, at)  # type: ignore[index]
            elif isinstance(node, dict):
                copy: dict[str, Node] = {}
                parent[place] = copy  # type: ignore[index]
                named = VALUE_MEMBERS if holds_named_secret(node) else ()
                for key, value in node.items():
                    label = self.label(key, at)
                    is_secret = key in named or is_secret_name(key)
                    copy[label] = self.marked_node(value, at) if is_secret else None
                    if not is_secret:
                        stack.append((value, self._advanced(masks, key), copy, label))
            elif isinstance(node, list):
                elements: list[Node] = [None] * len(node)
                parent[place] = elements  # type: ignore[index]
                below = self._advanced(masks, None)
                stack.extend((value, below, elements, at) for at, value in enumerate(node))
            else:
                parent[place] = self._scalar(node, at)  # type: ignore[index]
        return holder[0]

    def _is_named(self, masks: tuple[int, ...]) -> bool:
        return any(mask & pattern.done for mask, pattern in zip(masks, self.patterns, strict=True))

    def _advanced(self, masks: tuple[int, ...], step: Step) -> tuple[int, ...]:
        return tuple(pattern.advance(mask, step) for mask, pattern in zip(masks, self.patterns, strict=True))

    def marked_node(self, node: Node, at: Nesting | None = None) -> Node:
        """Return a whole node as one mark; null stays, since it is no secret."""
        if node is None:
            return None
        secret = node.decode() if isinstance(node, bytes) else node if isinstance(node, str) else None
        secret = write_json(node, sort_keys=True) if secret is None else secret
        return self.mark(secret) if at is None else at.mark(self, secret)

    def _scalar(self, node: Node, at: Nesting | None) -> Node:
        if isinstance(node, str):
            return self.value(node, at)
        if self.hides_values and node is not None:
            return self.described("number", node.decode()) if isinstance(node, bytes) else self._boolean(node)
        if isinstance(node, bytes) and any(True for _ in card_spans(node.decode())):
            return self.marked_node(node, at)
        return node

    def _boolean(self, node: Node) -> str:
        """Return a boolean as its hash, without a length, which would reveal it."""
        return f"boolean {self.hashed(str(node))}"

    def label(self, name: str, at: Nesting | None = None) -> str:
        """Return a key redacted, since it may be a secret itself, or, with `hides_values`, a value."""
        if self.hides_values and not self._is_word(name):
            return self.described("string", name)
        return self.text(name, at)


_SELECTED = re.compile(r"([#.])((?:[\w\-]|\\.)+)")
"""An id or a class in a selector."""
_DESCRIBED = re.compile(r"(?:string|number|text)\([0-9]{1,9}\) [0-9a-f]{8}|boolean [0-9a-f]{8}")


def _words_of(path: str) -> tuple[str, ...]:
    """Return the decoded segments of an endpoint's path."""
    return tuple(map(unquote, path.split("/")))


def _may_match(pattern: Pattern, text: str) -> bool:
    """Return True if all keys of a pattern are in a text, so that it may mean a member of it."""
    texts = (text, unquote_plus(text)) if "%" in text or "+" in text else (text,)
    return all(segment.is_wild or any(segment.name in each for each in texts) for segment in pattern.segments)


def _masks(pattern: Pattern, steps: Steps) -> int:
    mask = 1
    for step in steps:
        mask = pattern.advance(mask, step)
    return mask
