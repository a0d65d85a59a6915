"""Documents as the commands print them with `--json`."""

import json

import msgspec


def json_text(document: msgspec.Struct | None) -> str:
    """Return a document on one line, as `json.dumps` writes it: keys in order, characters as they are."""
    return json.dumps(msgspec.to_builtins(document), ensure_ascii=False)
