"""docs/http-cases.md is what the tables of raw cases say, and names every case of theirs."""

import re
from pathlib import Path

import pytest

from tests.http1 import envoy_cases
from tests.http1.http_cases import TABLES, page
from tests.http1.raw import Case

_PAGE = Path(__file__).parents[2] / "docs" / "http-cases.md"


def test_the_page_is_fresh() -> None:
    """If this fails: `python -m tests.http1.http_cases docs`."""
    assert _PAGE.read_text() == page()


@pytest.mark.parametrize(("cases", "envoy"), envoy_cases.TABLES, ids=["requests", "responses", "framing"])
def test_every_compared_case_is_on_the_page_with_what_envoy_does(cases: list[Case], envoy: dict[str, str]) -> None:
    visible = [case.id for table in TABLES if table.envoy is envoy for case in table.cases]
    assert sorted(visible) == sorted(case.id for case in cases)
    assert envoy.keys() <= {case.id for case in cases}


def test_each_row_has_six_cells() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| ")]
    assert len(rows) > 500
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
