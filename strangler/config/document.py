"""The text of a YAML file as a tree in which every value knows its place. No meaning yet, and no YAML types:

a scalar is its own text, only an unquoted `null`, `~` or nothing at all is None. The tree is built from libyaml's
events, which knows styles and marks and costs less than PyYAML's composer.
"""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from strangler.config.problem import Problem
from strangler.config.variables import expand

MAX_BYTES = 16 << 20
MAX_DEPTH = 64
MAX_ALIASED = 200_000
MAX_VALUES = 1_000_000
"""10,000 routes have about 250,000."""

Plain = str | None | list["Plain"] | dict[str, "Plain"]
Loc = tuple[str | int, ...]
"""Path of keys and list indices from the top of the file: `("routes", 0, "split", "percent")`."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(slots=True, eq=False)
class Scalar:
    """`text` is the value, its variables filled in. What else there is to know stays in libyaml's event."""

    text: str | None
    event: Any
    is_broken: bool = False
    """Its value could not be told (a missing variable, a bad alias), and the problem is noted already."""

    @property
    def written(self) -> str:
        """The value before variables were filled in."""
        return self.event.value if type(self.event) is yaml.ScalarEvent else ""

    @property
    def start(self) -> Any:
        """libyaml's mark: `line` and `column` from 0, `index` in characters."""
        return self.event.start_mark

    @property
    def end(self) -> Any:
        return self.event.end_mark

    @property
    def style(self) -> str:
        """The quote, `|` or `>`; empty for a plain one."""
        return self.event.style or ""


@dataclass(slots=True, eq=False)
class Items:
    """A list."""

    start: Any
    items: "list[Node]" = field(default_factory=list)
    flow: bool = False
    end: Any = None
    has_lost: bool = False
    """True once an item was cut out; then `numbers` are the places of the rest in the file."""
    numbers: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Table:
    """A mapping. `keys` holds the mark of each key; `merged` names those that a merge key brought in."""

    start: Any
    values: "dict[str, Node]" = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    merged: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    """Keys that are in the file but were cut out, since what is wrong with them is noted already."""
    flow: bool = False
    end: Any = None


Node = Scalar | Items | Table


@dataclass(slots=True)
class Document:
    """What was read. `root` is None if there is no tree to speak of; then `problems` says why."""

    name: str
    text: str
    root: Table | None
    problems: list[Problem]
    aliased: set[int] = field(default_factory=set)
    """`id` of every node that is used in more than one place."""
    is_whole: bool = True
    """False once something was cut out of the tree."""

    def node(self, loc: Loc) -> Node | None:
        """The node at a path, or None."""
        node: Node | None = self.root
        for step in loc:
            if isinstance(node, Table) and isinstance(step, str):
                node = node.values.get(step)
            elif isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            else:
                return None
        return node

    def as_written(self, loc: Loc) -> Loc:
        """The path with the indices that lists have in the file, before anything was cut out."""
        if self.is_whole:
            return loc
        node: Node | None = self.root
        steps: list[str | int] = []
        for step in loc:
            if isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
                steps.append(node.numbers[step] if node.numbers else step)
                node = node.items[step]
            else:
                steps.append(step)
                node = node.values.get(str(step)) if isinstance(node, Table) else None
        return tuple(steps)

    def place(self, loc: Loc, *, key: bool = False) -> tuple[str, int, int]:
        """File, line and column, from 1, of the value at a path (with `key`: of its key), or of what is nearest above
        it."""
        node: Node | None = self.root
        best = (self.name, 1, 1)
        for depth, step in enumerate(loc):
            mark = None
            if isinstance(node, Table) and isinstance(step, str):
                mark, node = node.keys.get(step), node.values.get(step)
            elif isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            else:
                break
            if node is None:
                break
            wants_key = mark is not None and (isinstance(node, Table | Items) or (key and depth == len(loc) - 1))
            mark = mark if wants_key and mark is not None else node.start
            best = place_of(mark)
        return best


_KEYS = "`version: 1`, `upstreams:` and `routes:`"


def read(data: bytes | str, name: str, environ: Mapping[str, str], *, keys: str = _KEYS) -> Document:
    """The document in `data`. Never raises for what it holds. `keys`: what to write into a file that has none."""
    problem, text = _decode(data, name)
    if problem is not None:
        return Document(name, text, None, [problem])
    return _Reader(name, text, environ, keys).read()


