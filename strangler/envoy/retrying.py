"""Retries: at the same upstream, and at legacy after a candidate."""

from collections.abc import Iterable
from typing import Final, TypeGuard

from strangler.core.fault import Fault
from strangler.core.settings import RetrySettings
from strangler.envoy.resources import Resource
from strangler.envoy.units import duration

RESULT_HEADER: Final = "x-strangler-result"
"""The field in which a gate says how an attempt ended: the name of a fault, or a status."""

UNSENT: Final = "connect-failure,refused-stream,reset-before-request"
"""The conditions in which a request provably never reached the upstream."""

_UNSENT_FAULTS: Final = frozenset({Fault.CONNECT, Fault.OPEN, Fault.FULL})


def same_upstream(retry: RetrySettings, *, may_repeat: bool) -> Resource:
    """Return the policy of retries at one upstream. `may_repeat`: a request that may have reached it may go again.

    What retries a reset retries a timeout too, and the other way round.
    """
    conditions = [UNSENT] if Fault.CONNECT in retry.when else ["reset-before-request"]
    policy: Resource = {
        "num_retries": retry.attempts - 1,
        "retry_back_off": {
            "base_interval": duration(retry.backoff_s),
            "max_interval": duration(max(retry.max_backoff_s, retry.backoff_s)),
        },
    }
    statuses = _statuses(retry.when)
    if may_repeat and {Fault.RESET, Fault.TIMEOUT} & set(retry.when):
        conditions.append("reset")
    if may_repeat and statuses:
        conditions.append("retriable-status-codes")
        policy["retriable_status_codes"] = statuses
    return {"retry_on": ",".join(conditions), **policy}


def has_retries(retry: RetrySettings | None) -> TypeGuard[RetrySettings]:
    """Return whether a policy does anything."""
    return retry is not None and retry.attempts > 1 and bool(retry.when)


def at_legacy(when: Iterable[str | int], *, is_read: bool, is_gated: bool, members: int) -> Resource:
    """Return the policy of a composite: what sends a request on to its next member.

    A write goes on only if it provably never reached the candidate. A gate says how its attempt ended, so there each
    reason is one of its own; without one, `reset` stands for timeouts too, and `open` for nothing: a member without a
    healthy endpoint is passed over.
    """
    listed = set(when)
    if not is_read:
        listed &= _UNSENT_FAULTS
    conditions = ["reset-before-request", "connect-failure", "refused-stream"]
    policy: Resource = {
        "num_retries": members - 1,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.001s"},
    }
    if is_gated:
        reasons = "|".join(sorted(map(str, listed)))
        if reasons:
            conditions.append("retriable-headers")
            policy["retriable_headers"] = [{"name": RESULT_HEADER, "string_match": {"safe_regex": {"regex": reasons}}}]
        return {"retry_on": ",".join(conditions), **policy}
    statuses = _statuses(listed)
    if {Fault.RESET, Fault.TIMEOUT} & listed:
        conditions.append("reset")
    if statuses:
        conditions.append("retriable-status-codes")
        policy["retriable_status_codes"] = statuses
    return {"retry_on": ",".join(conditions), **policy}


def _statuses(when: Iterable[str | int]) -> list[int]:
    return sorted(each for each in when if isinstance(each, int))
