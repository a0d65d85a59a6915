"""`strangler shift`: change the percent of a route in routes.yaml, in place."""

import getpass
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from strangler.cli import ready
from strangler.cli._admin import admin_option
from strangler.cli._config import config_option, failed
from strangler.cli._editing import diff_of, edited, read_file, write_file
from strangler.cli._evidence import Evidence, find_evidence
from strangler.cli._terminal import console as terminal
from strangler.config.edit import Edit, has_gate, route_names, set_percent
from strangler.config.problem import Problem
from strangler.config.scalars import percent as read_percent


class _Percent(click.ParamType[float]):
    """`25`, `25%` or `0.5`."""

    name = "percent"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return read_percent(str(value))
        except ValueError as error:
            self.fail(f"{value} is not possible; {error}", param, ctx)


def _known_routes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For shell completion: the routes of the file that the command line names."""
    try:
        text = Path(ctx.params.get("config") or "routes.yaml").read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return []
    return [name for name in route_names(text) if name.startswith(incomplete)]


@click.command()
@click.argument("route", shell_complete=_known_routes)
@click.argument("percent", type=_Percent())
@config_option
@admin_option
@click.option("--dry-run", is_flag=True, help="Show the change and leave the file as it is.")
@click.option("--force", is_flag=True, help="Shift even if the route's gate is not met; needs --why.")
@click.option("--why", help="Why it is forced; written down with your name.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(
    route: str,
    percent: float,
    config: Path,
    admin: str | None,
    dry_run: bool,
    force: bool,
    why: str | None,
    as_json: bool,
) -> None:
    """Send PERCENT of the callers of ROUTE to its candidate.

    The file is edited in place: comments and layout stay, and only a file that `strangler check` accepts is written.
    A running proxy takes the change up by itself.

    A route that has a `gate` gets more callers only once `strangler ready` calls it ready, or by force.

    \b
    strangler shift orders 25
    """
    before = read_file(config)
    edit = edited(before, config, lambda text: set_percent(text, str(config), route, percent, os.environ))
    if not dry_run and edit.after != edit.before:
        note_it = None
        if edit.old_percent is not None and percent > edit.old_percent and has_gate(edit.before, str(config), route):
            change = f"{edit.old_percent:g} to {percent:g} %"
            note_it = _pass_gate(find_evidence(config, admin), route, change, force, why)
        write_file(config, before, edit)
        if note_it is not None:  # only what has happened is noted
            _note(note_it, config, route)
    warnings = [warning for warning in edit.loaded.warnings if warning.where == f"route '{route}'"]
    if as_json:
        click.echo(json.dumps(_as_data(config, route, percent, edit, dry_run, warnings), ensure_ascii=False, indent=2))
        return
    _tell(config, route, percent, edit, dry_run)
    for warning in warnings:
        click.echo(str(warning), err=True)


def _pass_gate(evidence: Evidence, route: str, change: str, force: bool, why: str | None) -> Callable[[], None] | None:
    """Return what writes a forced shift down, to be called once it is done; None if the gate is met.

    Ends the program if the route is not ready and nobody takes it upon themselves.
    """
    if force and not why:
        raise failed("--force needs --why: it is written down")
    found = _verdict(evidence, route)
    if found is not None and found["verdict"] == "ready":
        return None
    if force and why:
        verdict = "unknown" if found is None else found["verdict"]
        detail = f"{change}; the gate said: {verdict}"
        return partial(evidence.audit, "shift --force", route, why, getpass.getuser(), detail)
    console = terminal(stderr=True)
    for line in ready.lines(found) if found is not None else []:
        console.print(line, soft_wrap=True)
    click.echo(
        f"route '{route}' stays as it is: its gate is not met; --force --why '…' shifts it all the same", err=True
    )
    raise SystemExit(1)


def _note(note_it: Callable[[], None], config: Path, route: str) -> None:
    try:
        note_it()
    except click.ClickException as error:
        said = f"{config}: route '{route}' was shifted, but that could not be written down: {error.format_message()}"
        raise click.ClickException(said) from None


def _verdict(evidence: Evidence, route: str) -> dict[str, Any] | None:
    """What the gate says; None if nothing was compared yet."""
    try:
        return evidence.ready(route)
    except click.ClickException as error:
        click.echo(error.format_message(), err=True)
        return None


def _tell(config: Path, route: str, percent: float, edit: Edit, dry_run: bool) -> None:
    if edit.after == edit.before:
        click.echo(f"{config}: route '{route}' is at {percent:g} % already")
        return
    click.echo(diff_of(config, edit), nl=False)
    said = "would be shifted" if dry_run else "shifted"
    was = "" if edit.old_percent is None else f" from {edit.old_percent:g} %"
    click.echo(f"{config}: route '{route}' {said}{was} to {percent:g} %")


def _as_data(
    config: Path, route: str, percent: float, edit: Edit, dry_run: bool, warnings: list[Problem]
) -> dict[str, object]:
    changed = edit.after != edit.before
    return {
        "file": str(config),
        "route": route,
        "from": edit.old_percent,
        "to": percent,
        "changed": changed and not dry_run,
        "diff": diff_of(config, edit),
        "warnings": [asdict(warning) for warning in warnings],
    }
