"""Checks of `ledger`."""

from strangler.config.notes import Notes
from strangler.config.schema import File
from strangler.config.schema_ledger import MAX_SPLIT_KEYS, Ledger
from strangler.core.ledger.split_values import SplitKey, parse_split_key
from strangler.core.ledger_settings import DAY_S
from strangler.core.privacy.secrets import is_secret_name


def check_ledger(file: File, notes: Notes) -> None:
    """The times fit together, and nothing that is kept is a secret."""
    if file.ledger is not None:
        _check_times(file.ledger, notes)
        _check_names(file.ledger, notes)


def _check_times(ledger: Ledger, notes: Notes) -> None:
    if ledger.keep < DAY_S:
        notes.value(("ledger", "keep"), "calls are kept by day; it must be at least 1d")
    elif ledger.quiet > ledger.keep and not notes.has_lost(("ledger",)):
        loc = ("ledger", "quiet" if notes.is_written(("ledger", "quiet")) else "keep")
        notes.error(loc, "ledger.quiet is longer than ledger.keep", "calls must be kept until their endpoint is quiet")


def _check_names(ledger: Ledger, notes: Notes) -> None:
    if is_secret_name(ledger.callers):
        notes.value(
            ("ledger", "callers"), "its values are secrets; name a header that clients may show, or leave it out"
        )
    if len(ledger.by) > MAX_SPLIT_KEYS:
        notes.error(("ledger", "by"), f"ledger.by has {len(ledger.by)} entries", f"{MAX_SPLIT_KEYS} are allowed")
    seen = set[SplitKey]()
    for index, text in enumerate(ledger.by):
        split_key = parse_split_key(text)
        name = split_key.name if split_key.is_query else split_key.name.lower()
        if is_secret_name(name):
            notes.value(("ledger", "by", index), "its values are secrets; take it out")
        if SplitKey(split_key.is_query, name) in seen:
            notes.value(("ledger", "by", index), "it is there already; take one of them out")
        seen.add(SplitKey(split_key.is_query, name))
