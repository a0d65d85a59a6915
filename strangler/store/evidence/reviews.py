"""Reviews of differences: marks in the store, and accept rules for routes.yaml."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from strangler.config.edit import EditError
from strangler.config.edit_accept import add_accepts
from strangler.config.replace import ChangedMeanwhileError, NotWrittenError
from strangler.config.scalars import day, endpoint, written_endpoint
from strangler.config.source_files import PartlyWrittenError, read_files, write_files
from strangler.core.compare import Kind, Where, parse_pattern
from strangler.core.compare.accept_rules.compile import read_value
from strangler.core.compare.accept_rules.jsonpath import Pattern
from strangler.core.compare.accept_rules.places import covers_place, rule_for_place
from strangler.core.compare.model.templates import OVERFLOW
from strangler.core.documents import SignatureRow
from strangler.core.settings import AcceptRule, Settings
from strangler.store.connection import Connection
from strangler.store.evidence.audits import write_audit
from strangler.store.evidence.former_ids import present_id
from strangler.store.evidence.reading import path_steps
from strangler.store.evidence.turn import take_turn
from strangler.store.evidence.writing import set_state

OPEN_STATES: Final = frozenset({"new", "known", "regressed"})
"""The states of differences that still count."""
MAX_MARKED: Final = 20_000
"""The most signatures that are marked at once."""

_HAVE_TWO_VALUES = frozenset({Kind.VALUE.value, Kind.TYPE.value})
_HIDDEN = re.compile(r"\b(?:redacted:|(?:string|number|text)\(\d{1,9}\) |boolean )[0-9a-f]{8}\b")
"""The forms that stand for a secret, or for any value with `evidence: {values: hashed}`."""
_CUT = re.compile(r"…\Z|\A…|… \(\d+ characters\)\Z")
_LONG_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


class ReviewError(Exception):
    """Nothing was changed; the message says why."""


@dataclass(frozen=True, slots=True)
class Review:
    """A review of a signature."""

    state: str
    owner: str | None = None
    why: str | None = None
    until: str | None = None


# Marks


@dataclass(frozen=True, slots=True)
class Marked:
    """The outcome of `mark`, as ids of signatures. If one is unknown, nothing was changed."""

    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def mark(connection: Connection, names: Iterable[str], review: Review, actor: str, now: float) -> Marked:
    """Mark signatures, all or none, and audit each change; a signature that is marked so already stays unchanged.

    A former id stands for the present one, which the result has.
    """
    take_turn(connection)
    given = {name: present_id(connection, name) for name in names}
    wanted = tuple(dict.fromkeys(given.values()))
    rows = {name: _row(connection, name) for name in wanted}
    unknown = tuple(name for name, present in given.items() if rows[present] is None)
    if unknown:
        return Marked(unknown=unknown)
    changed: dict[str, None] = {}
    for name, row in rows.items():
        if row is None or _is_marked(row, review):
            continue
        if set_state(connection, name, review.state, now, owner=review.owner, why=review.why, until=review.until):
            write_audit(connection, now, actor, review.state, row.route, review.why or "", described(row))
            changed[name] = None
    return Marked(tuple(changed), tuple(name for name in wanted if name not in changed))


class _Marking(NamedTuple):
    """The columns of a signature that are needed to mark it."""

    id: str
    route: str
    endpoint: str
    in_: str
    path: str | None
    kind: str
    state: str
    owner: str | None
    why: str | None
    until: str | None


def _row(connection: Connection, name: str) -> _Marking | None:
    found = connection.execute(
        "SELECT id, route, endpoint, place, path, kind, state, owner, why, until FROM signatures WHERE id = ?", (name,)
    ).fetchone()
    return None if found is None else _Marking(*found)


def _is_marked(row: _Marking, review: Review) -> bool:
    """Return whether the review changes nothing. Accepting writes a rule, and so always is a change."""
    if review.state == "accepted" or row.state != review.state:
        return False
    pairs = ((review.owner, row.owner), (review.why, row.why), (review.until, row.until))
    return all(value is None or value == known for value, known in pairs)


def described(row: _Marking) -> str:
    """Return a text for the audit: `9f2c… GET /api/orders/{} body $.price type`."""
    return " ".join(filter(None, (row.id, row.endpoint, row.in_, row.path, row.kind)))


# Rules


def cannot_accept(row: SignatureRow) -> str | None:
    """Return why no rule can accept a signature; None if one can."""
    place, path = row.in_, row.path
    if place == Where.STATUS and max(row.legacy or 0, row.candidate or 0) >= 500:
        return "a 5xx is a failure and cannot be accepted; fix the candidate"
    if path and _HIDDEN.search(path):
        return f"{path} holds a value that is not kept, so that no rule can name it; write a rule by hand"
    if place == Where.BODY and not _is_place(path):
        return f"{path} is not a single place in the responses; write a rule by hand"
    if place == Where.HEADER and not path:
        return "the header has no name; write a rule by hand"
    try:
        is_single = OVERFLOW not in endpoint(written_endpoint(row.endpoint)).split("/")
    except ValueError:
        is_single = False
    if not is_single:
        return f"'{row.endpoint}' is not a single endpoint; write a rule by hand, for the whole route"
    return None


def accept_rule(
    row: SignatureRow, owner: str | None, until: str | None, why: str, *, values: bool = False
) -> AcceptRule:
    """Return the rule that accepts a signature on its endpoint. Raises ReviewError.

    `values`: the rule only accepts the pair of values that was seen last. A rule for a status always does.
    """
    reason = cannot_accept(row) or (cannot_accept_values(row) if values else None)
    if reason is not None:
        raise ReviewError(reason)
    try:
        last = None if until is None else day(until)
    except ValueError as error:
        raise ReviewError(f"until: {error}") from None
    if row.in_ == Where.STATUS:
        pair = (row.legacy, row.candidate)
        return AcceptRule(status=pair, endpoint=row.endpoint, owner=owner, until=last, why=why)
    path = row.path or ""
    key, value = ("header", path) if row.in_ == Where.HEADER else rule_for_place(path, row.kind)
    is_json = key == "path" and value.startswith("$")
    both = [_value_text(value, is_json) for value in (row.legacy, row.candidate)] if values else [None, None]
    return AcceptRule(
        path=value if key == "path" else None,
        css=value if key == "css" else None,
        header=value if key == "header" else None,
        endpoint=row.endpoint,
        kind=row.kind,
        from_=both[0],
        to=both[1],
        owner=owner,
        until=last,
        why=why,
    )


def _is_place(path: str | None) -> bool:
    """Return whether a rule can name a place: JSON, XML or a CSS selector, neither folded nor cut."""
    if not path or "…" in path:
        return False
    return path_steps(path) is not None if path.startswith("$") else True


def cannot_accept_values(row: SignatureRow) -> str | None:
    """Return why no rule can name the pair of values of a signature; None if one can."""
    if row.in_ == Where.STATUS:
        return None
    if row.kind not in _HAVE_TWO_VALUES:
        return f"a difference of kind '{row.kind}' has no pair of values; accept it without --values"
    for value in (row.legacy, row.candidate):
        texts = list(_texts(value))
        if any(_HIDDEN.search(text) for text in texts):
            return "the values are redacted or hashed, so that no rule can name them; write from and to by hand"
        if any(_CUT.search(text) for text in texts) or _is_opaque(value):
            return "the values are not kept whole, so that no rule can name them; write from and to by hand"
        if row.in_ != Where.BODY or not (row.path or "").startswith("$"):
            if not (isinstance(value, str) and _is_plain(value)):
                return "the values are not plain texts, so that no rule can name them; accept it without --values"
            continue
        if isinstance(value, str) and len(value) > 15 and _LONG_NUMBER.fullmatch(value):
            return "such a long number is kept as a text; write from and to by hand"
    return None


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)


def _is_opaque(value: Any) -> bool:
    """Return whether a value is the hash and length of one that cannot be shown."""
    return isinstance(value, dict) and value.keys() == {"hash", "length"}


def _value_text(value: Any, is_json: bool) -> str:
    """Return a value as a rule writes it: as JSON, except for a plain text."""
    if isinstance(value, str) and (not is_json or (_is_plain(value) and read_value(value) == value)):
        return value
    written = json.dumps(value, ensure_ascii=False)
    return written if written.isprintable() else json.dumps(value)


def _is_plain(text: str) -> bool:
    """Return whether routes.yaml takes a text as it is."""
    return bool(text) and text.isprintable() and text == text.strip()


def covers(rule: AcceptRule, wanted: AcceptRule, today: date) -> bool:
    """Return whether a rule accepts today all that another rule would."""
    if rule.until is not None and today > date.fromisoformat(rule.until):
        return False
    if rule.endpoint not in (None, wanted.endpoint) or rule.kind not in (None, wanted.kind):
        return False
    if rule.abs is not None or rule.rel is not None or rule.status != wanted.status:
        return False
    if rule.from_ is not None and _pair(rule) != _pair(wanted):
        return False
    if wanted.status is not None or wanted.header is not None:
        return _lower(rule.header) == _lower(wanted.header)
    reach, place = rule.path or rule.css, wanted.path or wanted.css
    return reach is not None and place is not None and _covers_place(reach, place, wanted.kind)


def _pair(rule: AcceptRule) -> tuple[Any, Any] | None:
    if rule.from_ is None or rule.to is None:
        return None
    is_json = rule.path is not None and rule.path.startswith("$")
    return (read_value(rule.from_), read_value(rule.to)) if is_json else (rule.from_, rule.to)


def _lower(name: str | None) -> str | None:
    return None if name is None else name.lower()


def _covers_place(rule: str, wanted: str, kind: str | None) -> bool:
    """Return whether the place of a rule is the wanted place, or contains it."""
    if rule == wanted:
        return True
    if not wanted.startswith("$"):
        return covers_place(rule, wanted.removesuffix("::text"), kind)
    steps = path_steps(wanted)
    return rule.startswith("$") and steps is not None and _pattern(rule).reach(steps) is not None


@cache
def _pattern(path: str) -> Pattern:
    return parse_pattern(path)


@dataclass(frozen=True, slots=True)
class AcceptPlan:
    """A plan to accept some signatures: rules to write, and the outcome of each row."""

    rules: tuple[tuple[str, AcceptRule], ...] = ()  # route and rule
    accepted: tuple[SignatureRow, ...] = ()  # rows that the new rules accept
    already: tuple[SignatureRow, ...] = ()  # rows that a rule in the file accepts
    refused: tuple[tuple[SignatureRow, str], ...] = ()  # rows that cannot be accepted, and why


def plan_accepts(
    rows: Iterable[SignatureRow],
    settings: Settings,
    review: Review,
    today: date,
    *,
    values: bool = False,
) -> AcceptPlan:
    """Return the missing rules that accept the rows. Raises ReviewError for an invalid `until`."""
    there: dict[str, list[AcceptRule]] = {route.name: list(route.compare.accept) for route in settings.routes}
    before = {name: len(rules) for name, rules in there.items()}
    accepted: list[SignatureRow] = []
    already: list[SignatureRow] = []
    refused: list[tuple[SignatureRow, str]] = []
    for row in sorted(rows, key=_widest_first):
        reason = cannot_accept(row) or (cannot_accept_values(row) if values else None)
        if reason is None and row.route not in there:
            reason = f"routes.yaml has no route '{row.route}'"
        if reason is not None:
            refused.append((row, reason))
            continue
        rule = accept_rule(row, review.owner, review.until, review.why or "", values=values)
        rules = there[row.route]
        found = next((at for at, existing in enumerate(rules) if covers(existing, rule, today)), None)
        if found is None:
            rules.append(rule)
        (already if found is not None and found < before[row.route] else accepted).append(row)
    new = tuple((name, rule) for name, rules in there.items() for rule in rules[before[name] :])
    return AcceptPlan(new, tuple(accepted), tuple(already), tuple(refused))


def _widest_first(row: SignatureRow) -> tuple[int, str, str]:
    """Return the sort key: a rule for a node makes rules for nodes below it unnecessary."""
    return len(row.path or ""), row.route, row.id


def write_rules(path: Path, environ: Mapping[str, str], rules: Sequence[tuple[str, AcceptRule]]) -> None:
    """Add rules to routes of routes.yaml in one edit; every other byte stays. Raises ReviewError."""
    if not rules:
        return
    try:
        edit = add_accepts(read_files(path, environ), rules, environ)
        write_files(edit.before, edit.after)
    except UnicodeDecodeError:
        raise ReviewError(f"{path} is not UTF-8") from None
    except EditError as error:
        problems = [str(problem) for problem in (error.loaded.problems[:1] if error.loaded is not None else ())]
        raise ReviewError(": ".join([str(error), *problems])) from None
    except ChangedMeanwhileError:
        raise ReviewError("routes.yaml was changed at the same time; try again") from None
    except PartlyWrittenError as error:
        raise ReviewError(str(error)) from None
    except NotWrittenError as error:
        raise ReviewError(f"{path} cannot be written: {error}") from None
    except OSError as error:
        raise ReviewError(f"{path} cannot be read: {error.strerror}; make it readable, and try again") from None
