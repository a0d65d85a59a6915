from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.fault import Fault
from strangler.core.resilience.fallback import FallbackRules, NoFallback
from strangler.core.result import Result
from strangler.core.settings import FallbackSettings

SETTINGS = FallbackSettings(
    when=("connect", "reset", "timeout", "open", "full", "bad_response", 502, 503, 504), fence_s=60.0
)
RULES = FallbackRules(SETTINGS)

UNSENT = [Result(fault, None, 0.0) for fault in (Fault.CONNECT, Fault.OPEN, Fault.FULL)]
MAY_HAVE_RUN = [
    Result(Fault.RESET, None, 0.1),
    Result(Fault.RESET, 200, 0.1),
    Result(Fault.TIMEOUT, None, 0.1),
    Result(Fault.BAD_RESPONSE, None, 0.1),
    Result(None, 502, 0.1),
    Result(None, 503, 0.1),
    Result(None, 504, 0.1),
]
SAFE = [b"GET", b"HEAD", b"OPTIONS"]
WRITES = [b"POST", b"PUT", b"PATCH", b"DELETE", b"PROPFIND", b"get"]


def why_not(
    method: bytes,
    *results: Result,
    rules: FallbackRules = RULES,
    started: bool = False,
    resendable: bool = True,
    fenced: bool = False,
) -> NoFallback | None:
    return rules.why_not(method, results, is_response_started=started, is_body_resendable=resendable, is_fenced=fenced)


def name(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value.cause if isinstance(value, Result) else value)


@pytest.mark.parametrize(("method", "result"), list(product(SAFE, UNSENT + MAY_HAVE_RUN)), ids=name)
def test_a_safe_method_falls_back_on_whatever_is_listed(method: bytes, result: Result) -> None:
    assert why_not(method, result) is None


@pytest.mark.parametrize(("method", "result"), list(product(WRITES, UNSENT)), ids=name)
def test_a_write_falls_back_if_it_never_reached_the_candidate(method: bytes, result: Result) -> None:
    assert why_not(method, result) is None


@pytest.mark.parametrize(("method", "result"), list(product(WRITES, MAY_HAVE_RUN)), ids=name)
def test_a_write_that_may_have_run_does_not_fall_back(method: bytes, result: Result) -> None:
    assert why_not(method, result) is NoFallback.METHOD


@given(
    st.sampled_from(WRITES),
    st.lists(st.sampled_from(UNSENT + MAY_HAVE_RUN), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_a_write_of_which_any_attempt_may_have_run_never_falls_back(
    method: bytes, results: list[Result], started: bool, resendable: bool, fenced: bool
) -> None:
    allowed = why_not(method, *results, started=started, resendable=resendable, fenced=fenced) is None
    assert not (allowed and any(result in MAY_HAVE_RUN for result in results))


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(Result(None, 200, 0.1), id="success"),
        pytest.param(Result(None, 404, 0.1), id="404"),
        pytest.param(Result(None, 500, 0.1), id="a status that is not in when"),
        pytest.param(Result(Fault.CLIENT_GONE, None, 0.1), id="client gone"),
        pytest.param(Result(Fault.TOO_LARGE, 503, 0.1), id="the client's fault counts, not the status"),
    ],
)
def test_what_is_not_listed_does_not_fall_back(result: Result) -> None:
    assert why_not(b"GET", result) is NoFallback.NOT_LISTED


def test_once_a_byte_is_out_the_client_gets_no_second_answer() -> None:
    assert why_not(b"GET", Result(Fault.RESET, 200, 0.1), started=True) is NoFallback.RESPONSE_STARTED


def test_a_body_that_is_gone_cannot_be_sent_to_legacy() -> None:
    assert why_not(b"POST", UNSENT[0], resendable=False) is NoFallback.BODY


@pytest.mark.parametrize("method", SAFE)
def test_a_fenced_read_gets_the_error_instead_of_old_state(method: bytes) -> None:
    assert why_not(method, UNSENT[0], fenced=True) is NoFallback.FENCE


def test_the_fence_is_for_reads_only() -> None:
    assert why_not(b"POST", UNSENT[0], fenced=True) is None


def test_switched_off_nothing_falls_back() -> None:
    assert why_not(b"GET", UNSENT[0], rules=FallbackRules(None)) is NoFallback.OFF
