"""A reader of Hurl files after Hurl's grammar (https://hurl.dev/docs/grammar.html), as far as exports use it."""

import base64
import re
from dataclasses import dataclass, field

_ESCAPE = re.compile(r"\\(?:u\{([0-9a-f]+)\}|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "\\": "\\", "`": "`", '"': '"', "#": "#", ":": ":"}
_KEY = re.compile(r"((?:[\w.\[\]@$-]|\\u\{[0-9a-f]+\}|\\.)+) *:")
_VALUE = re.compile(r"(?:[^\\#\n]|\\u\{[0-9a-f]+\}|\\.)*")
_REQUEST = re.compile(r"([A-Z]+) +((?:[^\\#\n]|\\u\{[0-9a-f]+\}|\\.)*)\n")
_RESPONSE = re.compile(r"HTTP (\d+|\*)\n")
_BACKTICKS = re.compile(r"`((?:[^`\\\n]|\\u\{[0-9a-f]+\}|\\.)*)`")


@dataclass
class Entry:
    """A request, and what its response must be."""

    method: str
    url: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    body: bytes | None = None
    status: str = ""
    asserts: list[str] = field(default_factory=list)
    expected_body: bytes | None = None
    variables: list[str] = field(default_factory=list)
    """The texts that Hurl would read as variables."""


def read_hurl(text: str) -> list[Entry]:
    """Return the entries of a file. Raises AssertionError for what is not in the grammar."""
    reader, found = _Reader(text), []
    while not reader.is_at_end():
        found.append(reader.entry())
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def is_at_end(self) -> bool:
        self._blanks()
        return self._at == len(self._text)

    def entry(self) -> Entry:
        request = self._take(_REQUEST)
        assert request, self._text[self._at : self._at + 80]
        made = Entry(request[1], "")
        made.url = self._plain(request[2].rstrip(" "), made)
        made.headers = self._fields(made)
        if self._line("[Options]"):
            made.options = [f"{name}: {value}" for name, value in self._fields(made)]
        made.body = self._body(made)
        self._blanks()
        response = self._take(_RESPONSE)
        assert response, self._text[self._at : self._at + 80]
        made.status = response[1]
        if self._line("[Asserts]"):
            while self._text.startswith("jsonpath ", self._at):
                end = self._text.index("\n", self._at)
                made.asserts.append(self._text[self._at : end])
                self._at = end + 1
        made.expected_body = self._body(made)
        return made

    def _fields(self, made: Entry) -> list[tuple[str, str]]:
        found = []
        self._blanks()
        while key := self._take(_KEY):
            assert not key[1].startswith("[")
            while self._text[self._at] == " ":
                self._at += 1
            value = self._take(_VALUE)
            assert value is not None
            found.append((_unescaped(key[1]), self._plain(value[0].rstrip(" "), made)))
            self._blanks()
        return found

    def _body(self, made: Entry) -> bytes | None:
        self._blanks()
        if self._text.startswith("```raw\n", self._at):
            start = self._at + len("```raw\n")
            end = self._text.index("```", start)
            self._at = end + 3
            body = self._text[start:end].encode()
        elif self._text.startswith("base64,", self._at):
            end = self._text.index(";", self._at)
            body = base64.b64decode(self._text[self._at + 7 : end], validate=True)
            self._at = end + 1
        elif found := self._take(_BACKTICKS):
            body = self._plain(found[1], made).encode()
        else:
            return None
        assert self._text[self._at] == "\n"
        return body

    def _plain(self, text: str, made: Entry) -> str:
        """Return a text without its escapes. An escaped brace begins no variable."""
        made.variables += re.findall(r"\{\{", re.sub(r"\\u\{[0-9a-f]+\}|\\.", "_", text))
        return _unescaped(text)

    def _line(self, text: str) -> bool:
        is_here = self._text.startswith(text + "\n", self._at)
        self._at += (len(text) + 1) * is_here
        return is_here

    def _blanks(self) -> None:
        while found := re.compile(r"[ \n]+|#[^\n]*").match(self._text, self._at):
            self._at = found.end()

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
        return found


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _ESCAPED[found[2]], text)
