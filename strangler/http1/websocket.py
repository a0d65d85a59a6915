"""Just enough of RFC 6455 section 5.2 to know where one frame ends and the next may begin."""

CLOSE_GOING_AWAY = b"\x88\x02\x03\xe9"
"""A close frame with status 1001, as a server sends it."""

CLOSE_GOING_AWAY_MASKED = b"\x88\x82\x00\x00\x00\x00\x03\xe9"
"""The same frame as a client sends it: masked, with a mask of zeros."""


class FrameBoundary:
    """Follows the frames of one direction. Payloads are counted, never looked at."""

    __slots__ = ("_header", "_remaining")

    def __init__(self) -> None:
        self._header = b""
        self._remaining = 0

    @property
    def is_between_frames(self) -> bool:
        return not self._header and not self._remaining

    def feed(self, data: bytes) -> None:
        at = 0
        end = len(data)
        while at < end:
            if self._remaining:
                step = min(self._remaining, end - at)
                self._remaining -= step
                at += step
                continue
            self._header += data[at : at + 1]
            at += 1
            size = self._header_size()
            if size is not None and len(self._header) == size:
                self._remaining = self._payload_size()
                self._header = b""

    def _header_size(self) -> int | None:
        if len(self._header) < 2:
            return None
        second = self._header[1]
        length_bytes = {126: 2, 127: 8}.get(second & 0x7F, 0)
        return 2 + length_bytes + (4 if second & 0x80 else 0)

    def _payload_size(self) -> int:
        short = self._header[1] & 0x7F
        if short == 126:
            return int.from_bytes(self._header[2:4], "big")
        if short == 127:
            return int.from_bytes(self._header[2:10], "big")
        return short
