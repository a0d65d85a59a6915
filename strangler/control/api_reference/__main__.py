"""Writes the API reference into the docs: `python -m strangler.control.api_reference docs`.

Only the text between the two marks of docs/api.md is generated, from the documents and the table of operations. A test
checks that it is current.
"""

import sys
from pathlib import Path

from strangler.control.api_reference.page import filled


def main(docs: Path) -> None:
    page = docs / "api.md"
    page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
