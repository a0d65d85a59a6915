"""A client of a real Envoy."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import h11

from tests.envoy.running_clusters import RunningEnvoy


@dataclass(frozen=True, slots=True)
class Got:
    """A response as a client got it."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str | None:
        values = [value for each, value in self.fields if each.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def arm(self) -> str | None:
        return self["X-Strangler-Arm"]

    @property
    def problem(self) -> dict[str, Any]:
        assert self["Content-Type"] == "application/problem+json", self
        document: dict[str, Any] = json.loads(self.body)
        return document


async def fetch(
    envoy: RunningEnvoy,
    target: str,
    method: str = "GET",
    headers: list[tuple[str, str]] | None = None,
    body: bytes = b"",
    listener: str = "127.0.0.1:0",
    before: bytes = b"",
    **connect: Any,
) -> Got:
    """One request on a connection of its own."""
    port = envoy.ports[listener]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **connect)
    try:
        writer.write(before)
        return await converse(reader, writer, target, method, headers, body)
    finally:
        writer.close()


async def converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    target: str,
    method: str = "GET",
    headers: list[tuple[str, str]] | None = None,
    body: bytes = b"",
) -> Got:
    """One request on an open connection."""
    connection = h11.Connection(h11.CLIENT)
    fields = list(headers or [])
    if not any(name.lower() == "host" for name, _ in fields):
        fields.insert(0, ("Host", "shop.example"))
    if body:
        fields.append(("Content-Length", str(len(body))))
    writer.write(connection.send(h11.Request(method=method, target=target, headers=fields)) or b"")
    if body:
        writer.write(connection.send(h11.Data(data=body)) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    head: h11.Response | None = None
    content = b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            raise ConnectionError(str(error)) from error
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            content += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            names = [(name.decode(), value.decode("latin-1")) for name, value in head.headers.raw_items()]
            return Got(head.status_code, names, content)
        elif not isinstance(event, h11.InformationalResponse):
            raise ConnectionError(f"closed before a response: {event!r}")
