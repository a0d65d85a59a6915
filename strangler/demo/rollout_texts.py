"""The texts of the demo of a rollout, and when each explanation is due."""

from strangler.core.documents import RolloutMove, RolloutStatus
from strangler.demo.candidate import Harm

GUIDE = """\
Running: a shop (legacy), its new service (candidate) for orders, the proxy,
{visitors} visitors, and {apps} apps that read orders.

  the shop, through the proxy  {proxy}/
  dashboard                    {admin}/
  routes                       {routes}
  the proxy's log              {log}

The rollout of route 'orders' is started, and climbs by itself. Each look has the numbers since its step began.
Where the demo is in more of a hurry than you should be, the routes say so. Try in another terminal:
  {strangler} rollout status orders -c {routes}
  {strangler} rollout back orders -c {routes}
  {strangler} kill-switch on --route orders -c {routes}
Ctrl-C stops everything{and_removes}.
"""

KEYS = """\
Press  b{enter}: the candidate gets a release that fails one request in ten; b again: one that is mended
       d{enter}: a release that fails every request; d again: one that is mended
       r{enter}: resume, once the rollout is paused
"""

WITHOUT_KEYS = """\
There is no terminal to press keys in. Break the candidate from another one:
  kill -USR1 {pid}   the candidate gets a release that fails one request in ten; again: one that is mended
  kill -USR2 {pid}   a release that fails every request; again: one that is mended
  {resume}   once the rollout is paused
"""

BROKEN = {
    Harm.NONE: "mended. Its evidence begins anew, since it is another release",
    Harm.SOME: "one request in ten fails. Legacy stands in where that is safe",
    Harm.ALL: "every request fails. Legacy stands in where that is safe",
}

STEP_BACK, BREAKER, PAUSED, DONE = "step back", "breaker", "paused", "done"

_INDENT = " " * 19
EXPLAINED = {
    STEP_BACK: f"""\
{_INDENT}Looks brought it down, one step (`then: step_back`), and it may climb again from there. The
{_INDENT}breaker stays closed: it opens after 5 failures in a row or at 50 %. To see the breaker: d.""",
    BREAKER: f"""\
{_INDENT}The breaker brought it down: to 0 % at once, without a look, and paused. It opens after 5
{_INDENT}failures in a row or at 50 %; looks are for smaller faults. To see looks: b, once it climbs.""",
    PAUSED: f"""\
{_INDENT}Paused: somebody has to see to it. Mend the candidate, then press r, or run
{_INDENT}{{resume}}""",
    DONE: f"""\
{_INDENT}All callers are at the candidate, and the last step has held: nobody looks any more. The
{_INDENT}breaker and the kill switch still count. To see it fall: d.""",
}


def occasions(before: RolloutStatus | None, after: RolloutStatus) -> list[str]:
    """Return the explanations that are due after two statuses in a row."""
    found = []
    known = set() if before is None else {move.at for move in before.moves}
    falls = [move for move in after.moves if move.what == "failed" and move.at not in known]
    found += [BREAKER if _is_by_breaker(move) else STEP_BACK for move in falls]
    if before is None or before.state != after.state:
        found += [{"paused": PAUSED, "done": DONE}[after.state]] if after.state in ("paused", "done") else []
    return found


def _is_by_breaker(move: RolloutMove) -> bool:
    return not move.to and "breaker" in move.why


def hint_on(harm: Harm, status: RolloutStatus | None) -> str:
    """Return what a visitor should know of breaking the candidate now; nothing if it will show as told."""
    if status is None or harm is Harm.NONE:
        return ""
    if not status.percent:
        return f"{_INDENT}The candidate serves nobody at 0 %, so only its shadows fail: the gate will not open."
    if status.state == "done" and harm is Harm.SOME:
        return f"{_INDENT}The rollout is done, and nobody looks any more. One in ten does not open the breaker; d does."
    if status.state == "paused":
        return f"{_INDENT}The rollout is paused: looks move nothing. The breaker does."
    return ""
