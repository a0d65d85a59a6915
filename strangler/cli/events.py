"""`strangler events`: what has happened, and what happens now."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from strangler.cli._admin import Admin, NamedAdmin, admin_option, find_admin
from strangler.cli._config import config_option
from strangler.cli._json import json_text
from strangler.cli._terminal import console as terminal
from strangler.cli._times import Since
from strangler.core.documents import EventDocument, EventsDocument, StoredEvent

_FOLLOW_EVERY_S = 0.5
_PAGE = 500
_STYLES = {
    "breaker.opened": "bold red",
    "routes.rejected": "bold red",
    "shadow.halted": "bold red",
    "shadow.stopped": "bold red",
    "store.away": "bold red",
    "gate.passed_by": "bold red",
    "signature.regressed": "bold red",
    "signature.new": "yellow",
    "kill_switch": "bold yellow",
    "route.ready": "bold green",
    "candidate.slow": "yellow",
    "candidate.slow_over": "green",
    "release.changed": "cyan",
    "certificate.expiring": "yellow",
    "retire.brownout_began": "yellow",
    "retire.sunset": "yellow",
    "breaker.closed": "green",
    "shadow.resumed": "green",
    "shadow.started": "green",
    "store.back": "green",
}


@click.command()
@config_option
@admin_option
@click.option("--since", type=Since(), default="7d", show_default=True, help="How far back: 30m, 2h, 2026-11-23.")
@click.option("--follow", is_flag=True, help="Keep printing new events, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as CloudEvents JSON, one per line.")
def command(config: Path, admin: NamedAdmin | None, since: float, follow: bool, as_json: bool) -> None:
    """Show what has happened: shifts, reloads, breakers and more.

    Exit code 1 if no proxy runs.
    """
    proxy = find_admin(config, admin)
    with suppress(KeyboardInterrupt):
        _show(proxy, since, follow=follow, as_json=as_json)


def _show(proxy: Admin, since: float, *, follow: bool, as_json: bool) -> None:
    console = terminal()
    after = 0
    while True:
        found = _page(proxy, after, since)
        for entry in found:
            after = entry.seq
            if as_json:
                click.echo(json_text(entry.event))
            else:
                console.print(_line(entry.event), soft_wrap=True)
        if found:
            continue
        if not follow:
            return
        time.sleep(_FOLLOW_EVERY_S)


def _page(proxy: Admin, after: int, since: float) -> list[StoredEvent]:
    return proxy.ask("GET", f"/api/events?after={after}&since={since}&limit={_PAGE}", EventsDocument).events


def _line(event: EventDocument) -> str:
    """Return `2026-11-23T08:00:00.123Z  route.shifted  orders  from=25 to=50`."""
    style = _STYLES.get(event.type, "bold")
    fields = " ".join(f"{key}={_text(value)}" for key, value in event.data.items() if value not in ([], None))
    return f"[dim]{event.time}[/]  [{style}]{event.type}[/]  {escape(event.subject)}  {escape(fields)}"


def _text(value: Any) -> str:
    """Return the value as text that cannot control the terminal."""
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)
