"""routes.yaml as the page shows it: line by line, problems at their lines, secrets left out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from strangler.core.privacy.secrets import is_secret_name

_ASSIGNED = re.compile(r"""([\w-]+)(["']?\s*:\s+)(?![{\[])("[^"]*"|'[^']*'|[^\s,}\]#]+)""")
_HIDDEN = "••••"


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    problems: tuple[str, ...]


def of_file(problems: Sequence[str], path: Path) -> list[str]:
    """Return the problems of one file. `problems`: as `strangler check` prints them."""
    return [problem for problem in problems if problem.startswith(f"{path}:")]


def lines(text: str, problems: Sequence[str], token: str | None) -> list[Line]:
    """Return the lines with their problems, as `strangler check` prints them; problems without a line are left out."""
    by_line: dict[int, list[str]] = {}
    for problem in problems:
        found = re.match(r".*?:(\d+):(\d+): (.*)", problem)
        if found is not None:
            by_line.setdefault(int(found[1]), []).append(found[3])
    return [
        Line(_without_secrets(line, token), tuple(by_line.get(number, ())))
        for number, line in enumerate(text.splitlines(), 1)
    ]


def _without_secrets(line: str, token: str | None) -> str:
    """Return the line without secrets: values with a secret's name, and the token anywhere. Variables stay."""

    def hide(found: re.Match[str]) -> str:
        name, between, value = found.groups()
        if not is_secret_name(name) or value.strip("\"'").startswith("${"):
            return found[0]
        return f"{name}{between}{_HIDDEN}"

    hidden = _ASSIGNED.sub(hide, line)
    return hidden.replace(token, _HIDDEN) if token else hidden
