"""Fallback: whether legacy may serve a request that the candidate failed."""

from collections.abc import Sequence
from enum import StrEnum

from strangler.core.http.methods import SAFE
from strangler.core.result import Result
from strangler.core.settings import FallbackSettings


class NoFallback(StrEnum):
    """The reasons against a fallback, for the access log, in the order in which the rules are checked."""

    OFF = "off"
    NOT_LISTED = "not_listed"
    RESPONSE_STARTED = "answer_started"
    METHOD = "method"
    BODY = "body"
    FENCE = "fence"


class FallbackRules:
    """One route's `fallback`, compiled. With `settings` None there is none."""

    __slots__ = ("fence_s", "is_on", "when")

    def __init__(self, settings: FallbackSettings | None) -> None:
        self.is_on = settings is not None
        self.when: frozenset[str | int] = frozenset(settings.when if settings is not None else ())
        self.fence_s = settings.fence_s if settings is not None else 0.0

    def why_not(
        self,
        method: bytes,
        results: Sequence[Result],
        *,
        is_response_started: bool,
        is_body_resendable: bool,
        is_fenced: bool,
    ) -> NoFallback | None:
        """Return the rule that forbids it, or None if legacy may serve the request.

        `results` are those of all attempts at the candidate, the last one being what the client would get. A method
        other than GET, HEAD and OPTIONS goes to legacy only if *none* of the attempts can have reached the candidate:
        a reset followed by a refused retry is no proof.
        `is_fenced`: the candidate took a write of this caller recently, so legacy's older state must not serve a read.
        """
        if not self.is_on:
            return NoFallback.OFF
        if results[-1].cause not in self.when:
            return NoFallback.NOT_LISTED
        if is_response_started:
            return NoFallback.RESPONSE_STARTED
        if method not in SAFE and not all(result.is_unsent for result in results):
            return NoFallback.METHOD
        if not is_body_resendable:
            return NoFallback.BODY
        return NoFallback.FENCE if is_fenced and method in SAFE else None
