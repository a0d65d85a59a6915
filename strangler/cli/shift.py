"""`strangler shift`: change the percent of a route in routes.yaml, in place."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from strangler.cli import ready
from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin, admin_option
from strangler.cli._completion import routes_of_file
from strangler.cli._config import config_option, failed
from strangler.cli._editing import diff_of, edited, read_texts, write_texts
from strangler.cli._evidence import Evidence, find_evidence
from strangler.cli._percent import Percent
from strangler.cli._shift_refused import way_out
from strangler.cli._terminal import console as terminal
from strangler.cli._terminal import plain
from strangler.cli._verdict import Verdict, as_data, short, verdict_of
from strangler.config.edit import Edit, HasRolloutError, has_gate, set_percent
from strangler.config.problem import Problem
from strangler.store.evidence.audits import FORCED, shift_text


@click.command()
@click.argument("route", shell_complete=routes_of_file)
@click.argument("percent", type=Percent())
@config_option
@admin_option
@click.option("--dry-run", is_flag=True, help="Show the change and leave the file as it is.")
@click.option("--force", is_flag=True, help="Shift even if the route's gate is not met; needs --why.")
@click.option("--why", help="Why; recorded with your name, and required with --force.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(
    route: str,
    percent: float,
    config: Path,
    admin: NamedAdmin | None,
    dry_run: bool,
    force: bool,
    why: str | None,
    as_json: bool,
) -> None:
    """Send PERCENT of the callers of ROUTE to its candidate.

    The file is edited in place: comments and layout stay, and only a file that `strangler check` accepts is written.
    A running proxy picks the change up by itself.

    A route that has a `gate` gets more callers only once `strangler ready` calls it ready, or with --force. The verdict
    is printed in any case.

    A route with a `rollout` is not shifted: exit code 1. `strangler rollout` moves it.

    \b
    strangler shift orders 25
    """
    files = read_texts(config)
    try:
        edit = edited(config, lambda: set_percent(files, route, percent, os.environ))
    except HasRolloutError as error:
        for line in way_out(config, admin, percent, error):
            click.echo(plain(line), err=True)
        raise SystemExit(1) from None
    evidence = _Lazy(config, admin, edit)
    if not dry_run and edit.changed:
        is_forced = _passes_gate(evidence, route, percent, edit, force, why)
        write_texts(config, edit)
        _note(evidence, route, percent, edit, why or "", is_forced)
    verdict = evidence.verdict(route)
    warnings = [warning for warning in edit.loaded.warnings if warning.where == f"route '{route}'"]
    if as_json:
        data = _as_data(config, route, percent, edit, dry_run, warnings) | {"verdict": as_data(*verdict)}
        click.echo(json.dumps(data, ensure_ascii=False, indent=2))
        return
    _print_shift(config, route, percent, edit, dry_run)
    for line in short(*verdict):
        click.echo(plain(line))
    for warning in warnings:
        click.echo(str(warning), err=True)


class _Lazy:
    """The evidence, looked up only when it is needed: a shift down must not wait for anything."""

    def __init__(self, config: Path, admin: NamedAdmin | None, edit: Edit) -> None:
        self._config = config
        self._admin = admin
        self._settings = edit.loaded.settings
        self._found: Evidence | None = None
        self._verdict: tuple[Verdict | None, str | None] | None = None

    def get(self) -> Evidence:
        if self._found is None:
            self._found = find_evidence(self._config, self._admin, self._settings)
        return self._found

    def verdict(self, route: str) -> tuple[Verdict | None, str | None]:
        """Return the verdict of the gate, read once, or why there is none."""
        if self._verdict is None:
            self._verdict = verdict_of(lambda: self.get().ready(route))
        return self._verdict


def _passes_gate(evidence: _Lazy, route: str, percent: float, edit: Edit, force: bool, why: str | None) -> bool:
    """Return whether only --force allows the shift. End the program if the route is not ready and it is not given."""
    is_raise = edit.old_percent is None or percent > edit.old_percent
    if not is_raise or not has_gate(edit.before, route):
        return False
    if force and not why:
        raise failed("--force needs --why: it is recorded")
    found, unknown = evidence.verdict(route)
    if found is not None and found.verdict == "ready":
        return False
    if force:
        return True
    if found is not None:
        console = terminal(stderr=True)
        for line in ready.lines(found):
            console.print(line, soft_wrap=True)
    else:
        click.echo(unknown, err=True)
    click.echo(f"route '{route}' stays as it is: its gate is not met; --force --why '…' shifts it anyway", err=True)
    raise SystemExit(1)


def _note(evidence: _Lazy, route: str, percent: float, edit: Edit, why: str, is_forced: bool) -> None:
    """Record the shift in the audit. The file is written by now: a failure is printed, and with --force an error."""
    text = shift_text(edit.old_percent, percent)
    if is_forced:
        found, _ = evidence.verdict(route)
        text += f"; the gate said: {'unknown' if found is None else found.verdict}"
    try:
        evidence.get().audit(FORCED if is_forced else "shift", route, why, acting_user(), text)
    except click.ClickException as error:
        warning = f"route '{route}' is shifted, but the audit cannot be written: {plain(error.format_message())}"
        click.echo(warning, err=True)
        if is_forced:
            raise SystemExit(1) from None


def _print_shift(config: Path, route: str, percent: float, edit: Edit, dry_run: bool) -> None:
    if not edit.changed:
        click.echo(f"{config}: route '{route}' is at {percent:g} % already")
        return
    click.echo(diff_of(edit), nl=False)
    state = "would be shifted" if dry_run else "shifted"
    was = "" if edit.old_percent is None else f" from {edit.old_percent:g} %"
    click.echo(f"{edit.changed[0]}: route '{route}' {state}{was} to {percent:g} %")


def _as_data(
    config: Path, route: str, percent: float, edit: Edit, dry_run: bool, warnings: list[Problem]
) -> dict[str, object]:
    return {
        "file": edit.changed[0] if edit.changed else str(config),
        "route": route,
        "from": edit.old_percent,
        "to": percent,
        "changed": bool(edit.changed) and not dry_run,
        "diff": diff_of(edit),
        "warnings": [asdict(warning) for warning in warnings],
    }
