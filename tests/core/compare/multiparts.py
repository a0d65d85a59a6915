"""Short ways to write multipart bodies in tests."""

from strangler.core.compare import Response
from tests.core.compare.responses import response

Fields = dict[str, str]


def part(body: str | bytes = b"", **headers: str) -> bytes:
    """A part with header fields; `content_type=…` becomes Content-Type."""
    lines = [f"{name.replace('_', '-').title()}: {value}\r\n" for name, value in headers.items()]
    return "".join(lines).encode() + b"\r\n" + (body.encode() if isinstance(body, str) else body)


def field(name: str, body: str | bytes, content_type: str | None = None, filename: str | None = None) -> bytes:
    """A part of multipart/form-data."""
    file = "" if filename is None else f'; filename="{filename}"'
    more = {} if content_type is None else {"content_type": content_type}
    return part(body, content_disposition=f'form-data; name="{name}"{file}', **more)


def multipart(*parts: bytes, boundary: str = "b", subtype: str = "form-data", status: int = 200) -> Response:
    delimiter = b"--" + boundary.encode()
    body = b"".join(delimiter + b"\r\n" + each + b"\r\n" for each in parts) + delimiter + b"--\r\n"
    return response(body, f'multipart/{subtype}; boundary="{boundary}"', status)
