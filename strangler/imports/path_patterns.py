"""The paths of route lists as templates: `/users/:id(.:format)`, `/users/<int:pk>`, `/users/{id}` -> `/users/{}`.

`{}` is a value, `{...}` the rest of a path of any depth. A part in the middle of a path that may have any depth is
taken for one value, as in Django: `<path:object_id>/change/`. An optional part gives two templates, with it
and without.
"""

import re
from typing import Final
from urllib.parse import quote, unquote

from strangler.core.compare.model.templates import HOLE, REST

MAX_PATTERN: Final = 2048
MAX_TEMPLATES: Final = 16
"""The templates that the optional parts of one pattern may give."""

_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,16}://[^/]*")
_FORMAT: Final = re.compile(r"\(\.:format\)|\.:format\b|\.\{_?format\}|\{\._format\}")
_RAILS_OPTION: Final = re.compile(r"\(([^()?]*)\)")
_REST_NAMES: Final = re.compile(r"\{\*{1,2}[^{}]*\}|\{[^{}:]*(?:\.\.\.|\+)\}|\{[^{}:]*:(?:path|\.[*+])\}")
_OPTIONAL: Final = re.compile(r"/?(?:\{([^{}?]*)\?\}|:(\w+)\?)")
_CONSTRAINED: Final = re.compile(r"(:[A-Za-z_]\w*)\((?![/.:(-])(?:[^()]|\([^()]*\))*\)")
_CONSTRAINED_REST: Final = re.compile(r":[A-Za-z_]\w*(?:\(\.[*+]\)|[*+])")
_ANGLE: Final = re.compile(r"(?<!\?P)(?<!\?)<(?:([^<>:()]*)(?:\(([^()]*)\))?:)?[^<>()]*>")
_COLON: Final = re.compile(r"(?<![A-Za-z0-9_}%]):[A-Za-z_]\w*")
_STAR_NAME: Final = re.compile(r"(?<![A-Za-z0-9_*{.])\*{1,2}[A-Za-z_]\w*")
_REGEX_SIGNS: Final = re.compile(r"\(\?P?<|\[[^\]/]*\]|\\[dwsSWDAZ.]|\(\?:|^\^|\$$")
_MEANINGFUL: Final = re.compile(r"[%?#&\s;/]")


def templates(pattern: str, star_is_rest: bool = True) -> list[str]:
    """Return the templates of a pattern; empty if it is no path. `star_is_rest`: a lone `*` stands for any depth."""
    if len(pattern) > MAX_PATTERN:
        return []
    found = _ABSOLUTE.match(pattern)
    text = pattern[found.end() :] if found else pattern
    text = _CONSTRAINED.sub(r"\1", _CONSTRAINED_REST.sub(REST, _FORMAT.sub("", text)))
    text = _REST_NAMES.sub(REST, _ANGLE.sub(_angle, text))
    if _REGEX_SIGNS.search(text):
        text = _without_regex(text)
    return list(dict.fromkeys(_filled(option, star_is_rest) for option in _options(text)))


def _options(text: str) -> list[str]:
    """Return the pattern with and without each optional part: `(/:locale)`, `{id?}`, `:id?`; the innermost first.

    Of a pattern with very many, only all and none of them.
    """
    whole, pending = list[str](), [text]
    while pending:
        current = pending.pop()
        found = _RAILS_OPTION.search(current)
        inner = found[1] if found else ""
        if found is None:
            found = _OPTIONAL.search(current)
            if found is None:
                whole.append(current)
                continue
            inner = found[0].replace("?", "")
        before, after = current[: found.start()], current[found.end() :]
        if len(whole) + len(pending) + 2 > MAX_TEMPLATES:
            return [_RAILS_OPTION.sub("", text), re.sub(r"[()?]", "", text)]
        pending += [before + inner + after, before + after]
    return sorted(whole, key=len)


def _angle(found: "re.Match[str]") -> str:
    """Return the hole of a converter of Flask, Django or werkzeug."""
    return REST if found[1] == "path" or ".*" in (found[2] or "") else HOLE


def _filled(text: str, star_is_rest: bool) -> str:
    """Return the template of a pattern without optional parts: holes for names, escaped words."""
    text = _STAR_NAME.sub(REST, _COLON.sub(HOLE, _braces(_ANGLE.sub(_angle, text))))
    segments: list[str] = []
    written = re.sub(r"/{2,}", "/", "/" + text).split("/")[1:]
    for at, segment in enumerate(written, start=1):
        if segment == "**" or (segment == "*" and star_is_rest) or REST in segment:
            if not any(written[at:]):
                return "/" + "/".join([*segments, REST])
            segment = HOLE
        segments.append(HOLE.join(map(_escaped, segment.replace("*", HOLE).split(HOLE))))
    return "/" + "/".join(segments)


def _escaped(text: str) -> str:
    """Return a word as the ledger writes it: decoded, but for what means something in a template."""
    return _MEANINGFUL.sub(lambda found: quote(found[0], safe=""), unquote(text))


def _braces(text: str) -> str:
    """Return a text with `{}` for each `{name}`, `{id:[0-9]{4}}` and the like; braces within braces belong to them."""
    pieces, depth, start = [], 0, 0
    for at, char in enumerate(text):
        if char == "{":
            if not depth:
                pieces.append(text[start:at])
                start = at
            depth += 1
        elif char == "}" and depth:
            depth -= 1
            if not depth:
                inner = text[start : at + 1]
                pieces.append(inner if inner == REST else HOLE)
                start = at + 1
    return "".join([*pieces, text[start:]])


_CLASS: Final = re.compile(
    r"(?:\[(?:\\.|[^\]\\])*\]|\\[dDwWsS]|\.)(?:[*+?]|\{\d[\d,]*\})+|\[(?:\\.|[^\]\\])*\]|\\[dDwWsS]"
)


def _without_regex(text: str) -> str:
    """Return a regular expression of a URL as a pattern with `<x>` for its groups and classes; anchors go."""
    text = re.sub(r"^\^|\\A|\\Z|(?<!\\)\$$", "", text)
    pieces, at = [], 0
    while at < len(text):
        if text[at] == "(" and (end := _group_end(text, at)):
            pieces.append("<path:x>" if re.search(r"\.[*+]", text[at:end]) else "<x>")
            at = end + (text[end : end + 1] in ("?", "*", "+"))
        elif found := _CLASS.match(text, at):
            pieces.append("<path:x>" if found[0] in (".*", ".+") else "<x>")
            at = found.end()
        elif text[at] == "\\" and at + 1 < len(text):
            pieces.append(text[at + 1])
            at += 2
        elif text[at : at + 2] == "/?":
            pieces.append("/")
            at += 2
        else:
            pieces.append(text[at])
            at += 1
    return re.sub(r"(?:<x>){2,}", "<x>", "".join(pieces))


def _group_end(text: str, start: int) -> int:
    """Return the index behind the group that begins at `start`, escapes and classes heeded; 0 if it never ends."""
    depth, at, in_class = 0, start, False
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if char == "[" and not in_class:
            in_class = True
        elif char == "]":
            in_class = False
        elif not in_class:
            depth += (char == "(") - (char == ")")
            if not depth:
                return at + 1
        at += 1
    return 0


def is_any_path(template: str) -> bool:
    """Return True for a template that fits every path: it says nothing of what is served."""
    return template == "/" + REST
