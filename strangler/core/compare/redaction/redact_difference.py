"""Redaction of differences: the form in which their places and both sides are kept."""

from collections.abc import Iterable
from dataclasses import dataclass

from strangler.core.compare.accept_rules.jsonpath import write_path
from strangler.core.compare.model.common_ends import common_length
from strangler.core.compare.model.values import Difference, Excerpt, Kind, Node, Opaque, Severity, Steps, Value, Where
from strangler.core.compare.redaction.plain_json import KeptValue, bounded_text, plain_json
from strangler.core.compare.redaction.redact import Redactor
from strangler.core.privacy.secrets import is_secret_name

_MAX_PATH = 1000
_BEFORE, _AFTER = 60, 140
"""Characters of an excerpt around its first change."""


@dataclass(frozen=True, slots=True)
class KeptDifference:
    """A difference as it is kept; `as_json` is the form of DESIGN section 6."""

    in_: Where
    path: str | None
    kind: Kind
    severity: Severity
    legacy: KeptValue
    candidate: KeptValue
    count: int = 1

    def as_json(self) -> dict[str, KeptValue]:
        return {
            "in": self.in_.value,
            "path": self.path,
            "kind": self.kind.value,
            "severity": self.severity.value,
            "legacy": self.legacy,
            "candidate": self.candidate,
        }


def redact_difference(difference: Difference, redactor: Redactor) -> KeptDifference:
    """Return the form to keep. The path ends where a redacted node begins, so that its inside is not shown either."""
    reach = _reach(redactor, difference.steps) if difference.in_ is Where.BODY else None
    steps = tuple(None if step is None else redactor.label(step) for step in difference.steps[:reach])
    path = difference.path
    if difference.in_ is Where.BODY:
        path = write_path(steps) if (path or "$").startswith("$") else redactor.place(path or "")
    is_secret = reach is not None or difference.is_secret
    if isinstance(difference.legacy, Excerpt) and isinstance(difference.candidate, Excerpt) and not is_secret:
        legacy, candidate = _excerpts(redactor, difference.legacy, difference.candidate)
    else:
        legacy = _side(redactor, difference.legacy, difference, is_secret)
        candidate = _side(redactor, difference.candidate, difference, is_secret)
    kind, severity, count = difference.kind, difference.severity, difference.count
    return KeptDifference(difference.in_, _cut(redactor, path), kind, severity, legacy, candidate, count)


def redact_differences(differences: Iterable[Difference], redactor: Redactor) -> tuple[KeptDifference, ...]:
    """Return the form to keep of each difference."""
    return tuple(redact_difference(difference, redactor) for difference in differences)


def _reach(redactor: Redactor, steps: Steps) -> int | None:
    """Return how many steps lead to the first redacted node on the way; None if there is none."""
    by_name = next((at for at, step in enumerate(steps, 1) if step is not None and is_secret_name(step)), None)
    reaches = [by_name, *(pattern.reach(steps) for pattern in redactor.patterns)]
    return min((reach for reach in reaches if reach is not None), default=None)


def _side(redactor: Redactor, value: Value, difference: Difference, is_secret: bool) -> KeptValue:
    if value is None or difference.in_ is Where.STATUS:
        return value if isinstance(value, int) else None
    if difference.in_ is Where.HEADER:
        return bounded_text(_header_side(redactor, difference.path or "", str(value)))
    if isinstance(value, Opaque):
        return redactor.opaque(value.data)
    if isinstance(value, Excerpt):
        return redactor.mark(value.text) if is_secret else _excerpt(redactor, value, _whole(redactor, value))
    if difference.kind is Kind.LENGTH:
        return value if isinstance(value, (int, str)) else None
    node: Node = value if not isinstance(value, int) or isinstance(value, bool) else str(value).encode()
    steps = difference.steps if (difference.path or "$").startswith("$") else ()
    return plain_json(redactor.marked_node(node) if is_secret else redactor.tree(node, steps))


def _header_side(redactor: Redactor, name: str, value: str) -> str:
    """Redact a field. A difference in set-cookie has names and attributes only."""
    if name != "set-cookie" or name in redactor.headers:
        return redactor.header(name, value)
    return redactor.value(value if redactor.hides_values else redactor.cookie_attributes(value))


def _excerpts(redactor: Redactor, legacy: Excerpt, candidate: Excerpt) -> tuple[KeptValue, KeptValue]:
    """Return both sides around their first change.

    Secrets are searched for in the whole texts, since one that is cut off could not be recognised. If redaction changed
    a text, the position is determined again.
    """
    if redactor.hides_values:
        return redactor.described("text", legacy.text), redactor.described("text", candidate.text)
    wholes = _whole(redactor, legacy), _whole(redactor, candidate)
    if wholes != (legacy.text, candidate.text):
        position = common_length(*wholes)
        legacy, candidate = (Excerpt(whole, position) for whole in wholes)
    return _excerpt(redactor, legacy, wholes[0]), _excerpt(redactor, candidate, wholes[1])


def _whole(redactor: Redactor, excerpt: Excerpt) -> str:
    """Return the whole text of an excerpt, redacted. Markup that does not parse as XML is from a page."""
    xml = redactor.markup(excerpt.text, is_html=False) if excerpt.is_markup else None
    if xml is not None:
        return xml
    return redactor.text(excerpt.text)


def _excerpt(redactor: Redactor, excerpt: Excerpt, whole: str) -> str:
    if redactor.hides_values:
        return redactor.described("text", excerpt.text)
    begin, end = max(excerpt.position - _BEFORE, 0), excerpt.position + _AFTER
    return ("…" if begin else "") + whole[begin:end] + ("…" if end < len(whole) else "")


def _cut(redactor: Redactor, path: str | None) -> str | None:
    if path is None or len(path) <= _MAX_PATH:
        return path
    return f"{path[:_MAX_PATH]}…{redactor.hashed(path)}"
