"""The benchmark's own arithmetic and output, without running it."""

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.load import is_complete, poisson
from benchmarks.peers import Cell

_LABELS = {"envoy": "Envoy", "textbook": "textbook aiohttp", "ours": "strangler"}
_CELLS = [
    Cell("envoy", "get", rate=20_000.0, p50_s=0.001, p99_s=0.004, cpu_s_per_request=40e-6, cpu_share=0.9),
    Cell("textbook", "get", rate=5_000.0, p50_s=0.006, p99_s=0.02, cpu_s_per_request=160e-6, cpu_share=0.9),
    Cell("ours", "get", rate=25_000.0, p50_s=0.001, p99_s=0.003, cpu_s_per_request=30e-6, cpu_share=0.8),
    Cell("ours", "idle", bytes_per_idle=4_400.0, pss_bytes=100_000_000),
]


def test_ratios_are_to_the_same_workload_of_the_named_proxy() -> None:
    table = report.markdown(_CELLS, _LABELS, {"time": "now", "cpu": "x", "kernel": "6", "python": "3.11"})
    [row] = [line for line in table.splitlines() if line.startswith("| strangler | 25,000")]
    columns = [column.strip() for column in row.strip("|").split("|")]
    assert columns[9:12] == ["0.75", "1.25", "5.00"]
    assert "| strangler | 4.40 | 100.0 |" in table


def test_figures_go_between_the_marks_of_the_page() -> None:
    page = "# Title\n<!-- figures -->\nold\n<!-- end of figures -->\nrest\n"
    once = report.with_figures(page, "new")
    assert once == "# Title\n<!-- figures -->\n\nnew\n<!-- end of figures -->\nrest\n"
    assert report.with_figures(once, "new") == once


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="figures"):
        report.with_figures("# Title\n", "new")


def test_the_page_in_docs_has_the_marks() -> None:
    page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    assert "new figures" in report.with_figures(page, "new figures")


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    report.draw(_CELLS, _LABELS, tmp_path / "peers.svg")
    assert "strangler" in (tmp_path / "peers.svg").read_text()


def test_moments_of_the_paced_load_are_the_same_each_time_and_make_the_rate() -> None:
    moments = poisson(1000.0, 2.0)
    assert moments == poisson(1000.0, 2.0) == sorted(moments)
    assert 1800 < len(moments) < 2200


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
    ],
)
def test_the_paced_load_knows_when_an_answer_is_whole(received: bytes, expected: bool) -> None:
    assert is_complete(bytearray(received)) == expected
