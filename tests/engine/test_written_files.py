"""Files that Envoy follows: replaced whole or not at all, and for this user only."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from strangler.engine.written_files import put

TOO_LARGE = """
import resource, signal, sys
from pathlib import Path
from strangler.engine.written_files import put
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
put(Path(sys.argv[1]), "rds.json", b"x" * 8192)
"""


def test_a_file_is_replaced_by_a_rename(tmp_path: Path) -> None:
    put(tmp_path, "rds.json", b"first")
    with (tmp_path / "rds.json").open("rb") as former:
        put(tmp_path, "rds.json", b"second")
        assert former.read() == b"first"
    assert (tmp_path / "rds.json").read_bytes() == b"second"
    assert stat.S_IMODE(os.stat(tmp_path / "rds.json").st_mode) == 0o600
    assert os.listdir(tmp_path) == ["rds.json"]


def test_a_full_disk_leaves_the_former_file_and_no_rest(tmp_path: Path) -> None:
    put(tmp_path, "rds.json", b"former")
    done = subprocess.run([sys.executable, "-c", TOO_LARGE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert (tmp_path / "rds.json").read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["rds.json"]


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        put(tmp_path / "absent", "rds.json", b"")