def place_of(mark: Any) -> tuple[str, int, int]:
    """Return file, line and column, from 1, of libyaml's mark."""
    return mark.name, mark.line + 1, mark.column + 1


def plain(node: Node) -> Plain:
    """The bare values of a tree, for validation."""
    if type(node) is Scalar:
        return node.text
    if type(node) is Table:
        return {key: plain(value) for key, value in node.values.items()}
    assert type(node) is Items
    return [plain(item) for item in node.items]


def without(node: Node, cut: set[int]) -> Node:
    """A copy of the tree without the nodes whose `id` is in `cut`."""
    if type(node) is Table:
        kept = {key: without(value, cut) for key, value in node.values.items() if id(value) not in cut}
        lost = node.lost | (node.values.keys() - kept.keys())
        return Table(node.start, kept, node.keys, node.merged, lost, node.flow, node.end)
    if type(node) is Items:
        numbers = [n for n, item in enumerate(node.items) if id(item) not in cut]
        items = [without(node.items[n], cut) for n in numbers]
        if node.numbers:
            numbers = [node.numbers[n] for n in numbers]
        return Items(node.start, items, node.flow, node.end, node.has_lost or len(items) < len(node.items), numbers)
    return node


EXTENSION = "x-"


def _without_extensions(root: Table) -> Table:
    """The top without its `x-…` keys: they mean nothing here, and hold anchors, or what other programs read."""
    for key in [key for key in root.values if key.startswith(EXTENSION)]:
        del root.values[key]
    return root


def _decode(data: bytes | str, name: str) -> tuple[Problem | None, str]:
    if len(data) > MAX_BYTES:
        return Problem(
            name, 0, 0, "", f"the file is larger than {MAX_BYTES >> 20} MiB", "is it really routes.yaml?"
        ), ""
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


