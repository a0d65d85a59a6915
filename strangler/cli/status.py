"""`strangler status`: what the running proxy does now."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from strangler.cli._admin import admin_option, config_option, find_admin

_BREAKER_STYLES = {"closed": "green", "half_open": "yellow", "open": "bold red", "disabled": "dim"}


@click.command()
@config_option
@admin_option
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def command(config: Path, admin: str | None, as_json: bool) -> None:
    """Show routes, arms, breakers and problems of the running proxy.

    Exit status 1 if no proxy runs.
    """
    status = find_admin(config, admin).ask("GET", "/api/status")
    if as_json:
        click.echo(json.dumps(status, ensure_ascii=False))
        return
    console = Console(highlight=False)
    for line in _notices(status):
        console.print(line, soft_wrap=True)
    console.print(_routes(status["routes"], status["unrouted"]))
    console.print(_upstreams(status["upstreams"]))


def _notices(status: dict[str, Any]) -> list[str]:
    """First what is wrong, if anything is, then what runs."""
    switch, config = status["kill_switch"], status["config"]
    lines = []
    if switch["on"]:
        lines.append(f"[bold red]kill switch ON[/] since {switch['since']}: {escape(switch['reason'])}")
    if status["is_draining"]:
        lines.append("[bold yellow]draining[/]: no new connections are taken")
    if config["problems"]:
        lines.append(f"[bold red]routes.yaml is rejected[/]; generation {config['generation']} stays in force:")
        lines += [f"  {escape(problem)}" for problem in config["problems"]]
    if config["needs_restart"]:
        lines.append(f"[yellow]needs a restart[/] to take effect: {', '.join(config['needs_restart'])}")
    lines += [f"[bold red]{part}[/]: {escape(problem)}" for part, problem in status["problems"].items()]
    return [*lines, _processes(status)]


def _processes(status: dict[str, Any]) -> str:
    pid = status["pid"]
    workers = ", ".join(_worker(worker, status["config"]["generation"]) for worker in status["workers"])
    return (
        f"listening at {status['listen']}, generation {status['config']['generation']}"
        f" since {status['config']['since']}\n"
        f"supervisor {pid.get('supervisor')}, control {pid.get('control')}, workers: {workers or 'none'}"
    )


def _worker(worker: dict[str, Any], generation: int) -> str:
    notes = []
    if not worker["is_connected"]:
        notes.append("starting")
    elif worker["generation"] != generation:
        notes.append(f"still at generation {worker['generation']}")
    if worker["restarts"]:
        notes.append(f"restarted {worker['restarts']} times")
    return f"{worker['pid']} ({', '.join(notes)})" if notes else str(worker["pid"])


def _routes(routes: list[dict[str, Any]], unrouted: dict[str, Any]) -> Table:
    table = _table("route", "match", "candidate", "percent>", "legacy>", "candidate>")
    for route in routes:
        percent = f"{route['percent']:g}%" if route["enabled"] else "[yellow]disabled[/]"
        counts = route["requests"]
        table.add_row(
            escape(route["name"]),
            escape(route["match"]),
            escape(route["candidate"] or "aggregate"),
            percent,
            f"{counts['legacy']:,}",
            f"{counts['candidate']:,}",
        )
    table.add_row("[dim]no route[/]", "", "", "", f"{unrouted['requests']['legacy']:,}", "")
    return table


def _upstreams(upstreams: list[dict[str, Any]]) -> Table:
    table = _table("upstream", "URLs", "breaker", "in flight>")
    for upstream in upstreams:
        breaker = upstream["breaker"]
        text = f"[{_BREAKER_STYLES[breaker]}]{breaker}[/]"
        if upstream["breaker_reason"]:
            text += f": {escape(upstream['breaker_reason'])}"
        table.add_row(escape(upstream["name"]), _endpoints(upstream["endpoints"]), text, _in_flight(upstream))
    return table


def _endpoints(states: dict[str, str]) -> str:
    notes = {"in_use": "", "put_aside": " [yellow](put aside)[/]", "unhealthy": " [bold red](unhealthy)[/]"}
    return " ".join(f"{escape(url)}{notes[state]}" for url, state in states.items())


def _in_flight(upstream: dict[str, Any]) -> str:
    waiting = f" + {upstream['waiting']} waiting" if upstream["waiting"] else ""
    return f"{upstream['in_flight']}{waiting}"


def _table(*columns: str) -> Table:
    """A column whose title ends with `>` holds figures."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        title = column.rstrip(">")
        table.add_column(title, justify="right" if title != column else "left", overflow="fold")
    return table
