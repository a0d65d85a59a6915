"""Bytes that nearly are HTTP: cases of the corpus, cut, joined and damaged, and the pieces that they come in."""

from hypothesis import strategies as st

from tests.http1.corpus import CORPUS

_SHORT = [case.marked(1) for case in CORPUS if len(case.sent) < 1000]
SCRAPS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b"/", b"\\", b"%", b"%00", b"#",
    b"?", b"@", b"\x1b[",
    b"\x7f", b"\x80", b"\xff", b"0", b"5", b"f", b"-", b"GET ", b"HEAD ", b"POST ", b" HTTP/1.1", b" HTTP/1.0",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Host: a\r\n", b"Connection: close\r\n", b"Connection: Host, X\r\n",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"Expect: 100-continue\r\n", b"X: y\r\n", b" folded\r\n",
    b"0\r\n\r\n", b"5\r\nhello\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, whole: list[bytes]) -> bytes:
    """One to three of `whole`, one behind the other, with some damage."""
    data = b"".join(draw(st.lists(st.sampled_from(whole), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.sampled_from([0, 0, 1, 2, 10]))
        data = data[:at] + draw(st.sampled_from(SCRAPS)) + data[at + cut :]
    return data


REQUESTS = damaged(_SHORT) | st.binary(max_size=60) | st.lists(st.sampled_from(SCRAPS), max_size=12).map(b"".join)


@st.composite
def pieces(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> list[bytes]:
    """`data`, cut into up to six pieces."""
    whole = draw(data)
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    ends = [*cuts, len(whole)]
    return [whole[start:end] for start, end in zip([0, *cuts], ends, strict=True) if end > start]