class _Named(io.BytesIO):
    """A text with the name of its file: libyaml puts that into each mark."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text.encode())
        self.name = name


class _StopReading(Exception):
    """The rest of the file makes no sense after what was found, which is noted already."""


class _Reader:
    """Reads one document from libyaml's events."""

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
        """The last quoted scalar that goes on over a line end: its closing quote may be the opening one of another."""

    def read(self) -> Document:
        root: Node | None = None
        try:
            loader = yaml.CSafeLoader(_Named(self._text, self._name))
            events = iter(loader.get_event, None)  # yaml.parse asks twice for each: 20 % more
            root = self._document(events)
        except _StopReading:
            pass
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except yaml.YAMLError as error:
            self._problems.append(
                Problem(self._name, 1, 1, "", f"this is not YAML ({error})", "see https://yaml.org/spec/1.2.2")
            )
        if root is not None and not isinstance(root, Table) and not self._problems:
            self._note(
                root.start,
                "the file is not a mapping",
                f"write {self._keys} at the left edge",
            )
        top = _without_extensions(root) if isinstance(root, Table) else None
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
            self._note(event.start_mark, f"the file has more than {MAX_VALUES} values", "is it really routes.yaml?")
            raise _StopReading
        if kind is yaml.ScalarEvent and event.anchor is None and event.tag is None:
            return self._scalar(event)
        anchor, before = event.anchor, self._count
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!", 1)
            self._note(
                event.start_mark,
                f"the tag '{tag}' is not understood",
                "take it out: values are read by what they are for",
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
                event.start_mark, f"aliases blow the file up to more than {MAX_ALIASED} values", "write fewer of them"
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

    def _items(self, event: Any, events: Iterator[Any]) -> Items:
        found = Items(event.start_mark, flow=bool(event.flow_style))
        for event in events:
            if type(event) is yaml.SequenceEndEvent:
                found.end = event.end_mark
                break
            found.items.append(self._node(event, events))
        return found

    def _table(self, event: Any, events: Iterator[Any]) -> Table:
        table = Table(event.start_mark, flow=bool(event.flow_style))
        merges: list[tuple[Any, Node]] = []
        for event in events:
            if type(event) is yaml.MappingEndEvent:
                table.end = event.end_mark
                break
            key, mark = self._key(event, events), event.start_mark
            value = self._node(next(events), events)
            if key is None:
                continue
            if key == "<<" and event.implicit[0]:
                merges.append((mark, value))
            elif key in table.values:
                self._note(
                    mark, f"the key '{key}' is already on line {table.keys[key].line + 1}", "take one of the two out"
                )
            else:
                table.values[key] = value
                table.keys[key] = mark
        for mark, value in merges:
            self._merge(table, mark, value)
        return table

    def _key(self, event: Any, events: Iterator[Any]) -> str | None:
        if type(event) is yaml.ScalarEvent and event.tag is None and event.anchor is None:
            self._count += 1
            text: str = event.value
            self._watch_quotes(event)
            return text
        self._node(event, events)
        self._note(event.start_mark, "a key must be a plain word", "write `key: value`")
        return None

    def _merge(self, table: Table, mark: Any, value: Node) -> None:
        """YAML 1.1's merge key: what the mapping itself says wins, then the first of several."""
        sources = value.items if isinstance(value, Items) else [value]
        for source in sources:
            if not isinstance(source, Table):
                self._note(mark, "`<<` merges mappings only", "write `<<: *anchor` with the anchor of a mapping")
                return
            for key, inner in source.values.items():
                if key not in table.values:
                    table.values[key] = inner
                    table.keys[key] = source.keys[key]
                    table.merged.add(key)

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
        what, way_out = _explained(error, line, mark.column if mark is not None else 0)
        place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        self._problems.append(Problem(self._name, *place, "", what, way_out))

    def _unclosed_quote(self, error: yaml.MarkedYAMLError) -> Any:
        """The mark of the quote that is at fault; None if none is."""
        if _END_IN_QUOTES in (error.problem or "") and "quoted" in (error.context or ""):
            return error.context_mark
        last, at = self._open_quote, error.problem_mark
        return last.start_mark if last is not None and at is not None and at.line == last.end_mark.line else None


_QUOTES = ("'", '"')
_END_IN_QUOTES = "found unexpected end of stream"
_SYNTAX = (
    # words of libyaml; what to tell; the way out
    (
        "exceeded maximum nesting depth",  # PyYAML 6.0.4 stops there itself, before it tells of the first level
        f"values are nested deeper than {MAX_DEPTH} levels",
        "nothing here needs more than ten",
    ),
    (
        "mapping values are not allowed",
        "a second ': ' stands where a value has begun",
        "put a value that holds ': ' in quotes, or check the indentation of this line and the one before",
    ),
    (
        "did not find expected key",
        "a key was expected here",
        "check the indentation, and that quotes and brackets before it are closed",
    ),
    (
        "did not find expected '-' indicator",
        "a list item was expected here",
        "align it with the items before, each starting with '- '",
    ),
    (
        "did not find expected ',' or ']'",
        "a list that starts with '[' is not closed",
        "separate its items with ',' and close it with ']'",
    ),
    (
        "did not find expected ',' or '}'",
        "a mapping that starts with '{' is not closed",
        "separate its entries with ',' and close it with '}'",
    ),
    (
        "did not find expected <document start>",
        "text follows the end of the top value",
        "put every key at the left edge, and quote a value that starts with '['",
    ),
    (
        "did not find expected node content",
        "no value can start here",
        "put a value that starts with '[', '{', '*', '&' or '!' in quotes, such as '[::1]:8080'",
    ),
    ("incompatible YAML document", "this version of YAML is not known", "take the line that starts with %YAML out"),
    ("could not find expected ':'", "a line has a key without ':'", "write `key: value`"),
    ("found unknown escape character", "this escape is not known", "use single quotes, or write a backslash twice"),
    ("found undefined tag handle", "tags are not understood", "take it out, or put the value in quotes"),
    ("block sequence entries are not allowed", "a list item cannot start here", "put it on a line of its own"),
)


def _explained(error: yaml.MarkedYAMLError, line: str, column: int) -> tuple[str, str]:
    if "\t" in line[: len(line) - len(line.lstrip(" \t"))]:
        return "the line is indented with a tab", "YAML allows only spaces there"
    problem = error.problem or ""
    if "cannot start any token" in problem:
        character = line[column : column + 1]
        if character == "\t":
            return "a tab stands where a value should start", "use spaces"
        return f"a value cannot start with '{character}'", "put it in quotes"
    if "${" in line and "or '}'" in problem:
        return "inside of { }, the '}' of a variable ends the mapping", 'put it in quotes, as "${NAME}"'
    if re.search(r"/\{\w*\}", line) and "or '}'" in problem:
        return "inside of { }, a path with {name} needs quotes", 'write "/orders/{id}"'
    for words, what, way_out in _SYNTAX:
        if words in problem:
            return what, way_out
    return f"this is not YAML: {problem or error.context}", "check the quotes, brackets and indentation here"
