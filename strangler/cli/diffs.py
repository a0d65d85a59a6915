"""`strangler diffs`: the inbox of differences that shadows have found, and what a reviewer says of them."""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.markup import escape

from strangler.cli import _inbox, _reproduce
from strangler.cli._admin import admin_option
from strangler.cli._choice import Choice, Row, choice_options, chosen, confirm, tell_rows
from strangler.cli._choice import named as named_row
from strangler.cli._config import failed, route_of, settings_of
from strangler.cli._editing import diff_of, edited, read_texts, write_texts
from strangler.cli._evidence import Evidence, find_evidence, known_release, release_option
from strangler.cli._side_by_side import side_by_side
from strangler.cli._tables import stopped
from strangler.cli._terminal import console as terminal
from strangler.cli._terminal import plain
from strangler.cli._times import Day, Since
from strangler.cli._who import who
from strangler.config.edit import Edit
from strangler.config.edit_accept import add_accepts
from strangler.config.files import Files
from strangler.control.shadow.evidence import STATES
from strangler.control.shadow.hints import order_hints
from strangler.control.shadow.reading import Filters, path_steps, utc_day
from strangler.control.shadow.reviews import AcceptPlan, Review, ReviewError, plan_accepts
from strangler.control.shadow.sides import told_value
from strangler.core.compare import Severity
from strangler.core.settings import Settings

_FOLLOW_EVERY_S = 1.0
_MOST_ROWS = 200
_WIDEST = 160
"""Columns that two answers side by side take at most."""

_F = TypeVar("_F", bound=Callable[..., Any])


def _where(command: _F) -> _F:
    """The options that say where to look."""
    config = click.option("-c", "--config", type=click.Path(path_type=Path), help="The routes.  [default: routes.yaml]")
    return config(admin_option(command))


def _config(ctx: click.Context, config: Path | None) -> Path:
    """`strangler diffs -c FILE show ID` and `strangler diffs show ID -c FILE` mean the same."""
    above = ctx.parent.params.get("config") if ctx.parent is not None else None
    return config or above or Path("routes.yaml")


def _evidence(ctx: click.Context, config: Path | None, admin: str | None, settings: Settings | None = None) -> Evidence:
    above = ctx.parent.params.get("admin") if ctx.parent is not None else None
    return find_evidence(_config(ctx, config), admin or above, settings)


@click.group(invoke_without_command=True)
@_where
@click.option("--route", help="Only this route.")
@click.option("--severity", type=click.Choice([str(severity) for severity in Severity]), help="Only this severity.")
@click.option("--endpoint", help="Only this endpoint, as it is named here: 'GET /api/orders/{}'.")
@click.option("--state", type=click.Choice(STATES), help="Only this state.")
@click.option("--noise", "is_noise", is_flag=True, help="Only those in which legacy differs from itself.")
@click.option("--since", type=Since(), help="Seen since then: 30m, 2h or 2026-11-23.")
@click.option(
    "--limit", type=click.IntRange(0), help="Rows of the table; 0: all.  [default: 200 on a terminal, else 0]"
)
@release_option
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.option("--follow", is_flag=True, help="Go on, and tell what is seen anew.")
@click.pass_context
def command(
    ctx: click.Context,
    config: Path | None,
    admin: str | None,
    route: str | None,
    severity: str | None,
    state: str | None,
    since: float | None,
    endpoint: str | None,
    is_noise: bool,
    limit: int | None,
    release: str | None,
    as_json: bool,
    follow: bool,
) -> None:
    """Show and review the differences that shadows have found.

    Gravest first. Each row is one difference: a route, the shape of an endpoint, a place in the answer, a kind. It
    stays until its cause is gone or somebody accepts it.
    """
    if ctx.invoked_subcommand is not None:
        return
    evidence = _evidence(ctx, config, admin)
    filters = Filters(route, severity, state, since, release)
    known_release(evidence, route, release)

    def inbox() -> dict[str, Any]:
        found = evidence.inbox(filters)
        rows = [row for row in found["signatures"] if endpoint in (None, row["endpoint"])]
        return found | {"signatures": [row for row in rows if row["is_noise"] or not is_noise]}

    if follow:
        _follow(lambda: inbox()["signatures"], as_json)
        return
    found = inbox()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    console = terminal()
    rows = found["signatures"]
    if rows:
        most = limit if limit is not None else _MOST_ROWS if console.is_terminal else 0
        console.print(_inbox.table(rows[:most] if most else rows, console.width))
        if most and len(rows) > most:
            console.print(f"[dim]{len(rows) - most:,} more: narrow it down, or --limit 0[/]")
    else:
        _knows(route, _config(ctx, config))
        is_all = filters == Filters() and endpoint is None and not is_noise
        console.print("no differences" if is_all else "no such differences")
    for hint in order_hints(rows):
        console.print(f"[cyan]hint[/]: {escape(hint.text)}", soft_wrap=True)
    for note in _notes(found):
        console.print(note, soft_wrap=True)


