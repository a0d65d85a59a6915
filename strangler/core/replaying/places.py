"""Places of a response: the values that a client may send back, each with the place where the server has put it.

The same place of two responses to one request has values that mean the same: a cookie by its name, a segment of
Location by the word before it, a JSON member by its path, a hidden field by its form. Work is bounded for each
response: a body beyond `MAX_BODY_BYTES` is not read, and values beyond `MAX_VALUES` are not found.
"""

from strangler.core.compare.bodies import Content, content_of
from strangler.core.compare.codings import undo_codings
from strangler.core.compare.model.media import Body
from strangler.core.compare.model.tree import Json, parse_json, parse_ndjson
from strangler.core.compare.model.values import Reason, Response
from strangler.core.http.cookies import split_set_cookie
from strangler.core.privacy.secrets import is_secret_name
from strangler.core.replaying.found_values import FoundValues, Place, add_tree
from strangler.core.replaying.page_places import add_page
from strangler.core.replaying.spots import Use

MAX_BODY_BYTES = 1024 * 1024

_VALIDATORS = frozenset({"etag", "last-modified"})


def content_within(response: Response) -> Content | None:
    """Return the content of a response; None if there is none, or one that is too long or cannot be decoded."""
    body = undo_codings(response.body, response.field_values(b"content-encoding"), MAX_BODY_BYTES)
    return None if isinstance(body, Reason) or not body else content_of(response, body)


def add_headers(response: Response, found: FoundValues) -> None:
    """Add the values of cookies, of URLs in fields, and of fields that are sent back."""
    for raw_name, raw_value in response.headers:
        name = raw_name.decode("latin-1").lower()
        if name == "set-cookie":
            cookie, value, _ = split_set_cookie(raw_value)
            text = _text(cookie)
            found.add(Place(f"cookie:{text}"), _text(value).strip('"'), ((Use.COOKIE, text),))
        elif name in ("location", "content-location"):
            found.add_url(Place(f"header:{name}"), _text(raw_value.strip()))
        elif name in _VALIDATORS or _is_sent_back(name):
            found.add_next(f"header:{name}", _text(raw_value.strip()), ((Use.HEADER, name),))


def _is_sent_back(name: str) -> bool:
    """Return True for a field whose value a client may send back: a secret by its name, a CSRF token, an id."""
    return is_secret_name(name) or "csrf" in name or "xsrf" in name or name.endswith(("-id", "-nonce"))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def add_content(content: Content, found: FoundValues) -> None:
    """Add the values of a page or of JSON."""
    if content.kind is Body.BINARY and not content.looks_like_json:
        return
    text = content.text
    if text is None:
        return
    if content.kind is Body.HTML and not content.looks_like_json:
        add_page(text, found)
        return
    if content.kind is Body.NDJSON:
        parsed = parse_ndjson(text)
    elif content.kind is Body.JSON or content.looks_like_json:
        parsed = parse_json(text)
    else:
        return
    if isinstance(parsed, Json):
        add_tree(parsed.tree, "$", found)
