"""The segments of a template, a value that splits its path (`?action=list`) among them."""

import re

HOLE = "{}"
REST = "{...}"
"""The rest of a path, of any depth."""
MAX_TEMPLATE = 512
"""The longest template that is counted, in characters; the rest of a longer one is `{...}`."""
_PARAMETER = re.compile(r"[?&#][^?&#]*")


def split_segments(template: str) -> list[str]:
    """Return the segments of a template: `/a/b?action=list` -> `["a", "b", "?action=list"]`."""
    path, parameters = template, []
    if "?" in template or "#" in template:
        path = re.split(r"[?#]", template, maxsplit=1)[0]
        parameters = _PARAMETER.findall(template[len(path) :])
    return [*path.removeprefix("/").split("/"), *parameters]


def joined_segments(segments: list[str]) -> str:
    """Return the template of segments, as `split_segments` reads it."""
    count = next((at for at, text in enumerate(segments) if text[:1] in ("?", "&", "#") and text), len(segments))
    path = "/".join(segments[:count])
    return ("*" if path == "*" else "/" + path) + "".join(segments[count:])


def cut_short(template: str) -> str:
    """Return a template that is longer than `MAX_TEMPLATE` with `{...}` for the segments that are too many."""
    return template[: template.rfind("/", 0, MAX_TEMPLATE - len(REST)) + 1] + REST
