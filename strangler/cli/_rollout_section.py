"""Rollouts in the report: where each stands, and when it was moved, by which numbers, and by whom."""

from collections.abc import Callable, Sequence
from html import escape

from strangler.cli._rollout_table import failed_text, minute_text, p95_text
from strangler.core.documents import RolloutMove, RolloutReport
from strangler.core.plain import plain_line
from strangler.core.rollout_text import ladder_text, look_text, percents_text

_Row = Callable[[RolloutMove], str]
_NUMBERS = (
    "<th class=number>failed, legacy</th><th class=number>failed, candidate</th><th class=number>p95, legacy</th>"
    "<th class=number>p95, candidate</th><th class=number>callers</th>"
)


def rollout_section(rollouts: Sequence[RolloutReport]) -> str:
    """Return the section, empty without a rollout. Everything that came from outside is escaped."""
    if not rollouts:
        return ""
    return "\n".join(
        [
            "<section id=rollouts><h2>Rollouts: how the percents have climbed</h2>",
            "<p class=dim>Times are in UTC. Numbers are those since the step before began, as the look had them that"
            " decided.</p>",
            *(_rollout(rollout) for rollout in rollouts),
            "</section>",
        ]
    )


def _rollout(rollout: RolloutReport) -> str:
    names = ", ".join(_text(name) for name in rollout.routes)
    together = " (they climb as one)" if len(rollout.routes) > 1 else ""
    climbs = [move for move in rollout.moves if _is_climb(move)]
    falls = [move for move in rollout.moves if _is_fall(move)]
    decisions = [move for move in rollout.moves if move.who]
    others = [move for move in rollout.moves if not (_is_climb(move) or _is_fall(move) or move.who)]
    return "\n".join(
        [
            f"<h3>{names}{together}: {rollout.state} at {rollout.percent:g} %</h3>",
            f"<p class=dim>steps: {_text(ladder_text(rollout.steps, rollout.percent))}</p>",
            _table("Steps entered", f"<th>when</th><th>step</th>{_NUMBERS}<th>why</th>", climbs, _moved),
            _table("Falls, and steps back", f"<th>when</th><th>step</th>{_NUMBERS}<th>why</th>", falls, _moved),
            _table(
                "Decisions of people",
                "<th>when</th><th>who</th><th>what</th><th>at</th><th>why</th>",
                decisions,
                _decided,
            ),
            _table("Also", "<th>when</th><th>what</th><th>at</th><th>why</th>", others, _noted),
            "" if rollout.moves else "<p class=dim>Nothing has moved it yet.</p>",
        ]
    )


def _is_climb(move: RolloutMove) -> bool:
    return move.what == "stepped" and move.to > move.from_


def _is_fall(move: RolloutMove) -> bool:
    return move.what == "failed" or (move.what == "stepped" and move.to < move.from_)


def _table(title: str, columns: str, moves: Sequence[RolloutMove], row: _Row) -> str:
    if not moves:
        return ""
    rows = "".join(f"<tr>{row(move)}</tr>" for move in moves)
    return (
        f"<h4>{title}</h4><div class=wide><table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _moved(move: RolloutMove) -> str:
    look = move.look
    cells = (
        ["-"] * 5
        if look is None
        else [
            *(failed_text(look.legacy), failed_text(look.candidate)),
            *(p95_text(look.legacy), p95_text(look.candidate)),
            f"{look.callers:,}",
        ]
    )
    numbers = "".join(f"<td class=number>{escape(cell)}</td>" for cell in cells)
    reasons = [] if look is None else look.reasons
    why = "; ".join([move.why, *reasons]) if _is_fall(move) else move.why
    return f"<td>{minute_text(move.at)}</td><td>{_percents(move)}</td>{numbers}<td>{_text(why)}</td>"


def _decided(move: RolloutMove) -> str:
    return (
        f"<td>{minute_text(move.at)}</td><td>{_text(move.who)}</td><td>{_text(look_text(move.what))}</td>"
        f"<td>{_percents(move)}</td><td>{_text(move.why)}</td>"
    )


def _noted(move: RolloutMove) -> str:
    return (
        f"<td>{minute_text(move.at)}</td><td>{_text(look_text(move.what))}</td><td>{_percents(move)}</td>"
        f"<td>{_text(move.why)}</td>"
    )


def _percents(move: RolloutMove) -> str:
    return escape(percents_text(move.what, move.from_, move.to))


def _text(text: str) -> str:
    return escape(plain_line(text))
