"""Requests to a running Envoy as raw bytes, many on one connection, and what came back."""

import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

_PATIENCE_S = 30.0
_BATCH = 64
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Response:
    """One response: its status, its fields with lower-case names, its body."""

    status: int
    fields: dict[str, str]
    body: bytes


def request(
    target: str, method: str = "GET", host: str = "shop.example", fields: Iterable[tuple[str, str]] = ()
) -> bytes:
    """Return a request as it is sent."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    length = "" if method in ("GET", "HEAD", "OPTIONS") else "Content-Length: 0\r\n"
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{length}{lines}\r\n".encode()


def exchange(port: int, requests: Iterable[bytes], source: str | None = None) -> list[Response]:
    """Send requests and return their responses. A connection that ends in between is replaced by another; `source` is
    the address that connects."""
    pending = iter(requests)
    responses: list[Response] = []
    while batch := _next_batch(pending):
        while batch:
            # a connection that Envoy resets may take responses with it that it has sent
            got = _exchange_batch(port, batch, source) or _exchange_batch(port, batch[:1], source)
            assert got, f"no response to {batch[0]!r}"
            responses += got
            batch = batch[len(got) :]
    return responses


def _next_batch(pending: Iterator[bytes]) -> list[bytes]:
    """Return some requests. One that asks for another protocol is the last: the connection is not used after it."""
    batch: list[bytes] = []
    for each in islice(pending, _BATCH):
        batch.append(each)
        if b"\r\nUpgrade:" in each:
            break
    return batch


def _exchange_batch(port: int, batch: Sequence[bytes], source: str | None) -> list[Response]:
    """Return the responses to a batch, fewer if the connection ended."""
    bound = None if source is None else (source, 0)
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_S, bound) as connection:
        connection.sendall(b"".join(batch))
        data, responses = b"", list[Response]()
        while len(responses) < len(batch):
            try:
                received = connection.recv(262_144)
            except ConnectionResetError:
                received = b""
            if not received:
                return responses
            data += received
            is_head = batch[len(responses)].startswith(b"HEAD ")
            while (found := _first(data, is_head=is_head)) is not None:
                response, data = found
                responses.append(response)
                if len(responses) == len(batch) or response.status >= 400:
                    return responses  # after a refusal, Envoy closes the connection, some of them a second later
                is_head = batch[len(responses)].startswith(b"HEAD ")
        return responses


def _first(data: bytes, *, is_head: bool) -> tuple[Response, bytes] | None:
    """Return the first response and the bytes after it; None if it is not there as a whole."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    length = _LENGTH.search(head)
    size = 0 if is_head or length is None else int(length[1])
    if len(rest) < size:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        low = name.lower()
        fields[low] = f"{fields[low]}, {value.strip()}" if low in fields else value.strip()
    return Response(int(first.split(" ")[1]), fields, rest[:size]), rest[size:]


_ARM = re.compile(rb"\r\nx-strangler-arm: *(\w+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_MANY = 500


def arms(port: int, requests: Iterable[bytes]) -> list[str]:
    """Return which arm responded to each request: as `exchange`, but five times as fast, for responses that have all
    come from an upstream."""
    pending = iter(requests)
    found: list[str] = []
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as connection:
        while batch := list(islice(pending, _MANY)):
            connection.sendall(b"".join(batch))
            data = b""
            while data.count(_HEAD_END) < len(batch):
                received = connection.recv(262_144)
                assert received, "the connection has ended"
                data += received
            found += [arm.decode() for arm in _ARM.findall(data)]
            assert data.count(_HEAD_END) == len(batch), "more responses than requests"
    return found
