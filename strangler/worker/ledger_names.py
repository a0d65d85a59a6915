# Compiled with mypyc: see docs/hot-path.md.
"""The names under which the ledger counts calls, by one set of settings: templates, and families of callers."""

from collections.abc import Iterable

from strangler.core.given_templates import given_templates
from strangler.core.ledger.callers import caller_of, named_caller
from strangler.core.ledger.first_template import FirstTemplateMemo
from strangler.core.ledger.named_templates import unusual_words
from strangler.core.ledger.segments import MAX_TEMPLATE, cut_short
from strangler.core.ledger.split_values import SplitKey, parse_split_key, raw_values, suffix_of
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.core.settings import Settings
from strangler.worker.call import Call

MAX_CALLERS = 2048
"""The values of the callers' field whose names are remembered."""
_USER_AGENT = b"user-agent"


class LedgerNames:
    """Names calls. It remembers a bounded number of names, since most calls are like earlier ones."""

    __slots__ = ("_callers", "_memo", "by", "callers_field")

    callers_field: bytes
    """The lower-case name of the request field that names the caller."""
    by: tuple[SplitKey, ...]

    def __init__(self, callers: str, by: Iterable[str], words: frozenset[str]) -> None:
        self.callers_field = callers.encode()
        self.by = tuple([parse_split_key(text) for text in by])
        self._memo = FirstTemplateMemo(words)
        self._callers: dict[bytes, str] = {}

    def values_of(self, call: Call) -> tuple[bytes, ...]:
        """Return the values of a call that split its path, one for each entry of `ledger.by`."""
        return raw_values(self.by, call.query or b"", call.fields)

    def template_of(self, path: bytes, values: tuple[bytes, ...]) -> str:
        """Return the first template of a path and its values; `…` for an empty path, which stands for all others."""
        if not path:
            return OVERFLOW
        template = self._memo.template_of(path)
        if values:
            template += suffix_of(self.by, values)
        return template if len(template) <= MAX_TEMPLATE else cut_short(template)

    def caller_of(self, value: bytes) -> str:
        """Return the name of the caller by the value of its field."""
        name = self._callers.get(value)
        if name is None:
            if len(self._callers) >= MAX_CALLERS:
                self._callers.clear()
            text = value.decode("latin-1")
            name = caller_of(text) if self.callers_field == _USER_AGENT else named_caller(text)
            self._callers[value] = name
        return name


def names_for(settings: Settings) -> LedgerNames | None:
    """Return the names for settings; None if they have no ledger. With 10,000 routes it takes a tenth of a second."""
    ledger = settings.ledger
    if ledger is None:
        return None
    given = given_templates(settings.routes)
    return LedgerNames(ledger.callers, ledger.by, unusual_words([*given.whole, *given.prefixes]))
