"""The table of all keys of routes.yaml, as Envoy keeps them: `python -m strangler.envoy.mapping docs`.

The table in docs/envoy.md is made of it, and so are the warnings of `strangler check` (`strangler.envoy.losses`). Tests
fail if a key is missing here, or if the page is out of date.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from strangler.envoy.mapping_row import Exactness, Row
from strangler.envoy.mapping_rows import FILE, ROUTES, UPSTREAMS

MAPPING: Final = (*FILE, *UPSTREAMS, *ROUTES)

START: Final = "<!-- mapping: made by `python -m strangler.envoy.mapping docs` -->"
END: Final = "<!-- end of mapping -->"
_HEAD: Final = "| key | in Envoy | kept | what happens instead |\n|---|---|---|---|\n"
_TITLES: Final = (("The file", FILE), ("`upstreams.NAME`", UPSTREAMS), ("`routes[]`", ROUTES))


def row_of(key: str) -> Row:
    """Return the row of a key. Raises LookupError if there is none, or more than one."""
    found = [row for row in MAPPING if row.covers(key)]
    if len(found) != 1:
        raise LookupError(f"{key}: {len(found)} rows")
    return found[0]


def tables() -> str:
    """Return all rows, in a table for each part of the file."""
    return "\n".join(f"### {title}\n\n{_HEAD}{''.join(map(_line, rows))}" for title, rows in _TITLES)


def _line(row: Row) -> str:
    cells = (", ".join(f"`{key}`" for key in row.keys), row.envoy, _KEPT[row.exactness], row.instead)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


_KEPT: Final = {Exactness.EXACT: "exactly", Exactness.NEARLY: "nearly", Exactness.NOT: "**not**"}


def filled(page: str) -> str:
    """Return a page with new tables between its marks."""
    before, _, rest = page.partition(START)
    return f"{before}{START}\n\n{tables()}\n{END}{rest.partition(END)[2]}"


def main(arguments: Sequence[str]) -> None:
    """Write the tables into the page in the folder that is named."""
    page = Path(arguments[0]) / "envoy.md"
    page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
