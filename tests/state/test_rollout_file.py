"""The percents of rollouts are kept in a file of their own, from which a proxy starts."""

from pathlib import Path

import pytest

from strangler.state.files import KEPT
from strangler.state.rollout_file import KeptPercent, percents, read, write


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read(tmp_path) == {}
    write(tmp_path, {"orders": KeptPercent(12.5, 3)})
    assert read(tmp_path) == {"orders": KeptPercent(12.5, 3)}
    assert percents(tmp_path) == {"orders": 12.5}
    assert "rollout.json" in KEPT  # of a backup


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"orders": 25}', b'{"orders": {"percent": "most"}}', b"\xff"])
def test_a_broken_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rollout.json").write_bytes(content)
    assert read(tmp_path) == {}
