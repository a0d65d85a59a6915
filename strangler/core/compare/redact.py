"""Redaction, after comparing and before anything is kept: secrets become `redacted:<8 hex>` of a keyed hash.

Equal secrets stay equal under one key, wherever they stand. What cannot be read, and so not be searched for secrets, is
kept as hash and length only. With `hides_values` no value at all is kept, only its type, length and hash.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from html import unescape
from typing import Literal, TypeAlias
from urllib.parse import unquote

from strangler.core.compare.common_ends import common_length
from strangler.core.compare.jsonpath import Pattern, parse_pattern, write_path
from strangler.core.compare.nested import Nesting, is_action, names_next, redact_markup, redact_nested, redact_url
from strangler.core.compare.numbers import plain_value
from strangler.core.compare.places import redacted_place
from strangler.core.compare.secrets import MARK, VALUE_MEMBERS, card_spans, holds_named_secret, is_secret_name
from strangler.core.compare.signature import FOLDED, endpoint_shape, is_id
from strangler.core.compare.tree import write_json, write_start
from strangler.core.compare.values import Difference, Excerpt, Kind, Node, Opaque, Severity, Step, Steps, Value, Where

Shown: TypeAlias = "bool | int | float | str | list[Shown] | dict[str, Shown] | None"
"""One side of a difference as it is kept: plain JSON, bounded, without secrets."""

_MAX_SHOWN = 300
"""Characters of one value."""
_MAX_PATH = 1000
_BEFORE, _AFTER = 60, 140
"""Characters of an excerpt around its first change."""
_SECRET_HEADERS = frozenset(["authorization", "proxy-authorization", "x-api-key"])
_HARMLESS_HEADERS = frozenset(
    re.findall(
        r"[\w\-]+",
        "accept accept-charset accept-encoding accept-ranges age allow cache-control connection content-encoding "
        "content-length content-type date expect keep-alive te trailer transfer-encoding upgrade vary",
    )
)
"""Fields whose values are words of the protocol: kept in clear with `hides_values`, too."""
_WORD = re.compile(r"[A-Za-z_$@#:](?:[A-Za-z_$.:\-]|[0-9](?![0-9]{2})){0,63}")
"""A key that looks like a name somebody gave, not like a value."""


@dataclass(frozen=True, slots=True)
class ShownDifference:
    """A difference as it is kept; `as_json` is the form of DESIGN section 6."""

    in_: Where
    path: str | None
    kind: Kind
    severity: Severity
    legacy: Shown
    candidate: Shown
    count: int = 1

    def as_json(self) -> dict[str, Shown]:
        return {
            "in": self.in_.value,
            "path": self.path,
            "kind": self.kind.value,
            "severity": self.severity.value,
            "legacy": self.legacy,
            "candidate": self.candidate,
        }


@dataclass(frozen=True, slots=True)
class Redactor:
    """`key`: secret, at most 64 bytes, kept over restarts so that equal secrets stay equal. Made by `Redactor.of`."""

    key: bytes = field(repr=False)
    patterns: tuple[Pattern, ...] = ()
    headers: frozenset[str] = _SECRET_HEADERS
    hides_values: bool = False
    words: tuple[str, ...] | None = None
    """The segments of the endpoint's shape: with `hides_values` a target keeps those that are words in it."""

    @classmethod
    def of(cls, key: bytes, rules: Iterable[str], values: Literal["shown", "hashed"] = "shown") -> "Redactor":
        """`rules`: those of a route, `$..email` or `header:x-tenant`. Raises PatternError for any other text.

        `values`: `evidence.values` of routes.yaml; `hashed` hides all values.
        """
        rules = list(rules)
        named = {rule.removeprefix("header:").strip().lower() for rule in rules if rule.startswith("header:")}
        patterns = tuple(parse_pattern(rule) for rule in rules if not rule.startswith("header:"))
        return cls(key, patterns, _SECRET_HEADERS | named, values == "hashed")

    def hashed(self, secret: str | bytes) -> str:
        """8 hex digits of a keyed hash."""
        data = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret
        return blake2b(data, key=self.key, digest_size=4).hexdigest()

    def mark(self, secret: str | bytes) -> str:
        """The mark of a secret: the same however it is escaped. A mark stays as it is."""
        if isinstance(secret, str):
            if MARK.fullmatch(secret):
                return secret
            secret = unescape(secret) if "&" in secret else secret
            secret = unquote(secret) if "%" in secret else secret
        return f"redacted:{self.hashed(secret)}"

    # text

    def text(self, text: str, at: Nesting | None = None) -> str:
        """A text with its secrets alone marked, searched as what it is. `at`: where it is nested."""
        return redact_nested(text, replace(self, hides_values=False) if self.hides_values else self, at)

    def value(self, text: str, at: Nesting | None = None) -> str:
        """A text that is a value: without its secrets, or only its type, length and hash."""
        if not self.hides_values:
            return redact_nested(text, self, at)
        return self._described("string", text) if text.strip() else text

    def lines(self, text: str) -> str:
        """A body of plain text. Where values are hidden, each line is one of them."""
        return "\n".join(map(self.value, text.splitlines())) if self.hides_values else self.text(text)

    def markup(self, text: str, *, is_html: bool) -> str | None:
        """HTML or XML; None if it does not parse."""
        return redact_markup(text, self, is_html=is_html)

    def _described(self, kind: str, text: str) -> str:
        """`string(12) 3fa2b1c0`. What is described already stays as it is, and so does a mark."""
        if MARK.fullmatch(text) or _DESCRIBED.fullmatch(text):
            return text
        return f"{kind}({len(text)}) {self.hashed(text)}"

    def within(self, endpoint: str) -> "Redactor":
        """The same for requests to one endpoint, `GET /api/orders/{}`, which tells what in a path are words."""
        return replace(self, words=tuple(endpoint.partition(" ")[2].split("/")))

    def target(self, target: bytes) -> str:
        """A request target: its secrets marked, names and values read as a server would."""
        text = target.decode("utf-8", "backslashreplace")
        words = self.words or tuple(endpoint_shape(target).split("/"))
        return redact_url(text, self, words=words if self.hides_values else None)

    def place(self, path: str) -> str:
        """The place of a difference in markup. Where values are hidden, so are those in it."""
        path = redacted_place(path, self.text)
        if not self.hides_values:
            return path
        return _SELECTED.sub(self._selected, path)

    def _selected(self, found: "re.Match[str]") -> str:
        return found[0] if self._is_word(found[2]) else found[1] + self.mark(found[2])

    def _is_word(self, name: str) -> bool:
        return _WORD.fullmatch(name) is not None and not is_id(name)

    def shape(self, shape: str) -> str:
        """An endpoint's shape: a segment that holds a secret, or follows a secret name, is folded as ids are."""
        segments: list[str] = []
        is_named = False
        for segment in shape.split("/"):
            is_secret = (is_named and segment and not is_action(segment)) or self.text(segment) != segment
            segments.append(FOLDED if is_secret else segment)
            is_named = names_next(segment)
        return "/".join(segments)

    def opaque(self, data: bytes) -> dict[str, Shown]:
        return {"hash": self.hashed(data), "length": len(data)}

    # headers

    def header(self, name: str, value: str) -> str:
        """A field's value as it may be kept. Of cookies the names stay."""
        name = name.lower()
        if name in self.headers:
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
        return self._cookie(pair) + semicolon + self._attributes(attributes)

    def _attributes(self, text: str) -> str:
        """Attributes of a cookie, each value read by itself: a path is a path."""
        parts = (part.partition("=") for part in text.split(";"))
        return ";".join(f"{name}{equals}{self.text(value)}" for name, equals, value in parts)

    # trees

    def tree_at(self, root: Node, at: Nesting) -> Node:
        """A copy of a tree that is nested in a text."""
        return self.tree(root, at=at)

    def tree(self, root: Node, steps: Steps = (), at: Nesting | None = None) -> Node:
        """A copy of a tree without secrets. `steps`: where it stands in its document."""
        masks = tuple(_masks(pattern, steps) for pattern in self.patterns)
        holder: list[Node] = [None]
        stack: list[tuple[Node, tuple[int, ...], list[Node] | dict[str, Node], int | str]] = [(root, masks, holder, 0)]
        while stack:
            node, masks, parent, place = stack.pop()
            if self._is_named(masks):
                parent[place] = self._marked(node, at)  # type: ignore[index]
            elif isinstance(node, dict):
                copy: dict[str, Node] = {}
                parent[place] = copy  # type: ignore[index]
                named = VALUE_MEMBERS if holds_named_secret(node) else ()
                for key, value in node.items():
                    label = self.label(key, at)
                    is_secret = key in named or is_secret_name(key)
                    copy[label] = self._marked(value, at) if is_secret else None
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

    def _marked(self, node: Node, at: Nesting | None = None) -> Node:
        """A whole node as one mark; null stays, since it holds nothing."""
        if node is None:
            return None
        secret = node.decode() if isinstance(node, bytes) else node if isinstance(node, str) else None
        secret = write_json(node, sort_keys=True) if secret is None else secret
        return self.mark(secret) if at is None else at.mark(self, secret)

    def _scalar(self, node: Node, at: Nesting | None) -> Node:
        if isinstance(node, str):
            return self.value(node, at)
        if self.hides_values and node is not None:
            return self._described("number", node.decode()) if isinstance(node, bytes) else self._boolean(node)
        if isinstance(node, bytes) and any(True for _ in card_spans(node.decode())):
            return self._marked(node, at)
        return node

    def _boolean(self, node: Node) -> str:
        """Without its length, which would tell it."""
        return f"boolean {self.hashed(str(node))}"

    def label(self, name: str, at: Nesting | None = None) -> str:
        """A key, which may be a secret itself, or a value where values are hidden."""
        if self.hides_values and not self._is_word(name):
            return self._described("string", name)
        return self.text(name, at)

    # differences

    def difference(self, difference: Difference) -> ShownDifference:
        """The form to keep. The path ends where a redacted node begins: its inside is not told either."""
        reach = self._reach(difference.steps) if difference.in_ is Where.BODY else None
        steps = tuple(None if step is None else self.label(step) for step in difference.steps[:reach])
        path = difference.path
        if difference.in_ is Where.BODY:
            path = write_path(steps) if (path or "$").startswith("$") else self.place(path or "")
        is_secret = reach is not None or difference.is_secret
        if isinstance(difference.legacy, Excerpt) and isinstance(difference.candidate, Excerpt) and not is_secret:
            legacy, candidate = self._excerpts(difference.legacy, difference.candidate)
        else:
            legacy = self._side(difference.legacy, difference, is_secret)
            candidate = self._side(difference.candidate, difference, is_secret)
        kind, severity, count = difference.kind, difference.severity, difference.count
        return ShownDifference(difference.in_, self._cut(path), kind, severity, legacy, candidate, count)

    def differences(self, differences: Iterable[Difference]) -> tuple[ShownDifference, ...]:
        return tuple(map(self.difference, differences))

    def _reach(self, steps: Steps) -> int | None:
        """How many steps lead to the first redacted node on the way; None if none is."""
        by_name = next((at for at, step in enumerate(steps, 1) if step is not None and is_secret_name(step)), None)
        reaches = [by_name, *(pattern.reach(steps) for pattern in self.patterns)]
        return min((reach for reach in reaches if reach is not None), default=None)

    def _side(self, value: Value, difference: Difference, is_secret: bool) -> Shown:
        if value is None or difference.in_ is Where.STATUS:
            return value if isinstance(value, int) else None
        if difference.in_ is Where.HEADER:
            return _bounded(self._header_side(difference.path or "", str(value)))
        if isinstance(value, Opaque):
            return self.opaque(value.data)
        if isinstance(value, Excerpt):
            return self.mark(value.text) if is_secret else self._excerpt(value, self._whole(value))
        if difference.kind is Kind.LENGTH:
            return value if isinstance(value, (int, str)) else None
        node: Node = value if not isinstance(value, int) or isinstance(value, bool) else str(value).encode()
        steps = difference.steps if (difference.path or "$").startswith("$") else ()
        return shown(self._marked(node) if is_secret else self.tree(node, steps))

    def _header_side(self, name: str, value: str) -> str:
        """Of set-cookie a difference holds names and attributes only."""
        if name != "set-cookie" or name in self.headers:
            return self.header(name, value)
        return self.value(value if self.hides_values else self._attributes(value))

    def _excerpts(self, legacy: Excerpt, candidate: Excerpt) -> tuple[Shown, Shown]:
        """Both sides around their first change. Secrets are looked for in the whole texts: one that is cut at both ends
        could not be recognised. Where a text was written anew, the change is looked for anew."""
        if self.hides_values:
            return self._described("text", legacy.text), self._described("text", candidate.text)
        wholes = self._whole(legacy), self._whole(candidate)
        if wholes != (legacy.text, candidate.text):
            position = common_length(*wholes)
            legacy, candidate = (Excerpt(whole, position) for whole in wholes)
        return self._excerpt(legacy, wholes[0]), self._excerpt(candidate, wholes[1])

    def _whole(self, excerpt: Excerpt) -> str:
        """The redacted text of which an excerpt is shown. Markup that does not parse as XML comes from a page."""
        xml = self.markup(excerpt.text, is_html=False) if excerpt.is_markup else None
        if xml is not None:
            return xml
        return self.text(excerpt.text)

    def _excerpt(self, excerpt: Excerpt, whole: str) -> str:
        if self.hides_values:
            return self._described("text", excerpt.text)
        begin, end = max(excerpt.position - _BEFORE, 0), excerpt.position + _AFTER
        return ("…" if begin else "") + whole[begin:end] + ("…" if end < len(whole) else "")

    def _cut(self, path: str | None) -> str | None:
        if path is None or len(path) <= _MAX_PATH:
            return path
        return f"{path[:_MAX_PATH]}…{self.hashed(path)}"


