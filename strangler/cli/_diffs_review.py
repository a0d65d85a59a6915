"""`strangler diffs accept`, `known`, `fixed` and `propose`: the review of differences."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from strangler.cli import _inbox
from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin
from strangler.cli._choice import Choice, choice_options, chosen, confirm, print_rows
from strangler.cli._choice import named as named_row
from strangler.cli._config import failed, route_of, settings_of
from strangler.cli._diffs_where import config_of, evidence_of, where_options
from strangler.cli._editing import diff_of, edited, read_texts, write_texts
from strangler.cli._evidence import Evidence
from strangler.cli._terminal import plain
from strangler.cli._times import Day
from strangler.config.edit import Edit
from strangler.config.edit_accept import add_accepts
from strangler.config.source_files import Files
from strangler.core.documents import SignatureRow
from strangler.store.evidence.reviews import AcceptPlan, Review, ReviewError, plan_accepts
from strangler.times import utc_day


@click.command()
@choice_options
@where_options
@click.option("--why", required=True, help="Why it is allowed; kept in routes.yaml.")
@click.option("--until", type=Day(), help="Last day on which it is allowed: 2027-01-31.")
@click.option("--owner", help="Who agreed to it.")
@click.option("--values", is_flag=True, help="Only this pair of values, as it was seen last.")
@click.option("--dry-run", is_flag=True, help="Show the change and leave everything as it is.")
@click.pass_context
def accept(
    ctx: click.Context,
    /,
    config: Path | None,
    admin: NamedAdmin | None,
    why: str,
    until: str | None,
    owner: str | None,
    values: bool,
    dry_run: bool,
    is_sure: bool,
    **named: Any,
) -> None:
    """Allow differences by accept rules in routes.yaml.

    A rule applies to the endpoint where the difference was seen; for a status, to that pair of values. All rules are
    written into the file at once, comments kept; a file with problems is never written. A rule that exists already is
    not written again.

    \b
    strangler diffs accept 9f2c1a77 --why "agreed with the app team"
    strangler diffs accept --route orders --noise --why "timestamps"
    """
    evidence, file, choice = evidence_of(ctx, config, admin), config_of(ctx, config), Choice(**named)
    rows = chosen(evidence, choice)
    texts, review = read_texts(file), Review("accepted", owner, why, until)
    plan = _plan(file, texts, rows, review, values)
    edit = edited(file, lambda: add_accepts(texts, plan.rules, os.environ)) if plan.rules else None
    _print_plan(file, plan, edit, is_single=len(choice.names) == 1)
    if edit is not None and not dry_run:
        confirm(
            choice, is_sure, f"write {_count(len(plan.rules), 'rule')} for {_count(len(plan.accepted), 'difference')}"
        )
        write_texts(file, edit)
        _note_accepted(evidence, file, plan, review)
        print_rows(plan.accepted, lambda row: f"{file}: route '{row.route}' accepts {_named_place(row)} from now on")
    if plan.refused and choice.names:
        raise SystemExit(1)


def _plan(file: Path, texts: Files, rows: Sequence[SignatureRow], review: Review, values: bool) -> AcceptPlan:
    loaded = texts.load(os.environ)
    if loaded.settings is None:
        raise failed("\n".join([*map(str, loaded.problems), f"{file}: nothing was changed: the file has problems"]))
    try:
        return plan_accepts(rows, loaded.settings, review, utc_day(), values=values)
    except ReviewError as error:
        raise failed(f"nothing was changed: {error}") from None


def _print_plan(file: Path, plan: AcceptPlan, edit: Edit | None, is_single: bool) -> None:
    """Print the change, and what is not in it and why."""
    if not (plan.accepted or plan.already or plan.refused):
        click.echo("no such differences")
    if is_single and plan.refused:
        raise failed(f"{plain(plan.refused[0][1])}; see `strangler diffs known`")
    if edit is not None:
        click.echo(plain(diff_of(edit)), nl=False)
    print_rows(plan.already, lambda row: f"skipped {named_row(row)}: a rule accepts it already", err=True)
    reasons = {row.id: reason for row, reason in plan.refused}
    refused = [row for row, _ in plan.refused]
    print_rows(refused, lambda row: f"skipped {named_row(row)}: {reasons[row.id]}", err=True)


def _note_accepted(evidence: Evidence, file: Path, plan: AcceptPlan, review: Review) -> None:
    try:
        evidence.mark([row.id for row in plan.accepted], review, acting_user())
    except click.ClickException as error:
        warning = (
            f"the rules are in {file} and apply, but owner, reason and audit are not stored: {error.format_message()}"
        )
        raise click.ClickException(warning) from None


def _named_place(row: SignatureRow) -> str:
    return f"{_inbox.where(row)} ({row.kind}) of {row.endpoint}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@click.command()
@choice_options
@where_options
@click.option("--owner", help="Who is responsible for it.")
@click.option("--why", help="What is known about it.")
@click.option("--dry-run", is_flag=True, help="Show what would be marked and leave everything as it is.")
@click.pass_context
def known(
    ctx: click.Context,
    /,
    config: Path | None,
    admin: NamedAdmin | None,
    owner: str | None,
    why: str | None,
    dry_run: bool,
    is_sure: bool,
    **named: Any,
) -> None:
    """Mark differences as reviewed. They still count."""
    _mark(evidence_of(ctx, config, admin), Choice(**named), Review("known", owner, why), is_sure, dry_run)


@click.command()
@choice_options
@where_options
@click.option("--why", help="How it was fixed.")
@click.option("--dry-run", is_flag=True, help="Show what would be marked and leave everything as it is.")
@click.pass_context
def fixed(
    ctx: click.Context,
    /,
    config: Path | None,
    admin: NamedAdmin | None,
    why: str | None,
    dry_run: bool,
    is_sure: bool,
    **named: Any,
) -> None:
    """Mark differences as fixed. Seen again, they are `regressed`.

    Pairs that differed in nothing else say nothing about the current candidate, and no longer count.
    """
    _mark(evidence_of(ctx, config, admin), Choice(**named), Review("fixed", None, why), is_sure, dry_run)


def _mark(evidence: Evidence, choice: Choice, review: Review, is_sure: bool, dry_run: bool) -> None:
    rows = chosen(evidence, choice)
    if not rows:
        click.echo("no such differences")
        return
    if not dry_run:
        confirm(choice, is_sure, f"mark {_count(len(rows), 'difference')} as {review.state}")
        marked = evidence.mark([row.id for row in rows], review, acting_user())
        unchanged = set(marked.unchanged)
        print_rows(
            [row for row in rows if row.id in unchanged],
            lambda row: f"skipped {named_row(row)}: it is {review.state} already",
            err=True,
        )
        rows = [row for row in rows if row.id not in unchanged]
    would = " (nothing was changed: --dry-run)" if dry_run else ""
    print_rows(
        rows,
        lambda row: f"{row.id}: {review.state} (route '{row.route}', {_inbox.where(row)} {row.kind}){would}",
    )


@click.command()
@click.argument("route")
@where_options
@click.pass_context
def propose(ctx: click.Context, route: str, config: Path | None, admin: NamedAdmin | None) -> None:
    """Propose accept rules for where legacy differs from itself.

    They are printed as a part of routes.yaml. Nothing is changed: judge each rule, and copy those that are right.
    """
    file = config_of(ctx, config)
    settings = settings_of(file)
    route_of(file, settings, route)
    patch = evidence_of(ctx, config, admin, settings).proposal(route)
    if patch is None:
        click.echo(
            f"route '{route}': nothing to propose; legacy has not differed from itself in enough baseline pairs",
            err=True,
        )
        raise SystemExit(1)
    click.echo("# The baseline is counted by route, so each rule is for all its endpoints. `endpoint:` narrows a rule.")
    click.echo(plain(patch), nl=False)