def _knows(route: str | None, config: Path) -> None:
    """Ends the program if `route` is a slip of the pen."""
    if route is not None:
        route_of(config, settings_of(config), route)


def _notes(found: dict[str, Any]) -> list[str]:
    """What else a reviewer should know."""
    notes = [stopped(name, why) for name, why in found["stops"].items()]
    for name, report in found["rules"].items():
        for rule in report["rules"]:
            about = f"route '{escape(name)}': accept rule {escape(rule['rule'])}"
            if rule["is_expired"]:
                notes.append(f"[yellow]{about} has expired[/] and no longer counts")
            elif rule["is_dead"]:
                notes.append(f"[yellow]{about} matched nothing[/] in {report['comparisons']:,} comparisons")
    return notes


def _follow(rows: Callable[[], list[dict[str, Any]]], as_json: bool) -> None:
    counts = {row["id"]: row["count"] for row in rows()}
    try:
        while True:
            time.sleep(_FOLLOW_EVERY_S)
            for row in rows():
                before = counts.get(row["id"], 0)
                if row["count"] != before:
                    click.echo(json.dumps(row, ensure_ascii=False) if as_json else plain(_inbox.news(row, before)))
                counts[row["id"]] = row["count"]
    except KeyboardInterrupt:
        return


def _named(evidence: Evidence, name: str, release: str | None = None) -> dict[str, Any]:
    """The one signature whose id begins so. Ends the program if there is none."""
    known_release(evidence, None, release)
    found = evidence.detail(name, release)
    if found is None:
        raise failed(f"no difference has the id {name}, or several begin so; see `strangler diffs`")
    return found


