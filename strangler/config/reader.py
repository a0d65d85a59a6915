"""Read the text of a YAML file into a tree, and note everything that prevents it.

The tree is built from libyaml's events, which knows styles and marks and costs less than PyYAML's composer.
"""

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from strangler.config.document import Document, MappingNode, Node, Scalar, SequenceNode
from strangler.config.problem import Problem
from strangler.config.syntax_errors import MAX_DEPTH, explained
from strangler.config.variables import expand

MAX_BYTES = 16 << 20
MAX_ALIASED = 200_000
MAX_VALUES = 1_000_000
"""10,000 routes have about 250,000."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_KEYS = "`version: 1`, `upstreams:` and `routes:`"


def read(
    data: bytes | str, name: str, environ: Mapping[str, str], *, keys: str = _KEYS, has_extensions: bool = True
) -> Document:
    """Return the document in `data`, never raising for what it holds. `keys`: what to write into an empty file;
    `has_extensions`: keys at the top that begin with `x-` are for others, and left out."""
    problem, text = _decode(data, name)
    if problem is not None:
        return Document(name, text, None, [problem])
    return _Reader(name, text, environ, keys).read(has_extensions=has_extensions)


EXTENSION = "x-"


def _without_extensions(root: MappingNode) -> MappingNode:
    """Return the top without its `x-…` keys, which hold anchors or what other programs read."""
    for key in [key for key in root.values if key.startswith(EXTENSION)]:
        del root.values[key]
    return root


def _decode(data: bytes | str, name: str) -> tuple[Problem | None, str]:
    if len(data) > MAX_BYTES:
        return Problem(name, 0, 0, "", f"the file is larger than {MAX_BYTES >> 20} MiB", "is it the right file?"), ""
    if isinstance(data, bytes):
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            return _not_text(data, error, name), ""
    else:
        text = data.removeprefix("\ufeff")
    found = _CONTROL.search(text)
    if found is None:
        return None, text
    line, column = _line_and_column(text, found.start())
    what = f"the character U+{ord(found[0]):04X} is not text"
    way_out = (
        "this looks like a binary file; write YAML" if found[0] == "\0" else "take it out, or write it as an escape"
    )
    return Problem(name, line, column, "", what, way_out), text


def _not_text(data: bytes, error: UnicodeDecodeError, name: str) -> Problem:
    before = data[: error.start].decode("utf-8", "replace")
    line, column = _line_and_column(before, len(before))
    if b"\0" in data[:4096]:
        return Problem(
            name,
            line,
            column,
            "",
            "this is not text in UTF-8",
            "it looks like a binary file or UTF-16; save it as UTF-8",
        )
    return Problem(name, line, column, "", f"byte 0x{data[error.start]:02X} is not UTF-8", "save the file as UTF-8")


def _line_and_column(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index) + 1) + 1


_QUOTES = ("'", '"')
_END_IN_QUOTES = "found unexpected end of stream"


class _Named(io.BytesIO):
    """A text with the name of its file, which libyaml puts into each mark."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text.encode())
        self.name = name


class _StopReading(Exception):
    """The rest of the file makes no sense after what was found, which is noted already."""


