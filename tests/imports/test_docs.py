"""docs/ledger-imports.md shows what is so: the keys of `--fields`, and the limits."""

import re
from pathlib import Path

from strangler.imports.documents import MAX_DOCUMENT_BYTES, MAX_YAML_BYTES
from strangler.imports.har import MAX_HAR_BYTES
from strangler.imports.json_formats import FIELDS
from strangler.imports.log_reading import parsed_fields
from strangler.imports.source_bytes import MAX_LINE_BYTES

PAGE = (Path(__file__).parents[2] / "docs" / "ledger-imports.md").read_text()


def rows(header: str) -> list[list[str]]:
    """Return the cells of the table with this header."""
    body = PAGE.partition(header)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines() if line[:2] == "| "]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_keys_of_fields_are_those_on_the_page() -> None:
    assert [name for row in rows("| key | the field holds |") for name in quoted(row[0])] == list(FIELDS)


def test_the_example_of_fields_can_be_used() -> None:
    (example,) = re.findall(r"^--fields (\S+)$", PAGE, re.MULTILINE)
    assert set(parsed_fields(example)) == {"time", "method", "path", "status", "caller"}


def test_the_limits_are_those_on_the_page() -> None:
    values = [row[1].split(";")[0] for row in rows("| limit | value |")]
    assert values == [f"{MAX_LINE_BYTES >> 10} KiB", f"{MAX_HAR_BYTES >> 20} MiB", f"{MAX_DOCUMENT_BYTES >> 20} MiB"]
    assert f"as YAML {MAX_YAML_BYTES >> 20} MiB" in PAGE
