"""Text from outside in plain form, so that it cannot control the reader's terminal or page."""

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""C0 and C1 controls but tab and line feed, separators, and marks that change the direction of what follows."""

_BREAKS = re.compile(r"[\t\n]+")


def plain(text: str) -> str:
    """Return the text with a symbol in place of each control character: `␛` for ESC, `�` for those without one."""
    return CONTROL.sub(_sign, text)


def plain_line(text: str) -> str:
    """Return the text in plain form, as one line."""
    return plain(_BREAKS.sub(" ", text))


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code == 0x7F:
        return "\u2421"
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"
