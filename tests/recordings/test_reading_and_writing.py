"""A recording in a file: what is whole is read, the rest is counted, and nothing half is left."""

import gzip
import os
import random
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strangler.recordings.lines import BadReason
from strangler.recordings.recorded import MAX_LINE_BYTES, Header, RecordedPair
from strangler.recordings.recording_reader import BadLine, RecordingError, open_recording
from strangler.recordings.recording_writer import FRAME_BYTES, RecordingWriter
from tests.recordings.made import HEADER, pair, read, written

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SOME = [pair(b"/orders/%d" % number, body=b"\xff" * number, at=float(number)) for number in range(20)]


def text_of(pairs: list[RecordedPair], header: Header = HEADER) -> bytes:
    return b"".join(msgspec.json.encode(each) + b"\n" for each in (header, *pairs))


def test_pairs_come_back_with_their_header(tmp_path: Path) -> None:
    path = written(tmp_path / "a.rec", SOME)
    assert read(path) == (SOME, [])
    with open_recording(path) as recording:
        assert recording.header == HEADER
    assert path.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstd"])
def test_the_same_lines_are_read_in_any_packing(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.rec"
    path.write_bytes(pack(text_of(SOME)))
    assert read(path) == (SOME, [])


def test_a_file_has_many_frames(tmp_path: Path) -> None:
    many = [pair(response=b"%06d" % number + os.urandom(50_000).hex().encode()) for number in range(90)]
    path = written(tmp_path / "a.rec", many)
    frames = path.read_bytes().count(b"\x28\xb5\x2f\xfd")
    assert frames >= 90 * 100_000 // FRAME_BYTES
    assert read(path) == (many, [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_what_stands_before_a_cut_is_read(tmp_path: Path, data: st.DataObject) -> None:
    packs: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, zstd.compress]
    pack = data.draw(st.sampled_from(packs))
    whole = pack(text_of(SOME))
    path = tmp_path / "cut.rec"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        pairs, bad = read(path)
    except RecordingError:  # cut within the header
        pairs, bad = [], [(1, BadLine(BadReason.CUT))]
    assert pairs == SOME[: len(pairs)]
    assert len(bad) <= 1
    assert pack is bytes or bad


@pytest.mark.parametrize("frame", [1, 2])
@pytest.mark.parametrize("at", [5, -3], ids=["within", "at the checksum"])
def test_behind_a_damaged_frame_reading_goes_on(tmp_path: Path, frame: int, at: int) -> None:
    thirds = [text_of(SOME[:6]), text_of(SOME[6:12]).partition(b"\n")[2], text_of(SOME[12:]).partition(b"\n")[2]]
    options: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1}
    frames = [bytearray(zstd.compress(each, options=options)) for each in thirds]
    damaged = frames[frame]
    place = at % len(damaged)
    damaged[place] ^= 0xFF
    path = tmp_path / "a.rec"
    path.write_bytes(b"".join(frames))
    pairs, bad = read(path)
    assert [item.reason for _, item in bad][:1] == [BadReason.DAMAGED]
    kept = [each for number, each in enumerate(SOME) if number // 6 != frame and not (frame == 2 and number >= 12)]
    assert [each for each in pairs if each in kept] == kept


def test_bytes_between_frames_are_passed_over(tmp_path: Path) -> None:
    first, second = zstd.compress(text_of(SOME[:6])), zstd.compress(text_of(SOME[6:]).partition(b"\n")[2])
    path = tmp_path / "a.rec"
    path.write_bytes(first + os.urandom(700_000).replace(b"\x28\xb5", b"xx") + second)
    pairs, bad = read(path)
    assert pairs == SOME
    assert [item.reason for _, item in bad] == [BadReason.DAMAGED]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", BadReason.NOT_JSON),
        (b"\xff\xfe", BadReason.NOT_JSON),
        (b'{"at": ' + b"[" * 100_000, BadReason.NOT_A_PAIR),
        (b"{}", BadReason.NOT_A_PAIR),
        (b"[]", BadReason.NOT_A_PAIR),
        (msgspec.json.encode(pair()).replace(b'"status":200', b'"status":20'), BadReason.NOT_A_PAIR),
        (msgspec.json.encode(msgspec.structs.replace(pair(), at=1e300)), BadReason.NOT_A_PAIR),
        (msgspec.json.encode(pair(b"\xff")).replace(b"/w==", b"/w="), BadReason.NOT_A_PAIR),
        (msgspec.json.encode(pair()).replace(b"/orders", b"\\ud800"), BadReason.NOT_JSON),
    ],
)
def test_a_bad_line_is_named_and_passed_over(tmp_path: Path, line: bytes, reason: BadReason) -> None:
    path = tmp_path / "a.rec"
    path.write_bytes(text_of(SOME[:1]) + line + b"\n\n" + msgspec.json.encode(SOME[1]))
    pairs, bad = read(path)
    assert pairs == SOME[:2]
    assert [(number, item.reason) for number, item in bad] == [(3, reason)]


