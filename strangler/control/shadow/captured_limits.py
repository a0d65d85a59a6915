"""The limit of a shadow's bodies for a capture that a recording has, too, and that may have longer ones."""

from msgspec.structs import replace

from strangler.ipc.messages import Captured


def within(captured: Captured, max_body_bytes: int) -> Captured:
    """Return the capture as a worker makes it for this limit alone: a longer body counts as too large."""
    is_request_long, is_response_long = (len(body) > max_body_bytes for body in (captured.body, captured.response.body))
    if not is_request_long and not is_response_long:
        return captured
    response = replace(captured.response, body=b"", is_too_large=captured.response.is_too_large or is_response_long)
    return replace(
        captured, body=b"", is_body_complete=not captured.body and captured.is_body_complete, response=response
    )