class _Reader:
    """The reader of one document, from libyaml's events."""

    def __init__(self, name: str, text: str, environ: Mapping[str, str], keys: str) -> None:
        self._keys = keys
        self._name = name
        self._text = text
        self._environ = environ
        self._problems: list[Problem] = []
        self._anchors: dict[str, tuple[Node | None, int]] = {}
        self._aliased: set[int] = set()
        self._count = 0
        self._shared_count = 0
        self._depth = 0
        self._open_quote: Any = None
        """The last quoted scalar that spans lines: its closing quote may be meant to open another one."""

    def read(self, *, has_extensions: bool) -> Document:
        root: Node | None = None
        try:
            loader = yaml.CSafeLoader(_Named(self._text, self._name))
            events = iter(loader.get_event, None)  # yaml.parse makes two calls for each: 20 % slower
            root = self._document(events)
        except _StopReading:
            pass
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except yaml.YAMLError as error:
            self._problems.append(
                Problem(self._name, 1, 1, "", f"this is not YAML ({error})", "see https://yaml.org/spec/1.2.2")
            )
        if root is not None and not isinstance(root, MappingNode) and not self._problems:
            self._note(
                root.start,
                "the file is not a mapping",
                f"write {self._keys} at the left edge",
            )
        top = root if isinstance(root, MappingNode) else None
        if top is not None and has_extensions:
            top = _without_extensions(top)
        return Document(self._name, self._text, top, self._problems, self._aliased)

    def _document(self, events: Iterator[Any]) -> Node | None:
        next(events)  # the stream's start
        event = next(events)
        if type(event) is yaml.StreamEndEvent:
            self._problems.append(Problem(self._name, 1, 1, "", "the file is empty", f"write {self._keys}"))
            return None
        root = self._node(next(events), events)
        next(events)  # the document's end
        event = next(events)
        if type(event) is not yaml.StreamEndEvent:
            self._note(
                event.start_mark, "a second document starts here", "keep one document, without `---` in the middle"
            )
        return root

    def _node(self, event: Any, events: Iterator[Any]) -> Node:
        kind = type(event)
        if kind is yaml.AliasEvent:
            return self._alias(event)
        self._count += 1
        if self._count > MAX_VALUES:
            self._note(event.start_mark, f"the file has more than {MAX_VALUES} values", "is it the right file?")
            raise _StopReading
        if kind is yaml.ScalarEvent and event.anchor is None and event.tag is None:
            return self._scalar(event)
        anchor, before = event.anchor, self._count
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!", 1)
            self._note(
                event.start_mark,
                f"the tag '{tag}' is not understood",
                "take it out: the key decides how a value is read",
            )
        if anchor is not None:
            self._anchors[anchor] = (None, 0)
        if kind is yaml.ScalarEvent:
            node: Node = self._scalar(event)
        else:
            node = self._collection(kind, event, events)
        if anchor is not None:
            self._anchors[anchor] = (node, self._count - before + 1)
        return node

    def _collection(self, kind: type, event: Any, events: Iterator[Any]) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._note(
                event.start_mark,
                f"values are nested deeper than {MAX_DEPTH} levels",
                "nothing here needs more than ten",
            )
            raise _StopReading
        node = self._table(event, events) if kind is yaml.MappingStartEvent else self._items(event, events)
        self._depth -= 1
        return node

    def _alias(self, event: Any) -> Node:
        node, size = self._anchors.get(event.anchor, (None, -1))
        if node is None:
            loop = size == 0
            what = (
                f"the alias '*{event.anchor}' stands inside its own anchor"
                if loop
                else f"no anchor '&{event.anchor}' stands before this alias"
            )
            self._note(
                event.start_mark, what, "write the value out" if loop else "add the anchor, or write the value out"
            )
            return Scalar(None, event, is_broken=True)
        self._count += size
        self._shared_count += size
        if self._shared_count > MAX_ALIASED:
            self._note(
                event.start_mark, f"aliases expand the file to more than {MAX_ALIASED} values", "write fewer of them"
            )
            raise _StopReading
        self._aliased.add(id(node))
        return node

    def _scalar(self, event: Any) -> Scalar:
        text: str | None = event.value
        self._watch_quotes(event)
        if text in _NULL and event.implicit[0] and not event.style:
            return Scalar(None, event)
        if text is None or "${" not in text:
            return Scalar(text, event)
        try:
            text = expand(text, self._environ)
        except ValueError as error:
            self._note(event.start_mark, *error.args)
            return Scalar(None, event, is_broken=True)
        is_nothing = text == "" and event.implicit[0] and not event.style
        return Scalar(None if is_nothing else text, event)

    def _watch_quotes(self, event: Any) -> None:
        if event.style in _QUOTES and event.end_mark.line > event.start_mark.line:
            self._open_quote = event

    def _items(self, event: Any, events: Iterator[Any]) -> SequenceNode:
        found = SequenceNode(event.start_mark, flow=bool(event.flow_style))
        for event in events:
            if type(event) is yaml.SequenceEndEvent:
                found.end = event.end_mark
                break
            found.items.append(self._node(event, events))
        return found

    def _table(self, event: Any, events: Iterator[Any]) -> MappingNode:
        mapping = MappingNode(event.start_mark, flow=bool(event.flow_style))
        merges: list[tuple[Any, Node]] = []
        for event in events:
            if type(event) is yaml.MappingEndEvent:
                mapping.end = event.end_mark
                break
            key, mark = self._key(event, events), event.start_mark
            value = self._node(next(events), events)
            if key is None:
                continue
            if key == "<<" and event.implicit[0]:
                merges.append((mark, value))
            elif key in mapping.values:
                self._note(
                    mark, f"the key '{key}' is already on line {mapping.keys[key].line + 1}", "take one of the two out"
                )
            else:
                mapping.values[key] = value
                mapping.keys[key] = mark
        for mark, value in merges:
            self._merge(mapping, mark, value)
        return mapping

    def _key(self, event: Any, events: Iterator[Any]) -> str | None:
        if type(event) is yaml.ScalarEvent and event.tag is None and event.anchor is None:
            self._count += 1
            text: str = event.value
            self._watch_quotes(event)
            return text
        self._node(event, events)
        self._note(event.start_mark, "a key must be a plain word", "write `key: value`")
        return None

    def _merge(self, mapping: MappingNode, mark: Any, value: Node) -> None:
        """Apply YAML 1.1's merge key: the mapping's own keys win, then those of the first source that has them."""
        sources = value.items if isinstance(value, SequenceNode) else [value]
        for source in sources:
            if not isinstance(source, MappingNode):
                self._note(mark, "`<<` merges mappings only", "write `<<: *anchor` with the anchor of a mapping")
                return
            for key, inner in source.values.items():
                if key not in mapping.values:
                    mapping.values[key] = inner
                    mapping.keys[key] = source.keys[key]
                    mapping.merged.add(key)

    def _note(self, mark: Any, what: str, way_out: str) -> None:
        self._problems.append(Problem(self._name, mark.line + 1, mark.column + 1, "", what, way_out))

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        opened = self._unclosed_quote(error)
        if opened is not None:
            self._note(opened, "a quoted text starts here and is not closed", "add the closing quote")
            return
        lines = self._text.split("\n")
        line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
        what, way_out = explained(error, line, mark.column if mark is not None else 0)
        place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        self._problems.append(Problem(self._name, *place, "", what, way_out))

    def _unclosed_quote(self, error: yaml.MarkedYAMLError) -> Any:
        """Return the mark of the quote that is not closed; None if that is not the error."""
        if _END_IN_QUOTES in (error.problem or "") and "quoted" in (error.context or ""):
            return error.context_mark
        last, at = self._open_quote, error.problem_mark
        return last.start_mark if last is not None and at is not None and at.line == last.end_mark.line else None
