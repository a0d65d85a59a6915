"""`${VAR}` and `${VAR:-default}` in scalars, expanded after the YAML is read: a value can never become YAML."""

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<body>[^}]*)\}?")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-(?P<text>.*))?", re.DOTALL)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return the text with its variables filled in; `$${` is a literal `${`.

    Raises ValueError with two arguments: what is wrong, and the way out.
    """

    def fill(found: re.Match[str]) -> str:
        if found["body"] is None:
            return "${"
        return _value(found[0], found["body"], environ)

    return _VARIABLE.sub(fill, text)


def _value(written: str, body: str, environ: Mapping[str, str]) -> str:
    if not written.endswith("}"):
        raise ValueError(f"'{written[:40]}' has no closing brace", "write ${NAME}, or $${ for a literal ${")
    parsed = _BODY.fullmatch(body)
    if parsed is None:
        raise ValueError(
            f"'{written[:40]}' is not a variable", "write ${NAME} or ${NAME:-default}, or $${ for a literal ${"
        )
    name = parsed["name"]
    value = environ.get(name, "")
    if parsed["default"] is not None:
        return value or parsed["text"]
    if name not in environ:
        raise ValueError(
            f"the environment variable {name} is not set", f"set it, or write ${{{name}:-default}} with a default"
        )
    return value
