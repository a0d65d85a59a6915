"""The guards in front of all routes: what Envoy could read otherwise than our own engine goes to legacy.

Envoy matches paths as they came. A path is clean if its raw form has one meaning only (docs/paths.md), and if a route's
expression for it finds every way in which it may be written. All others are legacy's, which is more than our own engine
sends there, and never less.
"""

from typing import Final

from strangler.core.routing.path import LONGEST_UNUSUAL

_HEX: Final = "[0-9A-Fa-f]"
_TAIL: Final = f"%[89ABab]{_HEX}"
_PLAIN: Final = r"[!\"$&-\-0-:<->@-\[\]-~]"
"""Visible characters, but for `. / ; \\ % ? #`."""

_ESCAPES: Final = "%(?:2[0-46-9A-Ca-c]|3[ACDEFacdef]|40|5[BDEbde]|60|7[B-Db-d])"
"""Encodings of a blank and of the visible characters that may have to be encoded, but for those that have a meaning."""

_UTF8: Final = "|".join(
    [
        f"%(?:[Cc][2-9A-Fa-f]|[Dd]{_HEX}){_TAIL}",
        f"%[Ee]0%[ABab]{_HEX}{_TAIL}",
        f"%[Ee][1-9A-Ca-cEFef]{_TAIL}{_TAIL}",
        f"%[Ee][Dd]%[89]{_HEX}{_TAIL}",
        f"%[Ff]0%(?:9{_HEX}|[ABab]{_HEX}){_TAIL}{_TAIL}",
        f"%[Ff][1-3]{_TAIL}{_TAIL}{_TAIL}",
        f"%[Ff]4%8{_HEX}{_TAIL}{_TAIL}",
    ]
)
"""Well-formed UTF-8 beyond ASCII (RFC 3629 section 4), percent-encoded."""

_UNIT: Final = f"(?:{_PLAIN}|{_ESCAPES}|{_UTF8})"
_SEGMENT: Final = rf"(?:\.?{_UNIT}|\.\.(?:{_UNIT}|\.))(?:{_UNIT}|\.)*"
"""A segment that is neither empty nor `.` nor `..`."""

CLEAN: Final = rf"(?:/{_SEGMENT})*/?(?:\?.*)?"
"""Targets whose path is clean; all of a target has to match."""

LONG: Final = "[^?]{1000}" * (LONGEST_UNUSUAL // 1000) + f"[^?]{{{LONGEST_UNUSUAL % 1000 + 1},}}.*"
"""Targets whose path is so long that our own engine looks into it no further, unless it has plain characters only."""

_ODD_NAME: Final = "(?:.*&)?[^=&]*[%+].*"
_BAD_ENCODING: Final = f".*%(?:[^0-9A-Fa-f].*|{_HEX}(?:[^0-9A-Fa-f].*)?)?"
ODD_QUERY: Final = rf"[^?]*\?(?:{_ODD_NAME}|{_BAD_ENCODING})"
"""Targets with an encoded name in their query, or a bad encoding. Envoy does not decode either."""
