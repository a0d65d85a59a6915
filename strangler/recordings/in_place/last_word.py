"""The last word of the redactor of samples on a body that was redacted in place: the secrets that it still finds."""

from strangler.core.compare.model.forms import parse_form
from strangler.core.compare.model.media import Body
from strangler.core.compare.model.tree import Json, parse_json, parse_ndjson
from strangler.core.compare.model.values import Node
from strangler.core.compare.redaction.nested_markup import redact_markup
from strangler.core.compare.redaction.nesting import Nesting
from strangler.core.compare.redaction.redact import Redactor
from strangler.core.privacy.secrets import MARK
from strangler.recordings.in_place.edits import marks_set


def is_left_in_json(text: str, kind: Body, redactor: Redactor) -> bool:
    """Return True if JSON does not parse, or has a secret."""
    parsed = parse_json(text) if kind is Body.JSON else parse_ndjson(text)
    if not isinstance(parsed, Json):
        return True
    tree = parsed.tree
    return marks_set(lambda at: redactor.tree_at(tree, at), len(text)) > 0


def is_left_in_form(text: str, redactor: Redactor) -> bool:
    """Return True if a form has a secret."""
    fields = parse_form(text.encode("utf-8", "surrogatepass"))
    tree: dict[str, Node] = {name: value for name, value in fields.items() if not _is_marked(value)}
    return marks_set(lambda at: redactor.tree_at(tree, at), len(text)) > 0


def is_left_in_markup(text: str, redactor: Redactor, *, is_html: bool) -> bool:
    """Return True if markup does not parse, or has a secret."""
    results: list[str | None] = []

    def redact(at: Nesting) -> None:
        results.append(redact_markup(text, redactor, at, is_html=is_html))

    return marks_set(redact, len(text)) > 0 or results == [None]


def _is_marked(value: Node) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and MARK.fullmatch(each) for each in value)
