"""The tables of `strangler status`."""

import shlex
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from strangler.cli._node_table import NODE_COLUMNS, add_nodes, node_notices
from strangler.core.documents import (
    EngineStatus,
    LedgerStatus,
    MatchFigures,
    NodeStatus,
    PassedGate,
    ReceiverStatus,
    RetireStatus,
    RolloutShort,
    RouteKillSwitch,
    RouteStatus,
    SinkStatus,
    SlowEndpoint,
    StatusDocument,
    UnroutedStatus,
    UpstreamStatus,
    WorkerStatus,
)
from strangler.core.gate import cut_percent
from strangler.core.kill_switch_text import kill_switch_note, node_only_text
from strangler.core.recording_text import recording_text
from strangler.core.retire_text import refuses, retire_text
from strangler.core.rollout_text import WAITS_FOR_PERSON, next_percent, routes_text, waits_text
from strangler.core.slowness import slow_text
from strangler.store.evidence.stopped_routes import stopped_text

_BREAKER_STYLES = {"closed": "green", "half_open": "yellow", "open": "bold red", "disabled": "dim"}


def notices(status: StatusDocument) -> list[str]:
    """Return lines of markup: first what is wrong, if anything is, then what runs."""
    switch, config = status.kill_switch, status.config
    lines = []
    if switch.on:
        reason = f": {escape(switch.reason)}" if switch.reason else ""
        lines.append(f"[bold red]kill switch ON[/] since {switch.since}{reason}")
    lines += [_killed(name, killed, status.routes) for name, killed in switch.routes.items()]
    if (limits := node_only_text(switch)) is not None:
        lines.append(f"[bold red]kill switch[/] as it was turned last, {escape(limits)}")
    if status.is_draining:
        lines.append("[bold yellow]draining[/]: no new connections are taken")
    if config.problems:
        lines.append(f"[bold red]routes.yaml is rejected[/]; generation {config.generation} stays in force:")
        lines += [f"  {escape(problem)}" for problem in config.problems]
    if config.needs_restart:
        lines.append(f"[yellow]needs a restart[/] to take effect: {', '.join(config.needs_restart)}")
    lines += [f"[bold red]{part}[/]: {escape(problem)}" for part, problem in status.problems.items()]
    lines += node_notices(status.nodes)
    lines += [_passed_by(item) for item in status.gates.passed_by.values()]
    lines += [_slow(item) for found in status.slow.values() for item in found]
    lines += [line for route in status.routes for line in _shadow(route)]
    lines += _rollouts(status.routes)
    lines += [_retire(route.name, route.retire) for route in status.routes if route.retire is not None]
    lines += [line for name, sink in status.events.sinks.items() for line in _sink(name, sink)]
    if status.recording is not None:
        lines.append(f"[yellow]recording[/] {escape(recording_text(status.recording))}")
    if status.ledger is not None:
        lines += _ledger(status.ledger)
    return [*lines, _processes(status)]


def _killed(name: str, killed: RouteKillSwitch, routes: Sequence[RouteStatus]) -> str:
    """Return the line about a route that the kill switch is on for by itself."""
    reason = f": {escape(killed.reason)}" if killed.reason else ""
    since, no_effect = killed.since or "an unknown time", kill_switch_note(name, routes)
    note = f" [dim]({no_effect})[/]" if no_effect else ""
    return f"[bold red]kill switch ON for route '{escape(name)}'[/] since {since}{reason}{note}"


def _ledger(ledger: LedgerStatus) -> list[str]:
    """Return the line about how far the migration is, once there are endpoints."""
    states = {name: count for name, count in ledger.states.items() if count and name != "probed"}
    if not states:
        return []
    total, counts = sum(states.values()), ", ".join(f"{count} {name}" for name, count in states.items())
    share = f"candidates served {100 * ledger.share:.3g} % of the requests of the last 7 days"
    return [f"ledger: {total} endpoint{'s' if total != 1 else ''} ({counts}); {share}"]


def _passed_by(passed: PassedGate) -> str:
    """Return the line about a route whose percent an edit of routes.yaml has raised past its gate."""
    return (
        f"[bold red]route '{escape(passed.route)}' was raised past its gate[/], from {passed.from_:g} %"
        f" to {passed.to:g} %: {escape(passed.verdict)}; see `strangler ready {escape(passed.route)}`"
    )


