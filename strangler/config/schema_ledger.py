"""The keys of `ledger`: how long calls are kept, when an endpoint is quiet, and who its callers are."""

from functools import partial
from typing import Annotated

from strangler.config import quantities
from strangler.config import types as t
from strangler.config.leaf import leaf
from strangler.config.section import Section, key
from strangler.config.types import LIST
from strangler.core.ledger.split_values import parse_split_key
from strangler.core.ledger_settings import DAY_S, LedgerSettings

MAX_SPLIT_KEYS = 8
"""The most entries of `by`: each is looked for in every request."""
_MAX_S = 3660 * DAY_S
_WRITE = "write a duration such as 30d or 400d"
_USUAL = LedgerSettings()


def _split_key(text: str) -> str:
    parse_split_key(text)
    return text


LongTime = Annotated[
    float,
    *leaf(
        partial(quantities.duration, zero=False, longest_s=_MAX_S),
        "duration above 0",
        _WRITE,
        {"type": "string", "pattern": quantities.DURATION_PATTERN},
        write=quantities.duration_text,
    ),
]
SplitKeyText = Annotated[
    str,
    *leaf(
        _split_key,
        "query:NAME or header:NAME",
        "write query:NAME or header:NAME",
        {"type": "string", "pattern": r"^(query|header):[A-Za-z0-9_.\-]{1,64}$"},
    ),
]


class Ledger(Section):
    keep: LongTime = key(_USUAL.keep_s, "How long the calls of an endpoint are kept, by day; at least 1d.", "90d")
    quiet: LongTime = key(
        _USUAL.quiet_s, "Time without calls, but those of probes, after which an endpoint is quiet.", "14d"
    )
    callers: t.HeaderName = key(
        _USUAL.callers,
        "Header that names the caller. Of `user-agent` only the program is kept, such as `Firefox` or `okhttp/4`.",
        "X-Client-Id",
    )
    by: Annotated[tuple[SplitKeyText, ...], LIST] = key(
        _USUAL.by,
        "Parameters and headers whose values split one path into several endpoints, such as the action of a script.",
        '["query:action", "header:SOAPAction"]',
    )
