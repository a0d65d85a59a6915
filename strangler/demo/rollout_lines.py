"""The lines that the demo of a rollout prints: its looks, its moves, and what it waits for."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from strangler.core.documents import RolloutArmNumbers, RolloutLook, RolloutMove, RolloutStatus

HEADER = "    time  percent  look        candidate failed  legacy failed   callers  p95: candidate, legacy"
_LOOK = "{time:>8}  {percent:>5} %  {verdict:<10}  {candidate:>16}  {legacy:>13}  {callers:>8}  {times}"
_UNDER = " " * 19

_NUMBER = re.compile(r"\d+")
_LOUD_WAITS = {"hold", "gate", "approve", "within", "kill_switch", "resume", "start"}
"""Waits that the looks themselves do not tell."""


@dataclass(slots=True)
class LinesState:
    """The parts of a rollout's status that were printed already."""

    begun: float
    """When the demo began, in Unix time."""
    _looked_at: str = ""
    _moved_at: str = ""
    _reasons: str = ""
    _waits: tuple[str | None, float] = (None, 0.0)
    _notes: list[str] = field(default_factory=list)

    def new_lines(self, status: RolloutStatus) -> list[str]:
        """Return what has happened since the last call, in order."""
        looks = [look for look in status.looks if look.at > self._looked_at]
        moves = [move for move in status.moves if move.at > self._moved_at]
        happened = [(look.at, 0, self._of_look(look)) for look in looks]
        happened += [(move.at, 1, self._of_move(move)) for move in moves]
        self._looked_at = max([self._looked_at, *(look.at for look in looks)])
        self._moved_at = max([self._moved_at, *(move.at for move in moves)])
        lines = [line for _, _, some in sorted(happened) for line in some]
        return [*lines, *self._of_wait(status), *self._of_notes(status)]

    def elapsed(self, at: float) -> str:
        """Return a Unix time as minutes and seconds of the demo."""
        elapsed_s = max(0, int(at - self.begun))
        return f"{elapsed_s // 60:02}:{elapsed_s % 60:02}"

    def _of_look(self, look: RolloutLook) -> list[str]:
        line = _LOOK.format(
            time=self._time(look.at),
            percent=f"{look.percent:g}",
            verdict=look.verdict.replace("_", " "),
            candidate=_failed(look.candidate),
            legacy=_failed(look.legacy),
            callers=look.callers,
            times=f"{_p95(look.candidate)}, {_p95(look.legacy)}",
        )
        reasons = "; ".join(map(_short, look.reasons))
        before, self._reasons = self._reasons, _NUMBER.sub("", f"{look.percent} {reasons}")
        return [line] if before == self._reasons or not reasons else [line, f"{_UNDER}{reasons}"]

    def _of_move(self, move: RolloutMove) -> list[str]:
        change = f"{move.from_:g} % -> {move.to:g} %" if move.from_ != move.to else f"at {move.to:g} %"
        by = f" by {move.who}" if move.who else ""
        why = f": {move.why}" if move.why else ""
        line = f"{self._time(move.at):>8}  {change}  {move.what}{by}{why}"
        return [line] if move.look is None else [line, f"{_UNDER}{decided_by(move.look)}"]

    def _of_wait(self, status: RolloutStatus) -> list[str]:
        waits = (status.waits_for, status.percent)
        if waits == self._waits:
            return []
        self._waits = waits
        if status.waits_for == "hold" and status.state == "running" and status.until is not None:
            return [f"{_UNDER}{status.percent:g} % is held until {self._time(status.until)} at least"]
        return [f"{_UNDER}{status.why}"] if status.waits_for in _LOUD_WAITS else []

    def _of_notes(self, status: RolloutStatus) -> list[str]:
        notes = [note for note in status.notes if note not in self._notes]
        self._notes = status.notes
        return [f"{_UNDER}note: {note}" for note in notes]

    def _time(self, at: str) -> str:
        return self.elapsed(datetime.fromisoformat(at).timestamp())


def decided_by(look: RolloutLook) -> str:
    """Return the numbers of a look as a sentence."""
    return (
        f"decided by: the candidate failed {_failed(look.candidate)} requests, legacy {_failed(look.legacy)};"
        f" {look.callers} callers; p95 {_p95(look.candidate)} and {_p95(look.legacy)}"
    )


def _failed(arm: RolloutArmNumbers) -> str:
    return f"{arm.failed:,} of {arm.requests:,}"


def _p95(arm: RolloutArmNumbers) -> str:
    return "-" if arm.p95_ms is None else f"{arm.p95_ms:.1f} ms"


def _short(reason: str) -> str:
    """Return a reason without the numbers that the line above has."""
    return reason.partition(":")[0]