def _slow(slowness: SlowEndpoint) -> str:
    """Return the line about an endpoint where the candidate is much slower than legacy."""
    return f"[yellow]route '{escape(slowness.route)}'[/]: {escape(slow_text(slowness))}"


def _retire(name: str, retire: RetireStatus) -> str:
    """Return the line about a route that ends."""
    style = "dim" if retire.in_force == "announced" else "yellow"
    return f"[{style}]route '{escape(name)}'[/]: {escape(retire_text(retire))}"


def _shadow(route: RouteStatus) -> list[str]:
    """Return the line about what holds the shadows of a route back, if anything does."""
    shadow = route.shadow
    if shadow is None:
        return []
    if shadow.stopped is not None:
        return [stopped(route.name, shadow.stopped)]
    about = f"shadows of route '{escape(route.name)}'"
    away = [name for name, state in shadow.breakers.items() if state != "closed"]
    return [f"[yellow]{about}[/]: {escape(', '.join(away))} does not respond"] if away else []


def _rollouts(routes: Sequence[RouteStatus]) -> list[str]:
    """Return the lines about rollouts that wait for a person: one for the routes that climb as one."""
    names: dict[str, list[str]] = {}
    for route in routes:
        if route.rollout is not None:
            names.setdefault(route.rollout.group, []).append(route.name)
    lines = []
    for route in routes:
        short = route.rollout
        if short is None or short.waits_for not in WAITS_FOR_PERSON or names[short.group][0] != route.name:
            continue
        together, name = names[short.group], escape(shlex.quote(route.name))
        command = f"`strangler rollout {short.waits_for} {name}`, or see `strangler rollout status {name}`"
        waits = waits_text(short.waits_for, next_percent(short.steps, route.percent))
        about = f"{'its' if len(together) == 1 else 'their'} rollout is {short.state}, and waits for {waits}"
        lines.append(f"[yellow]{escape(routes_text(together))}[/]: {about}: {command}")
    return lines


def stopped(route: str, why: str) -> str:
    """Return the line, as markup, about shadows of a route that have stopped by themselves."""
    return f"[bold red]{escape(stopped_text(route, why))}[/]"


def _sink(name: str, sink: SinkStatus) -> list[str]:
    """Return the lines about events that wait for a sink, or that it has refused or lost."""
    lines = []
    if sink.problem is not None:
        lines.append(f"[yellow]{sink.backlog} events wait for {name}[/]: {escape(sink.problem)}")
    if sink.dead:
        lines.append(
            f"[bold red]{sink.dead} events were refused by {name}[/], the last: {escape(sink.last_dead or '')}"
        )
    if sink.lost:
        lines.append(f"[bold red]{sink.lost} events never reached {name}[/]: too many or too old while it was away")
    return lines


def _processes(status: StatusDocument) -> str:
    pid, receiver = status.pid, status.receiver
    workers = ", ".join(_worker(worker, status.config.generation) for worker in status.workers)
    received = "" if receiver is None else f"{_receiver(receiver)}\n"
    where = "no client connects" if receiver is not None and receiver.is_alone else f"listening at {status.listen}"
    return (
        f"{received}{where}, generation {status.config.generation} since {status.config.since}\n"
        f"supervisor {pid.supervisor or None}, control {pid.control or None}, {_serving(status.engine, workers)}"
    )


def _serving(engine: EngineStatus, processes: str) -> str:
    """Return the processes that take requests: `workers: 71`, or `Envoy 1.40.0: 72, run by 71`."""
    if engine.name == "builtin":
        return f"workers: {processes or 'none'}"
    pid = "not ours, or none" if engine.pid is None else str(engine.pid)
    return f"Envoy {engine.version or '(none heard yet)'}: {pid}, run by {processes or 'none'}"


def _receiver(receiver: ReceiverStatus) -> str:
    """Return the line about the mirrored requests that have come."""
    counts = ", ".join(f"{count:,} {result}" for result, count in receiver.received.items() if count)
    kind = "receiver only, at" if receiver.is_alone else "receiver at"
    return f"{kind} {escape(receiver.listen)}, mirrored requests: {counts or 'none yet'}"


