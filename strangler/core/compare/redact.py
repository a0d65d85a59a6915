"""Redaction, after comparing and before anything is kept: secrets become `redacted:<8 hex>` of a keyed hash.

Equal secrets stay equal under one key, wherever they stand. What cannot be read, and so not be searched for secrets, is
kept as hash and length only.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeAlias
from urllib.parse import unquote_plus

from strangler.core.compare.jsonpath import Pattern, parse_pattern, write_path
from strangler.core.compare.numbers import plain_value
from strangler.core.compare.places import redacted_place
from strangler.core.compare.secrets import card_spans, is_secret_name, secret_spans
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

    @classmethod
    def of(cls, key: bytes, rules: Iterable[str]) -> "Redactor":
        """`rules`: those of a route, `$..email` or `header:x-tenant`. Raises PatternError for any other text."""
        rules = list(rules)
        named = {rule.removeprefix("header:").strip().lower() for rule in rules if rule.startswith("header:")}
        patterns = tuple(parse_pattern(rule) for rule in rules if not rule.startswith("header:"))
        return cls(key, patterns, _SECRET_HEADERS | named)

    def hashed(self, secret: str | bytes) -> str:
        """8 hex digits of a keyed hash."""
        data = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret
        return blake2b(data, key=self.key, digest_size=4).hexdigest()

    def mark(self, secret: str | bytes) -> str:
        return f"redacted:{self.hashed(secret)}"

    # text

    def text(self, text: str, *, is_markup: bool = False) -> str:
        """A text with its secrets marked: card numbers, and values given to secret names."""
        pieces, at = [], 0
        for start, end in secret_spans(text, is_markup=is_markup):
            pieces += [text[at:start], self.mark(text[start:end])]
            at = end
        return "".join([*pieces, text[at:]])

    def target(self, target: bytes) -> str:
        """A request target: the values of secret query parameters marked, their names read as a server would."""
        path, question, query = target.decode("utf-8", "backslashreplace").partition("?")
        return self.text(path) + question + "&".join(map(self._parameter, query.split("&")))

    def _parameter(self, parameter: str) -> str:
        name, equals, value = parameter.partition("=")
        plain = unquote_plus(value)
        if equals and value and (is_secret_name(name) or self.text(plain) != plain):
            return f"{self.text(name)}={self.mark(plain)}"
        return self.text(parameter)

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
        return self.mark(value) if is_secret_name(name) else self.text(value)

    def _cookie(self, pair: str) -> str:
        name, equals, value = pair.strip().partition("=")
        return f"{self._label(name)}={self.mark(value)}" if equals else self.mark(name)

    def _set_cookie(self, value: str) -> str:
        pair, semicolon, attributes = value.partition(";")
        return self._cookie(pair) + semicolon + self.text(attributes)

    # trees

    def tree(self, root: Node, steps: Steps = ()) -> Node:
        """A copy of a tree without secrets. `steps`: where it stands in its document."""
        masks = tuple(_masks(pattern, steps) for pattern in self.patterns)
        holder: list[Node] = [None]
        stack: list[tuple[Node, tuple[int, ...], list[Node] | dict[str, Node], int | str]] = [(root, masks, holder, 0)]
        while stack:
            node, masks, parent, place = stack.pop()
            if self._is_named(masks):
                parent[place] = self._marked(node)  # type: ignore[index]
            elif isinstance(node, dict):
                copy: dict[str, Node] = {}
                parent[place] = copy  # type: ignore[index]
                for key, value in node.items():
                    label = self._label(key)
                    copy[label] = self._marked(value) if is_secret_name(key) else None
                    if not is_secret_name(key):
                        stack.append((value, self._advanced(masks, key), copy, label))
            elif isinstance(node, list):
                elements: list[Node] = [None] * len(node)
                parent[place] = elements  # type: ignore[index]
                below = self._advanced(masks, None)
                stack.extend((value, below, elements, at) for at, value in enumerate(node))
            else:
                parent[place] = self._scalar(node)  # type: ignore[index]
        return holder[0]

    def _is_named(self, masks: tuple[int, ...]) -> bool:
        return any(mask & pattern.done for mask, pattern in zip(masks, self.patterns, strict=True))

    def _advanced(self, masks: tuple[int, ...], step: Step) -> tuple[int, ...]:
        return tuple(pattern.advance(mask, step) for mask, pattern in zip(masks, self.patterns, strict=True))

    def _marked(self, node: Node) -> Node:
        """A whole node as one mark; null stays, since it holds nothing."""
        if node is None:
            return None
        return self.mark(node if isinstance(node, (str, bytes)) else write_json(node, sort_keys=True))

    def _scalar(self, node: Node) -> Node:
        if isinstance(node, str):
            return self.text(node)
        if isinstance(node, bytes) and any(True for _ in card_spans(node.decode())):
            return self.mark(node)
        return node

    def _label(self, name: str) -> str:
        """A key, which may be a secret itself."""
        return self.text(name)

    # differences

    def difference(self, difference: Difference) -> ShownDifference:
        """The form to keep. The path ends where a redacted node begins: its inside is not told either."""
        reach = self._reach(difference.steps) if difference.in_ is Where.BODY else None
        steps = tuple(None if step is None else self._label(step) for step in difference.steps[:reach])
        path = difference.path
        if difference.in_ is Where.BODY:
            path = write_path(steps) if (path or "$").startswith("$") else redacted_place(path or "", self.text)
        sides = (
            self._side(value, difference, reach is not None) for value in (difference.legacy, difference.candidate)
        )
        legacy, candidate = sides
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
            return self.mark(value.text) if is_secret else self._excerpt(value)
        if difference.kind is Kind.LENGTH:
            return value if isinstance(value, (int, str)) else None
        node: Node = value if not isinstance(value, int) or isinstance(value, bool) else str(value).encode()
        steps = difference.steps if (difference.path or "$").startswith("$") else ()
        return shown(self._marked(node) if is_secret else self.tree(node, steps))

    def _header_side(self, name: str, value: str) -> str:
        """Of set-cookie a difference holds names and attributes only."""
        return self.text(value) if name == "set-cookie" and name not in self.headers else self.header(name, value)

    def _excerpt(self, excerpt: Excerpt) -> str:
        """Secrets are looked for in the whole text: one that is cut at both ends could not be recognised."""
        text, begin, end = excerpt.text, excerpt.position - _BEFORE, excerpt.position + _AFTER
        pieces, at = ["…" if begin > 0 else ""], max(begin, 0)
        for start, stop in secret_spans(text, is_markup=excerpt.is_markup):
            if stop > at and start < end:
                pieces += [text[at:start] if start > at else "", self.mark(text[start:stop])]
                at = stop
        return "".join([*pieces, text[at:end] if end > at else "", "…" if end < len(text) else ""])

    def _cut(self, path: str | None) -> str | None:
        if path is None or len(path) <= _MAX_PATH:
            return path
        return f"{path[:_MAX_PATH]}…{self.hashed(path)}"


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