_LONG = """
import resource, sys
from pathlib import Path
from tests.recordings.made import read
path = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pairs, bad = read(path)
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(len(pairs), [(number, str(item.reason)) for number, item in bad], used // 1024)
"""


def test_a_line_of_a_gigabyte_takes_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    packer = zstd.ZstdCompressor(level=1)
    with path.open("wb") as file:
        file.write(packer.compress(text_of(SOME[:1]) + b'{"at": "'))
        for _ in range(1024):
            file.write(packer.compress(b"x" * (1 << 20)))
        file.write(packer.compress(b'"}\n' + msgspec.json.encode(SOME[1]), zstd.ZstdCompressor.FLUSH_FRAME))
    done = subprocess.run([sys.executable, "-c", _LONG, path], capture_output=True, text=True, check=True, timeout=120)
    count, rest = done.stdout.split(" ", 1)
    bad, used_mib = rest.rsplit(" ", 1)
    assert (count, bad) == ("2", f"[(3, '{BadReason.TOO_LONG}')]")
    assert int(used_mib) < 3 * (MAX_LINE_BYTES >> 20)


_SUMMARY_OF = """
import resource, sys
from pathlib import Path
from strangler.recordings.recording_reader import open_recording
from strangler.recordings.summary import CountsState
from strangler.recordings.recorded import RecordedPair
counts = CountsState()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open_recording(Path(sys.argv[1])) as recording:
    for _, item in recording:
        assert isinstance(item, RecordedPair)
        counts.count(item)
print(counts.pairs, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_recording_of_300_mb_takes_constant_memory(tmp_path: Path) -> None:
    """The text is read frame by frame; a reader that kept pairs, or the text, would need as much as these."""
    path = tmp_path / "a.rec"
    single = written(tmp_path / "single.rec", [pair(body=bytes([65 + number]) * 100_000) for number in range(40)])
    header, pairs = _frames(single.read_bytes())
    path.write_bytes(header + pairs * 75)
    done = subprocess.run(
        [sys.executable, "-c", _SUMMARY_OF, path], capture_output=True, text=True, check=True, timeout=120
    )
    count, used_mib = map(int, done.stdout.split())
    assert count == 40 * 75
    assert used_mib < 64


def _frames(data: bytes) -> tuple[bytes, bytes]:
    """Return the frame of the header, and the others."""
    header = zstd.ZstdDecompressor()
    header.decompress(data)
    return data[: -len(header.unused_data)], header.unused_data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n", "is no recording"),
        (b'{"log": {}}\n', "is no recording"),
        (b'{"recording": "1"}\n', "is no recording"),
        (b'{"recording": true}\n', "is no recording"),
        (zstd.compress(b"GET / HTTP/1.1\n"), "is no recording"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 50, "is no recording"),
        (b'{"recording": 2, "new": []}\n', "version 2; this Strangler reads version 1"),
        (b'{"recording": 1}\n', ":1: the recording's header cannot be read"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.rec"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=message):
        open_recording(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        open_recording(tmp_path / "a.rec")
    with pytest.raises(RecordingError, match="Is a directory"):
        open_recording(tmp_path)


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = written(tmp_path / "a.rec", SOME)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["a.rec"]


def test_a_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = written(tmp_path / "a.rec", SOME)
    with pytest.raises(RecordingError, match="exists: name another file, or replace it with --force"):
        RecordingWriter(path, HEADER)
    assert read(written(path, SOME[:1], force=True))[0] == SOME[:1]


def test_a_file_that_comes_into_being_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    writer = RecordingWriter(path, HEADER)
    path.write_text("mine")
    with pytest.raises(RecordingError, match="exists"):
        writer.close()
    assert path.read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["a.rec"]


def test_two_do_not_write_one_recording(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "a.rec", HEADER)
    with pytest.raises(RecordingError, match="is being written by another process"):
        RecordingWriter(tmp_path / "a.rec", HEADER)
    writer.close()
    assert read(tmp_path / "a.rec") == ([], [])


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.rec.part").write_bytes(b"x" * 10_000)
    assert read(written(tmp_path / "a.rec", SOME))[0] == SOME


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("mine")
    (tmp_path / "a.rec.part").symlink_to(tmp_path / "other")
    with pytest.raises(RecordingError, match="cannot be written"):
        RecordingWriter(tmp_path / "a.rec", HEADER)
    assert (tmp_path / "other").read_text() == "mine"


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    def failing() -> Iterator[RecordedPair]:
        yield SOME[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        written(tmp_path / "a.rec", failing())
    assert list(tmp_path.iterdir()) == []


def test_a_pair_that_no_reader_would_take_is_refused(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "a.rec", HEADER) as writer:
        assert not writer.write(pair(body=b"x" * MAX_LINE_BYTES))
        assert writer.write(SOME[0])
    assert read(tmp_path / "a.rec") == (SOME[:1], [])


_FULL = """
import os, resource, signal, sys
from pathlib import Path
from strangler.recordings.recording_reader import RecordingError
from tests.recordings.made import pair, written
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    written(Path(sys.argv[1]), (pair(body=os.urandom(100_000)) for _ in range(100)), force=True)
except RecordingError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.rec", SOME)
    done = subprocess.run([sys.executable, "-c", _FULL, path], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"{path} cannot be written: File too large; nothing was kept of it\n"
    assert read(path)[0] == SOME
    assert [each.name for each in tmp_path.iterdir()] == ["a.rec"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file or directory"):
        RecordingWriter(tmp_path / "none" / "a.rec", HEADER)


@pytest.fixture
def small_disk() -> Iterator[Callable[[int], None]]:
    """Make the disk full for files beyond a size, until the test ends or the size is -1."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, former if size < 0 else (size, former[1]))

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        yield limit
    finally:
        limit(-1)
        signal.signal(signal.SIGXFSZ, handler)


def noise_of(number: int) -> RecordedPair:
    """Return a pair that no compression makes small."""
    return pair(b"/%d" % number, response=random.Random(number).randbytes(200_000))


def test_what_is_whole_stays_when_the_disk_is_full_where_that_is_wanted(
    tmp_path: Path, small_disk: Callable[[int], None]
) -> None:
    path = tmp_path / "a.rec"
    writer = RecordingWriter(path, HEADER, keeps=True)
    small_disk(8_000_000)
    with pytest.raises(RecordingError) as caught:
        any(not writer.write(noise_of(number)) for number in range(100))
    small_disk(-1)
    pairs, bad = read(path)
    assert bad == []
    assert f"pairs 1 to {len(pairs)} of " in str(caught.value)
    assert pairs == [noise_of(number) for number in range(len(pairs))]
    assert len(pairs) > 10
    assert list(tmp_path.iterdir()) == [path]


def test_a_frame_that_was_ended_stays(tmp_path: Path, small_disk: Callable[[int], None]) -> None:
    path = tmp_path / "a.rec"
    writer = RecordingWriter(path, HEADER, keeps=True)
    writer.write(noise_of(1))
    writer.end_frame()
    small_disk(300_000)
    with pytest.raises(RecordingError, match="pairs 1 to 1 of 2 are in"):
        writer.write(noise_of(2))
    small_disk(-1)
    assert read(path) == ([noise_of(1)], [])


def test_a_recording_whose_name_was_taken_meanwhile_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    writer = RecordingWriter(path, HEADER, keeps=True)
    writer.write(pair())
    path.write_text("mine")
    with pytest.raises(RecordingError, match=r"there is such a file by now; pairs 1 to 1 of 1 are in .*a\.rec\.part"):
        writer.close()
    assert path.read_text() == "mine"
    assert read(tmp_path / "a.rec.part") == ([pair()], [])


def test_an_error_leaves_what_was_written_where_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    with suppress(ZeroDivisionError), RecordingWriter(path, HEADER, keeps=True) as writer:
        writer.write(pair())
        raise ZeroDivisionError
    assert read(path) == ([pair()], [])
