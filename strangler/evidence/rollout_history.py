"""The rollouts of the report, read from the store: control writes their positions and moves."""

from sqlite3 import Connection
from typing import TypeVar

import msgspec
from msgspec import Struct

from strangler.core.documents import RolloutArmNumbers, RolloutLook, RolloutMove, RolloutReport
from strangler.core.rollout_percents import rollout_groups
from strangler.core.settings import Settings
from strangler.times import rfc3339

_T = TypeVar("_T")


class _Position(Struct, frozen=True):
    state: str = "waiting"
    percent: float = 0.0


class _StoredPosition(Struct, frozen=True):
    position: _Position = _Position()


class _StoredLook(Struct, frozen=True):
    at: float
    percent: float
    verdict: str
    reasons: list[str]
    legacy: RolloutArmNumbers
    candidate: RolloutArmNumbers
    callers: int


class _StoredMove(Struct, frozen=True):
    at: float
    from_percent: float
    to_percent: float
    what: str
    why: str
    who: str = ""
    look: _StoredLook | None = None


def rollout_reports(connection: Connection, settings: Settings) -> list[RolloutReport]:
    """Return the rollout of each group of the settings, with its moves. Raises sqlite3.Error.

    A row that this version cannot read is left out: a rollout is reported with what is known of it.
    """
    reports = []
    for group, routes in rollout_groups(settings).items():
        first = routes[0]
        assert first.rollout is not None
        position = _position(connection, group, first.split.percent)
        reports.append(
            RolloutReport(
                group=group,
                routes=[route.name for route in routes],
                state=position.state,
                percent=position.percent,
                steps=list(first.rollout.steps),
                moves=_moves(connection, group),
            )
        )
    return reports


def _position(connection: Connection, group: str, percent: float) -> _Position:
    """Return the stored position; without one, that of a rollout which was never started.

    A row that cannot be read is paused by control. `percent`: that of the settings.
    """
    row = connection.execute("SELECT content FROM rollout_positions WHERE name = ?", (group,)).fetchone()
    if row is None:
        return _Position(percent=percent)
    found = _read(row[0], _StoredPosition)
    return _Position("paused", percent) if found is None else found.position


def _moves(connection: Connection, group: str) -> list[RolloutMove]:
    rows = connection.execute("SELECT content FROM rollout_moves WHERE name = ? ORDER BY id", (group,))
    moves = (_read(content, _StoredMove) for (content,) in rows)
    return [_move(move) for move in moves if move is not None]


def _read(content: bytes, kind: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _move(move: _StoredMove) -> RolloutMove:
    look = None if move.look is None else _look(move.look)
    return RolloutMove(rfc3339(move.at), move.from_percent, move.to_percent, move.what, move.why, move.who, look)


def _look(look: _StoredLook) -> RolloutLook:
    return RolloutLook(
        rfc3339(look.at), look.percent, look.verdict, look.reasons, look.legacy, look.candidate, look.callers
    )
