"""The example of a row: one path as it was called, without what is secret or personal.

The worker makes it when it meets a first template for the first time, so that no other path leaves it.
"""

import re
from urllib.parse import unquote_to_bytes

from strangler.core.ledger.first_template import escaped, segment_template
from strangler.core.ledger.segments import HOLE
from strangler.core.ledger.value_forms import is_token
from strangler.core.ledger.well_known import ASSETS
from strangler.core.privacy.masked import ADDRESS
from strangler.core.privacy.secrets import formed_spans, is_secret_name

MASK = "*"
MAX_EXAMPLE = 200
"""The longest example, in characters."""
_MAX_READ = 2048
_SECRET_PARENTS = frozenset(
    ["reset", "confirm", "verify", "activate", "invite", "invites", "unsubscribe", "magic", "magic-link", "share", "s"]
)
_FILE = re.compile(r"(.+?)((?:\.[A-Za-z][A-Za-z0-9]{0,5}){0,2})", re.ASCII)


def example_of(path: bytes) -> str:
    """Return a path as an example: no query and no parameters, e-mail addresses as `*@*`, tokens as `*`."""
    segments = path[:_MAX_READ].partition(b"?")[0].partition(b"#")[0].split(b"/")
    masked, parent = list[str](), ""
    for raw in segments:
        text = unquote_to_bytes(raw.partition(b";")[0]).decode("utf-8", "replace")
        masked.append(MASK if _is_secret_below(text, parent) else escaped(_masked(text)))
        parent = text
    whole = "/".join(masked)
    return whole if len(whole) <= MAX_EXAMPLE else whole[: MAX_EXAMPLE - 1] + "…"


def _is_secret_below(text: str, parent: str) -> bool:
    """Return True for what follows a word such as `token`, unless it is a plain word."""
    is_place = is_secret_name(parent) or parent.lower() in _SECRET_PARENTS
    return is_place and bool(text) and not (text.isalpha() and text.islower() and len(text) < 12)


def _masked(text: str) -> str:
    file = _FILE.fullmatch(text)
    if file and file[2].rpartition(".")[2] in ASSETS:  # app-3f9ab21c.js: the hash of a build
        return segment_template(text).replace(HOLE, MASK)
    if is_token(text) or (file and is_token(file[1])):
        return MASK + (file[2] if file and not is_token(text) else "")
    pieces, done = list[str](), 0
    for start, end in formed_spans(text):
        pieces += [text[done:start], ADDRESS if "@" in text[start:end] else MASK]
        done = end
    return "".join([*pieces, text[done:]])
