"""A file of the state folder is replaced as a whole, and is its owner's alone."""

import stat
from pathlib import Path

import pytest

from strangler.state.files import replace_file


def test_a_file_has_the_new_content_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        replace_file(tmp_path / "key", content)
        assert (tmp_path / "key").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_the_draft_of_one_that_was_killed_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "key.new").write_bytes(b"half")
    (tmp_path / "key.new").chmod(0o644)
    replace_file(tmp_path / "key", b"whole")
    assert (tmp_path / "key").read_bytes() == b"whole"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    replace_file(tmp_path / "key", b"first")
    (tmp_path / "key.new").mkdir()
    with pytest.raises(OSError, match=r"key\.new"):
        replace_file(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