@command.command()
@click.argument("name", metavar="ID")
@_where
@click.option("--sample", "number", type=click.IntRange(1), default=1, show_default=True, help="1 is the newest.")
@click.option("--as", "form", type=click.Choice(["curl", "hurl", "pytest"]), help="Print only the request, as this.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.pass_context
def show(
    ctx: click.Context,
    name: str,
    config: Path | None,
    admin: str | None,
    number: int,
    form: str | None,
    as_json: bool,
) -> None:
    """Show both answers side by side, and the request to ask again.

    Values that were redacted stand as `redacted:…`; put your own in their place.
    """
    release = ctx.parent.params.get("release") if ctx.parent is not None else None
    row = _named(_evidence(ctx, config, admin), name, release)
    if as_json:
        click.echo(json.dumps(row, ensure_ascii=False))
        return
    samples = row["samples"]
    if number > len(samples):
        raise failed(f"{row['id']} has {len(samples)} samples, the newest is --sample 1")
    forms = _forms(row, samples[number - 1]["answers"], _config(ctx, config))
    if form is not None:
        click.echo(forms[form], nl=False)
        return
    _tell(row, samples[number - 1], number, forms)


def _forms(row: dict[str, Any], answers: dict[str, Any], config: Path) -> dict[str, str]:
    settings = settings_of(config)
    request = _reproduce.request_of(answers, route_of(config, settings, row["route"]), settings)
    commands = [_reproduce.curl(request, url) for url in (request.legacy, request.candidate)]
    return {
        "curl": "\n".join(commands) + "\n",
        "hurl": _reproduce.hurl(request),
        "pytest": _reproduce.pytest_file(request, row, path_steps(row["path"]) or ()),
    }


def _tell(row: dict[str, Any], sample: dict[str, Any], number: int, forms: dict[str, str]) -> None:
    console = terminal()
    style = _inbox.SEVERITY_STYLES[row["severity"]]
    console.print(
        f"[bold]{row['id']}[/]  [{style}]{row['severity']}[/]  {row['state']}"
        f"{'  (noise: legacy differs from itself here)' if row['is_noise'] else ''}"
    )
    console.print(
        f"route '{escape(row['route'])}'  {escape(row['endpoint'])}  {escape(_inbox.where(row))} {row['kind']}"
    )
    console.print(
        f"{row['count']:,} times, {_inbox.share(row['share'])} of comparisons,"
        f" {_inbox.moment(row['first_seen'])} to {_inbox.moment(row['last_seen'])} UTC"
    )
    for name in ("owner", "why", "until"):
        if row[name]:
            console.print(f"{name}: {escape(row[name])}")
    comparison, answers = sample["comparison"], sample["answers"]
    console.print(
        f"\nsample {number} of {len(row['samples'])}: {comparison['time']}  request {comparison['request_id']}"
    )
    console.print(f"{answers['request']['method']} {escape(answers['request']['target'])}\n", soft_wrap=True)
    for difference in comparison["differences"]:
        console.print(_difference(difference), soft_wrap=True)
    console.print()
    console.print(side_by_side(answers), width=min(console.width, _WIDEST))
    console.print("\n[bold]Ask again[/] (--as curl, hurl or pytest prints one of them alone)\n")
    for name, text in forms.items():
        console.print(f"[dim]# {name}[/]")
        console.print(escape(text), soft_wrap=True)


def _difference(difference: dict[str, Any]) -> str:
    values = [told_value(difference, arm) for arm in ("legacy", "candidate")]
    where = escape(_inbox.where(difference))
    style = _inbox.SEVERITY_STYLES[difference["severity"]]
    name = f"[{style}]{difference['severity']:<8}[/]"
    return f"{name} {where} {difference['kind']}: [red]{escape(values[0])}[/] → [green]{escape(values[1])}[/]"


@command.command()
@choice_options
@_where
@click.option("--why", required=True, help="Why it is allowed; kept in routes.yaml.")
@click.option("--until", type=Day(), help="Last day on which it is: 2027-01-31.")
@click.option("--owner", help="Who agreed to it.")
@click.option("--values", is_flag=True, help="Only this pair of values, as it was seen last.")
@click.option("--dry-run", is_flag=True, help="Show the change and leave everything as it is.")
@click.pass_context
def accept(
    ctx: click.Context,
    /,
    config: Path | None,
    admin: str | None,
    why: str,
    until: str | None,
    owner: str | None,
    values: bool,
    dry_run: bool,
    is_sure: bool,
    **named: Any,
) -> None:
    """Allow differences by accept rules in routes.yaml.

    A rule is for the endpoint where the difference was seen; of a status it takes the pair of values. All rules are
    written into the file at once, comments kept; a file with problems is never written. A rule that is there already is
    not written again.

    \b
    strangler diffs accept 9f2c1a77 --why "agreed with the app team"
    strangler diffs accept --route orders --noise --why "timestamps"
    """
    evidence, file, choice = _evidence(ctx, config, admin), _config(ctx, config), Choice(**named)
    rows = chosen(evidence, choice)
    texts, review = read_texts(file), Review("accepted", owner, why, until)
    plan = _plan(file, texts, rows, review, values)
    edit = edited(file, lambda: add_accepts(texts, plan.rules, os.environ)) if plan.rules else None
    _tell_plan(file, plan, edit, is_single=len(choice.names) == 1)
    if edit is not None and not dry_run:
        confirm(
            choice, is_sure, f"write {_count(len(plan.rules), 'rule')} for {_count(len(plan.accepted), 'difference')}"
        )
        write_texts(file, edit)
        _note_accepted(evidence, file, plan, review)
        tell_rows(plan.accepted, lambda row: f"{file}: route '{row['route']}' accepts {_named_place(row)} from now on")
    if plan.refused and choice.names:
        raise SystemExit(1)


def _plan(file: Path, texts: Files, rows: Sequence[Row], review: Review, values: bool) -> AcceptPlan:
    loaded = texts.load(os.environ)
    if loaded.settings is None:
        raise failed("\n".join([*map(str, loaded.problems), f"{file}: nothing was changed: the file has problems"]))
    try:
        return plan_accepts(rows, loaded.settings, review, utc_day(), values=values)
    except ReviewError as error:
        raise failed(f"nothing was changed: {error}") from None


def _tell_plan(file: Path, plan: AcceptPlan, edit: Edit | None, is_single: bool) -> None:
    """The change, and what is not in it and why."""
    if not (plan.accepted or plan.already or plan.refused):
        click.echo("no such differences")
    if is_single and plan.refused:
        raise failed(f"{plain(plan.refused[0][1])}; see `strangler diffs known`")
    if edit is not None:
        click.echo(plain(diff_of(edit)), nl=False)
    tell_rows(plan.already, lambda row: f"skipped {named_row(row)}: a rule accepts it already", err=True)
    reasons = {row["id"]: reason for row, reason in plan.refused}
    refused = [row for row, _ in plan.refused]
    tell_rows(refused, lambda row: f"skipped {named_row(row)}: {reasons[row['id']]}", err=True)


def _note_accepted(evidence: Evidence, file: Path, plan: AcceptPlan, review: Review) -> None:
    try:
        evidence.mark([row["id"] for row in plan.accepted], review, who())
    except click.ClickException as error:
        said = f"the rules are in {file} and count, but owner, reason and audit are not noted: {error.format_message()}"
        raise click.ClickException(said) from None


def _named_place(row: Row) -> str:
    return f"{_inbox.where(row)} ({row['kind']}) of {row['endpoint']}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@command.command()
@choice_options
@_where
@click.option("--owner", help="Who looks after it.")
@click.option("--why", help="What is known of it.")
@click.option("--dry-run", is_flag=True, help="Show what would be noted and leave everything as it is.")
@click.pass_context
def known(
    ctx: click.Context,
    /,
    config: Path | None,
    admin: str | None,
    owner: str | None,
    why: str | None,
    dry_run: bool,
    is_sure: bool,
    **named: Any,
) -> None:
    """Note that differences have been looked at. They still count."""
    _mark(_evidence(ctx, config, admin), Choice(**named), Review("known", owner, why), is_sure, dry_run)


@command.command()
@choice_options
@_where
@click.option("--why", help="How.")
@click.option("--dry-run", is_flag=True, help="Show what would be noted and leave everything as it is.")
@click.pass_context
def fixed(
    ctx: click.Context,
    /,
    config: Path | None,
    admin: str | None,
    why: str | None,
    dry_run: bool,
    is_sure: bool,
    **named: Any,
) -> None:
    """Note that differences are gone. Seen again, they are `regressed`.

    Pairs that differed in nothing else say nothing about the candidate of today, and no longer count.
    """
    _mark(_evidence(ctx, config, admin), Choice(**named), Review("fixed", None, why), is_sure, dry_run)


def _mark(evidence: Evidence, choice: Choice, review: Review, is_sure: bool, dry_run: bool) -> None:
    rows = chosen(evidence, choice)
    if not rows:
        click.echo("no such differences")
        return
    if not dry_run:
        confirm(choice, is_sure, f"note {_count(len(rows), 'difference')} as {review.state}")
        marked = evidence.mark([row["id"] for row in rows], review, who())
        unchanged = set(marked.unchanged)
        tell_rows(
            [row for row in rows if row["id"] in unchanged],
            lambda row: f"skipped {named_row(row)}: it is {review.state} already",
            err=True,
        )
        rows = [row for row in rows if row["id"] not in unchanged]
    would = " (nothing was changed: --dry-run)" if dry_run else ""
    tell_rows(
        rows,
        lambda row: f"{row['id']}: {review.state} (route '{row['route']}', {_inbox.where(row)} {row['kind']}){would}",
    )


@command.command()
@click.argument("route")
@_where
@click.pass_context
def propose(ctx: click.Context, route: str, config: Path | None, admin: str | None) -> None:
    """Propose accept rules for what legacy differs from itself in.

    They are printed as a part of routes.yaml. Nothing is changed: judge each rule, and copy those that are right.
    """
    file = _config(ctx, config)
    settings = settings_of(file)
    route_of(file, settings, route)
    patch = _evidence(ctx, config, admin, settings).proposal(route)
    if patch is None:
        click.echo(
            f"route '{route}': nothing to propose; legacy has not differed from itself in enough baseline pairs",
            err=True,
        )
        raise SystemExit(1)
    click.echo("# The baseline is counted by route, so each rule is for all endpoints of it. `endpoint:` narrows one.")
    click.echo(plain(patch), nl=False)
