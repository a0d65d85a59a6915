"""Replacing a file's content where no rename can be: in a mount namespace, by a process of its own."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from strangler.config.replace import ChangedMeanwhileError, NotWrittenError, replace_content
from tests.needs import require

_WRITE = """
import sys
from pathlib import Path
from strangler.config.replace import ChangedMeanwhileError, NotWrittenError, replace_content
path, before, after = Path(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode()
try:
    replace_content(path, before, after)
except (ChangedMeanwhileError, NotWrittenError) as error:
    print(type(error).__name__, error)
"""
_MOUNTED = 'mount --bind "$1" "$1"\n'
_LITTLE_ROOM = """
mount -t tmpfs -o size=8k tmpfs "$(dirname "$1")"
printf %s "$3" > "$1"
mount --bind "$1" "$1"
"""


def _write(path: Path, mounts: str, before: str, after: str, user: str = "") -> tuple[str, str]:
    """Return the output, and the content of the file, seen from inside."""
    can = os.geteuid() == 0 and all(which(program) for program in ("unshare", "setpriv", "mount"))
    require("" if can else "root, who may make a mount namespace, and unshare, setpriv, mount")
    run = f'{user} "$2" -c "$5" "$1" "$3" "$4"; echo; cat "$1"'
    script = ("sh", "-ec", mounts + run, "sh", str(path), sys.executable, before, after, _WRITE)
    found = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", *script],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    output, _, content = found.stdout.partition("\n")
    return output, content.removeprefix("\n")


@pytest.mark.parametrize("after", ["a longer text than it was\n", "short", ""], ids=["longer", "shorter", "empty"])
def test_a_file_that_is_mounted_by_itself_is_written_in_place(tmp_path: Path, after: str) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text("what it held\n")
    inode = path.stat().st_ino
    assert _write(path, _MOUNTED, "what it held\n", after) == ("", after)
    assert (path.read_text(), path.stat().st_ino) == (after, inode)
    assert [file.name for file in tmp_path.iterdir()] == ["routes.yaml"]


def test_what_somebody_else_wrote_meanwhile_stays_there_too(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text("another text\n")
    output, content = _write(path, _MOUNTED, "what was read\n", "new\n")
    assert output.startswith("ChangedMeanwhileError")
    assert content == "another text\n"


def test_a_disk_that_is_full_half_way_leaves_the_old_text(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    before = "what it held\n"
    output, content = _write(tmp_path / "folder" / "routes.yaml", _LITTLE_ROOM, before, "x" * 20_000)
    assert output == ("NotWrittenError its file system is full (No space left on device); free some space")
    assert content == before


@pytest.mark.parametrize("mode", [0o644, 0o666], ids=["of the file", "of the folder alone"])
def test_rights_that_are_missing_are_told_with_the_user_unless_the_file_can_be_written(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text("old\n")
    path.chmod(mode)
    output, content = _write(path, "", "old\n", "new\n", user="setpriv --bounding-set=-all --inh-caps=-all")
    # root without a capability is a user like others; the file is its own, the folder is not
    assert (output, content) == ("", "new\n")
    os.chown(path, 1000, 1000)
    os.chown(tmp_path, 1000, 1000)
    tmp_path.chmod(0o755)
    output, content = _write(path, "", "new\n", "newer\n", user="setpriv --bounding-set=-all --inh-caps=-all")
    if mode == 0o666:
        assert (output, content) == ("", "newer\n")
    else:
        assert output == (
            "NotWrittenError user 0 may not write it; change it where it comes from, or run this as a user who may"
        )
        assert content == "new\n"


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotWrittenError, match="No such file or directory; change it where it comes from"):
        replace_content(tmp_path / "routes.yaml", b"", b"new")


def test_in_a_folder_that_can_be_written_the_old_text_or_the_new_one_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text("old\n")
    with path.open() as reader:
        replace_content(path, b"old\n", b"new\n")
        assert reader.read() == "old\n"
    assert path.read_text() == "new\n"
    with pytest.raises(ChangedMeanwhileError):
        replace_content(path, b"old\n", b"newer\n")
