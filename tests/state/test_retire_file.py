"""When the `retire` of a route was first loaded is kept in a file of its own."""

from pathlib import Path

import pytest

from strangler.state.files import KEPT
from strangler.state.retire_file import read, write


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read(tmp_path) == {}
    write(tmp_path, {"orders": 1764492000})
    assert read(tmp_path) == {"orders": 1764492000}
    assert "retire.json" in KEPT  # of a backup


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"orders": "soon"}', b"\xff"])
def test_a_broken_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "retire.json").write_bytes(content)
    assert read(tmp_path) == {}
