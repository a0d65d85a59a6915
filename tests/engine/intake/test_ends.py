"""The ends of requests by Envoy's flags and details. Every row was observed on Envoy 1.40."""

import pytest

from strangler.core.fault import Fault
from strangler.engine.intake.ends import end_of, fault_of_flags, has_own_response

ROWS = [
    (200, "-", "via_upstream", "", None),
    (503, "-", "via_upstream", "503", None),
    (503, "URX", "via_upstream", "", None),
    (502, "-", "via_upstream", "reset", Fault.RESET),
    (503, "-", "via_upstream", "open", Fault.OPEN),
    (502, "UC", "upstream_reset_before_response_started{connection_termination}", "", Fault.RESET),
    (502, "URX,UPE", "upstream_reset_before_response_started{protocol_error}", "", Fault.BAD_RESPONSE),
    (503, "UH", "no_healthy_upstream", "", Fault.OPEN),
    (503, "UO", "overflow", "", Fault.FULL),
    (504, "UT", "response_timeout", "", Fault.TIMEOUT),
    (200, "UPE", "upstream_reset_after_response_started{protocol_error}", "", Fault.RESET),
    (0, "DC", "downstream_remote_disconnect", "", Fault.CLIENT_GONE),
    (200, "DC", "downstream_remote_disconnect", "", Fault.CLIENT_GONE),
    (408, "SI", "stream_idle_timeout", "", Fault.CLIENT_TIMEOUT),
    (504, "SI", "stream_idle_timeout", "", Fault.TIMEOUT),
    (418, "XX", "something_new", "", "unknown"),
]
UNPLANNED = [
    (413, "-", "request_payload_too_large", "too_large"),
    (400, "DPE", "http1.codec_error", "malformed"),
    (400, "-", "missing_host_header", "malformed"),
    (404, "-", "absolute_path_rejected", "malformed"),
    (431, "DPE", "http1.headers_too_large", "header_too_large"),
]


@pytest.mark.parametrize(("status", "flags", "details", "result", "end"), ROWS)
def test_the_end_of_a_planned_request(status: int, flags: str, details: str, result: str, end: object) -> None:
    assert end_of(status, flags, details, result, is_planned=True) == end


@pytest.mark.parametrize(("status", "flags", "details", "end"), UNPLANNED)
def test_the_refusal_of_a_request_without_a_plan(status: int, flags: str, details: str, end: str) -> None:
    assert end_of(status, flags, details, "", is_planned=False) == end


@pytest.mark.parametrize(("flags", "fault"), [("-", None), ("", None), ("DC", None), ("URX,UF", Fault.CONNECT)])
def test_only_an_upstreams_fault_is_one(flags: str, fault: Fault | None) -> None:
    assert fault_of_flags(flags) is fault


def test_the_bytes_of_a_response_that_was_cut_short_count() -> None:
    assert not has_own_response(Fault.RESET, 500, "upstream_reset_after_response_started{protocol_error}")
    assert not has_own_response(None, 503, "via_upstream")
    assert has_own_response(Fault.RESET, 502, "via_upstream")
