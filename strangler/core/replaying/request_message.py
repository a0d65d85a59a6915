"""A request of a recording, as it is to be sent."""

from dataclasses import dataclass, field

from strangler.core.http.head import RawHeaders


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """A request as bytes, its body whole and without chunks."""

    method: bytes
    target: bytes
    headers: RawHeaders
    body: bytes = field(default=b"", repr=False)

    def field_value(self, name: bytes) -> bytes | None:
        """Return the first value of a header field. `name` is lower-case."""
        return next((value.strip(b" \t") for key, value in self.headers if key.lower() == name), None)
