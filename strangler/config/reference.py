"""Write the reference of routes.yaml into the docs: `python -m strangler.config.reference docs`.

docs/configuration.md keeps its own text; the tables between its two marks are made from the models, and so is
docs/routes.schema.json. A test fails if either is out of date.
"""

import json
import sys
from pathlib import Path

from strangler.config.describe import Key, keys
from strangler.config.json_schema import json_schema

START = "<!-- keys: made by `python -m strangler.config.reference docs` -->"
END = "<!-- end of keys -->"
_HEAD = "| key | type | default | meaning | example |\n|---|---|---|---|---|\n"


def tables() -> str:
    """Return all keys, in a table for each part of the file."""
    parts: dict[str, list[Key]] = {}
    for key in keys():
        parts.setdefault(_title(key), []).append(key)
    return "\n".join(_table(title, rows) for title, rows in parts.items())


def _title(key: Key) -> str:
    steps = key.path.split(".")
    if steps[0] == "upstreams":
        return "`upstreams`"
    if steps[0] != "routes[]":
        return "The file"
    return f"`routes[].{steps[1]}`" if len(steps) > 1 and steps[1] in _BIG else "`routes`"


_BIG = frozenset({"match", "split", "rollout", "shadow", "compare", "gate"})


def _table(title: str, rows: list[Key]) -> str:
    return f"### {title}\n\n{_HEAD}{''.join(map(_row, rows))}"


def _row(key: Key) -> str:
    default = "required" if key.default is None else key.default
    cells = (f"`{key.path}`", key.type, default, key.meaning, f"`{key.example}`")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def filled(page: str) -> str:
    """Return a page with new tables between its marks."""
    before, _, rest = page.partition(START)
    return f"{before}{START}\n\n{tables()}\n{END}{rest.partition(END)[2]}"


def schema_text() -> str:
    """Return the content of docs/routes.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def main(docs: Path) -> None:
    page = docs / "configuration.md"
    page.write_text(filled(page.read_text()))
    (docs / "routes.schema.json").write_text(schema_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
