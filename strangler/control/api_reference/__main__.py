"""Writes what the docs say about the API: `python -m strangler.control.api_reference docs`.

docs/api.md keeps its own text; what stands between its two marks is made from the documents and the table of
operations. A test holds it fresh.
"""

import sys
from pathlib import Path

from strangler.control.api_reference.page import filled


def main(docs: Path) -> None:
    page = docs / "api.md"
    page.write_text(filled(page.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
