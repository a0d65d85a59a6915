"""The paths that the template of an endpoint stands for, where only the template is known, as in the ledger."""

from collections.abc import Iterable
from urllib.parse import quote

from strangler.core.ledger.named_templates import named_segments
from strangler.core.ledger.segments import HOLE, REST, joined_segments, split_segments
from strangler.core.settings import MatchSettings

_VALUE = "0"
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


def path_of(template: str) -> tuple[bytes, bytes]:
    """Return a raw path of a template, with a number for each value, and the query as far as `ledger.by` has it."""
    segments = split_segments(template)
    words = [segment for segment in segments if segment[:1] not in ("?", "&", "#") or not segment]
    parameters = [segment[1:] for segment in segments if segment[:1] in ("?", "&") and HOLE not in segment]
    path = joined_segments([word.replace(REST, _VALUE).replace(HOLE, _VALUE) for word in words])
    return quote(path, safe=_ASCII).encode(), quote("&".join(parameters), safe=_ASCII).encode()


def narrower_templates(template: str, matches: Iterable[MatchSettings]) -> list[str]:
    """Return what else a template may stand for: `/users/me` for `/users/{}`, if a match spells it out.

    A match that holds for every path of the template, or for none, adds nothing.
    """
    if HOLE not in template and REST not in template:
        return []
    segments = split_segments(template)
    found = (_narrowed(segments, match) for match in matches)
    return list(dict.fromkeys(joined_segments(narrower) for narrower in found if narrower is not None))


def _narrowed(segments: list[str], match: MatchSettings) -> list[str] | None:
    """Return the segments with values replaced by the words of a match; None if it asks for no more than they have."""
    wanted = named_segments(match.path if match.path is not None else (match.prefix or "/").rstrip("/"))
    if match.path is None and wanted == [""]:
        return None
    narrower = list[str]()
    for at, word in enumerate(wanted):
        if at >= len(segments):
            return None
        own = segments[at]
        if own == REST:
            return [*narrower, *wanted[at:], *([REST] if match.path is None else [])]
        if HOLE in word or own == word:
            narrower.append(own)
        elif HOLE in own and _may_be(own, word):
            narrower.append(word)
        else:
            return None
    rest = segments[len(wanted) :]
    if match.path is not None and any(segment[:1] not in ("?", "&", "#") for segment in rest):
        return None
    narrower += rest
    return None if narrower == segments else narrower


def _may_be(segment: str, word: str) -> bool:
    """Return True if a segment with a value may be a word."""
    head, _, tail = segment.partition(HOLE)
    return len(word) > len(head) + len(tail) and word.startswith(head) and word.endswith(tail)