def _worker(worker: WorkerStatus, generation: int) -> str:
    notes = []
    if not worker.is_connected:
        notes.append("starting")
    elif worker.generation != generation:
        notes.append(f"still at generation {worker.generation}")
    if worker.restarts:
        notes.append(f"restarted {worker.restarts} times")
    return f"{worker.pid} ({', '.join(notes)})" if notes else str(worker.pid)


def routes(routes: Sequence[RouteStatus], unrouted: UnroutedStatus) -> Table:
    """Return a table of the routes, the requests that each arm has served, and the pairs that match as judged now.

    Pairs and owners have columns only if there are any: a terminal has 80 columns.
    """
    is_owned = any(route.owner is not None for route in routes)
    is_judged = any(route.judged is not None for route in routes)
    of_pairs = ("pairs>", "matching>") if is_judged else ()
    of_owner = ("owner",) if is_owned else ()
    made = table("route", *of_owner, "match", "candidate", "percent>", "legacy>", "candidate>", *of_pairs)
    for route in routes:
        counts = route.requests
        made.add_row(
            escape(route.name),
            *((escape(route.owner or ""),) if is_owned else ()),
            escape(route.match),
            candidate(route),
            percent(route),
            f"{counts.legacy:,}",
            f"{counts.candidate:,}",
            *(_judged(route.judged) if is_judged else ()),
        )
    made.add_row("[dim]no route[/]", *[""] * len(of_owner), "", "", "", f"{unrouted.requests.legacy:,}", "")
    return made


def _judged(judged: MatchFigures | None) -> tuple[str, str]:
    """Return the pairs that count, and the share of them that match, never rounded up."""
    if judged is None:
        return "", ""
    share = judged.share
    return f"{judged.pairs:,}", "-" if share is None else f"{cut_percent(share):g}%"


def upstreams(upstreams: Sequence[UpstreamStatus]) -> Table:
    """Return a table of the upstreams: breakers, endpoints, requests in flight."""
    made = table("upstream", "URLs", "breaker", "in flight>")
    for upstream in upstreams:
        breaker = upstream.breaker
        text = f"[{_BREAKER_STYLES[breaker]}]{breaker}[/]"
        if upstream.breaker_reason:
            text += f": {escape(upstream.breaker_reason)}"
        made.add_row(escape(upstream.name), _endpoints(upstream.endpoints), text, _in_flight(upstream))
    return made


def nodes(nodes: Sequence[NodeStatus]) -> Table:
    """Return a table of the nodes of a fleet."""
    return add_nodes(table(*NODE_COLUMNS), nodes)


def percent(route: RouteStatus) -> str:
    """Return a route's split, or why it has none."""
    if not route.enabled:
        return "[yellow]disabled[/]"
    refusal = refuses(route)
    if refusal is not None:
        return f"[yellow]{refusal}[/]"
    if route.killed and not route.passthrough:
        return "[bold red]killed[/]"
    if route.passthrough:
        return "[dim]passthrough[/]"
    return f"{route.percent:g}%" if route.rollout is None else f"{route.percent:g}% {_climbing(route.rollout)}"


def _climbing(rollout: RolloutShort) -> str:
    """Return `running 3/5`: the state of a rollout and its step; a state that is waited for by a person is marked."""
    text = f"{rollout.state} {rollout.step}/{len(rollout.steps)}"
    return f"[yellow]{text}[/]" if rollout.waits_for in WAITS_FOR_PERSON else text


def candidate(route: RouteStatus) -> str:
    """Return a route's upstream, or those of an aggregate's parts."""
    return escape(route.candidate or " + ".join(dict.fromkeys(route.parts or ())))


def _endpoints(states: dict[str, str]) -> str:
    notes = {"in_use": "", "put_aside": " [yellow](put aside)[/]", "unhealthy": " [bold red](unhealthy)[/]"}
    return " ".join(f"{escape(url)}{notes[state]}" for url, state in states.items())


def _in_flight(upstream: UpstreamStatus) -> str:
    waiting = f" + {upstream.waiting} waiting" if upstream.waiting else ""
    return f"{upstream.in_flight}{waiting}"


def table(*columns: str) -> Table:
    """Return an empty table. A column whose title ends with `>` holds figures, which are never folded."""
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        title = column.rstrip(">")
        if title != column:
            made.add_column(title, justify="right", no_wrap=True)
        else:
            made.add_column(title, overflow="fold")
    return made
