"""`strangler release`: the release of a candidate to which pairs belong."""

from collections.abc import Iterable
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from strangler.cli import _inbox
from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin, admin_option
from strangler.cli._config import config_option, failed, route_of, settings_of
from strangler.cli._evidence import find_evidence
from strangler.cli._json import json_text
from strangler.cli._tables import table
from strangler.cli._terminal import console as terminal
from strangler.core.documents import ReleaseNamedDocument, ReleaseRow, ReleasesDocument
from strangler.store.evidence.stored_releases import name_problem


@click.command()
@click.argument("route", required=False)
@click.argument("name", required=False)
@click.option("--why", default="", help="Why, or by what; recorded with your name.")
@config_option
@admin_option
@click.option("--json", "as_json", is_flag=True, help="Print what is known, or what was done, as JSON.")
def command(
    route: str | None, name: str | None, why: str, config: Path, admin: NamedAdmin | None, as_json: bool
) -> None:
    """Name the candidate's release, or show those known.

    Pairs belong to a release, and the verdict is about the current one. Call this from the deploy pipeline, unless
    routes.yaml names a response header of the candidate (`release: {header: X-Release}`). A name that was used before
    goes on with its pairs.

    \b
    strangler release orders v1.4.2
    strangler release orders
    """
    settings = settings_of(config)
    if route is not None:
        route_of(config, settings, route)
    evidence = find_evidence(config, admin, settings)
    if route is not None and name is not None:
        wrong = name_problem(name)
        if wrong is not None:
            raise failed(f"NAME: {wrong}")
        done = evidence.name_release(route, name, acting_user(), why)
        click.echo(json_text(done) if as_json else _summary(done))
        return
    found = evidence.releases(route)
    if as_json:
        click.echo(json_text(ReleasesDocument(found)))
    elif found:
        terminal().print(_table(found))
    else:
        click.echo("no release is known yet: nothing was compared, and nobody has named one")


def _summary(done: ReleaseNamedDocument) -> str:
    route, release = done.route, done.release
    if not done.changed:
        return f"route '{route}' has release {release} already"
    former = done.former
    return f"route '{route}' has release {release} from now on; it was {former or 'unnamed'}"


def _table(found: Iterable[ReleaseRow]) -> Table:
    made = table("route", "release", "first seen (UTC)", "last seen", "pairs>", "")
    for release in found:
        note = "current" if release.is_current else "set aside" if release.is_set_aside else ""
        made.add_row(
            escape(release.route),
            escape(release.name) or "[dim](unnamed)[/]",
            _inbox.moment(release.first_seen),
            _inbox.moment(release.last_seen),
            f"{release.pairs:,}",
            f"[bold]{note}[/]" if release.is_current else f"[dim]{note}[/]",
        )
    return made