_SELECTED = re.compile(r"([#.])((?:[\w\-]|\\.)+)")
"""An id or a class in a selector."""
_DESCRIBED = re.compile(r"(?:string|number|text)\([0-9]{1,9}\) [0-9a-f]{8}|boolean [0-9a-f]{8}")


def _masks(pattern: Pattern, steps: Steps) -> int:
    mask = 1
    for step in steps:
        mask = pattern.advance(mask, step)
    return mask


def _bounded(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}… ({len(text)} characters)"


def shown(node: Node) -> Shown:
    """A redacted node as plain JSON; one that is too long as the start of its text."""
    if isinstance(node, bytes):
        value = plain_value(node)
        return _bounded(value) if isinstance(value, str) else value
    if isinstance(node, str):
        return _bounded(printable(node))
    if not isinstance(node, (list, dict)):
        return node
    start = write_start(node, _MAX_SHOWN)
    return start[:_MAX_SHOWN] + "…" if len(start) > _MAX_SHOWN else _plain(node)


def _plain(node: Node) -> Shown:
    """Only for nodes whose text is short, and so their nesting shallow."""
    if isinstance(node, dict):
        return {printable(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return shown(node)


def printable(text: str) -> str:
    """A string that any JSON writer takes: lone surrogates are spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()
