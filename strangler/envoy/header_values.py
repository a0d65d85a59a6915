"""Header fields that Envoy adds, and texts within its formats."""

from typing import Final

from strangler.envoy.resources import Resource

REPLACE: Final = "OVERWRITE_IF_EXISTS_OR_ADD"
"""The field has this value alone."""

APPEND: Final = "APPEND_IF_EXISTS_OR_ADD"
"""The field has this value besides those that it has."""


def header_value(name: str, value: str, action: str = REPLACE) -> Resource:
    """Return a field to add. `value` is a format, in which `%…%` stands for something of the request."""
    return {"header": {"key": name, "value": value}, "append_action": action}


def literal(text: str) -> str:
    """Return a text as a format that stands for itself: a percent sign begins a command there."""
    return text.replace("%", "%%")
