"""The lines that the benchmark of imports makes are those of their formats."""

import io

import pytest

from benchmarks.imports import FIELDS, FORMATS, made, summed
from strangler.imports.log_reading import CallsState
from strangler.imports.recognise import read
from strangler.imports.source_bytes import SourceState
from strangler.imports.values import ImportOptions


@pytest.mark.parametrize("name", FORMATS)
def test_made_lines_are_read(name: str) -> None:
    options = ImportOptions(FIELDS) if "--fields" in name else ImportOptions()
    reading = read(SourceState(io.BytesIO(made(FORMATS[name], 90)), name), options)
    assert isinstance(reading, CallsState)
    assert {call.path.split(b"/")[2] for call in reading} == {b"orders"}
    assert reading.summary.read == 90


def test_made_lines_are_summed_up_by_endpoint() -> None:
    found = summed(made(FORMATS["combined"], 90))
    assert {key[1] for key in found.sums} == {"/api/orders/{}/items"}
    assert sum(each.calls for each in found.sums.values()) == 90
