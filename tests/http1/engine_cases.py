"""The raw cases that the engine Envoy treats otherwise than the built-in one, and what it does instead."""

from tests.http1 import test_raw_framing, test_raw_requests, test_raw_responses
from tests.http1.raw import Case

REQUESTS: dict[str, str] = {}
RESPONSES: dict[str, str] = {}
FRAMING: dict[str, str] = {}

TABLES: tuple[tuple[list[Case], dict[str, str]], ...] = (
    (test_raw_requests.CASES, REQUESTS),
    (test_raw_responses.CASES, RESPONSES),
    (test_raw_framing.CASES, FRAMING),
)
"""Each table of cases with the names of those that differ."""
