"""The journal, the key, the ids, the request that goes out, and how a difference is told."""

import re
import stat
from pathlib import Path

import pytest
from msgspec import structs

from strangler.comparing.arm_request import origin_form, outgoing
from strangler.control.shadow.key import redaction_key
from strangler.core.documents import ComparedDifference
from strangler.core.routing.rewrite import Rewrite
from strangler.core.settings import HeaderEdits, Url
from strangler.state.files import JOURNAL, MAX_OLD_JOURNALS
from strangler.store.evidence.journal import Journal
from strangler.store.evidence.side_by_side import value_text
from strangler.store.evidence.ulid import ulid
from tests.factories import upstream
from tests.store.evidence.pairs import NOON, captured


class TestJournal:
    def test_lines_are_appended_and_only_their_owner_reads_them(self, tmp_path: Path) -> None:
        Journal(tmp_path).append([b"1\n", b"2\n"])
        Journal(tmp_path).append([b"3\n"])
        file = tmp_path / JOURNAL
        assert file.read_bytes() == b"1\n2\n3\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_nothing_makes_no_file(self, tmp_path: Path) -> None:
        Journal(tmp_path).append([])
        assert list(tmp_path.iterdir()) == []

    def test_it_is_rotated_by_size_and_the_oldest_goes(self, tmp_path: Path) -> None:
        kept = Journal(tmp_path, max_bytes=4)
        for number in range(10):
            kept.append([b"%d--\n" % number])
        assert {path.name: path.read_bytes()[:1] for path in tmp_path.iterdir()} == {
            JOURNAL: b"9",
            **{f"{JOURNAL}.{place}": b"%d" % (9 - place) for place in range(1, MAX_OLD_JOURNALS + 1)},
        }

    def test_a_folder_that_is_gone_raises(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="No such file"):
            Journal(tmp_path / "gone").append([b"1\n"])


class TestKey:
    def test_it_is_made_once_and_kept(self, tmp_path: Path) -> None:
        key = redaction_key(tmp_path)
        assert len(key) == 32
        assert redaction_key(tmp_path) == key
        assert [path.name for path in tmp_path.iterdir()] == ["redaction.key"]

    def test_its_mode_is_put_right(self, tmp_path: Path) -> None:
        redaction_key(tmp_path)
        (tmp_path / "redaction.key").chmod(0o644)
        redaction_key(tmp_path)
        assert stat.S_IMODE((tmp_path / "redaction.key").stat().st_mode) == 0o600

    def test_half_a_key_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "redaction.key").write_bytes(b"short")
        assert len(redaction_key(tmp_path)) == 32

    def test_a_folder_that_takes_no_file_raises(self) -> None:
        with pytest.raises(OSError, match="redaction"):
            redaction_key(Path("/proc"))  # not even root may make one there


def test_ids_sort_by_time_and_differ() -> None:
    ids = [ulid(NOON + number / 1000) for number in range(100)]
    assert ids == sorted(ids)
    assert len({ulid(NOON) for _ in range(100)}) == 100
    assert all(re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", item) for item in ids)


class TestOutgoing:
    @pytest.mark.parametrize(
        ("target", "expected"),
        [(b"/a?b", b"/a?b"), (b"http://shop/a?b", b"/a?b"), (b"HTTPS://shop:1?b", b"/?b"), (b"//a", b"//a")],
    )
    def test_targets_are_in_origin_form(self, target: bytes, expected: bytes) -> None:
        assert origin_form(target) == expected

    def test_framing_and_marks_are_its_own(self) -> None:
        lines = (
            b"Host: shop\r\nContent-Length: 3\r\nExpect: 100-continue\r\nX-Strangler-Shadow: 1\r\nX-A: 1\r\nx-a: 2\r\n"
        )
        made = outgoing(captured(lines=lines), upstream("orders"), _url(), None, is_dry_run=False)
        assert made.headers == (
            (b"Host", b"shop"),
            (b"Content-Length", b"3"),
            (b"X-A", b"1"),
            (b"x-a", b"2"),
            (b"X-Strangler-Shadow", b"1"),
            (b"Connection", b"close"),
        )

    def test_a_dry_run_says_so(self) -> None:
        made = outgoing(captured(), upstream("orders"), _url(), None, is_dry_run=True)
        assert made.headers[-2:] == ((b"X-Strangler-Shadow", b"dry-run"), (b"Connection", b"close"))

    def test_the_upstreams_edits_and_host_are_applied(self) -> None:
        to = upstream("orders", host="upstream", headers=HeaderEdits((("X-A", "new"),), ("x-b",)))
        made = outgoing(captured(lines=b"X-a: old\r\nX-B: gone\r\nX-C: 1\r\n"), to, _url(), None, is_dry_run=False)
        assert made.headers[:-2] == ((b"Host", b"orders:8001"), (b"X-C", b"1"), (b"X-A", b"new"))

    def test_paths_are_rewritten_under_the_base_of_the_url(self) -> None:
        rewrite = Rewrite.between("/api/orders", "/v2")
        made = outgoing(captured(b"/api/orders/7%2f?x="), upstream("orders"), _url("/base"), rewrite, is_dry_run=False)
        assert made.target == b"/base/v2/7%2f?x="

    @pytest.mark.parametrize(
        ("is_from_trusted", "prefix"),
        [(False, b"/api/orders"), (True, b"/shop/api/orders")],
        ids=["a client", "a proxy"],
    )
    def test_the_public_prefix_is_told_where_a_worker_tells_it(self, is_from_trusted: bool, prefix: bytes) -> None:
        lines = b"X-Forwarded-Prefix: /shop/\r\nX-C: 1\r\nVia: 1.1 strangler\r\nX-Request-Id: 7\r\n"
        request = structs.replace(captured(b"/api/orders/7", lines=lines), is_from_trusted=is_from_trusted)
        rewrite = Rewrite.between("/api/orders", "/v2")
        made = outgoing(request, upstream("orders"), _url(), rewrite, is_dry_run=False)
        names = [name for name, _ in made.headers]
        assert names[:4] == [b"X-C", b"Via", b"X-Forwarded-Prefix", b"X-Request-Id"]
        assert dict(made.headers)[b"X-Forwarded-Prefix"] == prefix
        twice = structs.replace(request, lines=b"X-Forwarded-Prefix: /eu\r\n" + lines)
        joined = outgoing(twice, upstream("orders"), _url(), rewrite, is_dry_run=False)
        assert dict(joined.headers)[b"X-Forwarded-Prefix"] == (b"/eu, " + prefix if is_from_trusted else prefix)
        kept = outgoing(request, upstream("legacy"), _url(), None, is_dry_run=False)
        assert (b"X-Forwarded-Prefix", b"/shop/") in kept.headers


def _url(path: str = "") -> Url:
    return Url("http", "orders", 8001, path)


@pytest.mark.parametrize(
    ("kind", "legacy", "candidate"),
    [
        pytest.param("missing", "null", "(nothing)", id="the candidate lacks it"),
        pytest.param("extra", "(nothing)", "null", id="legacy lacks it"),
        pytest.param("value", "null", "null", id="both have it"),
    ],
)
def test_what_an_arm_lacks_does_not_look_like_null(kind: str, legacy: str, candidate: str) -> None:
    difference = ComparedDifference("body", "$.price", kind, "breaking", None, None)
    assert value_text(difference, "legacy") == legacy
    assert value_text(difference, "candidate") == candidate
