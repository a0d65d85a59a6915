"""`strangler diffs show`: both responses of one difference side by side, and commands that repeat the request."""

from pathlib import Path

import click
from rich.markup import escape

from strangler.cli import _inbox, _reproduce
from strangler.cli._admin import NamedAdmin
from strangler.cli._config import failed, route_of, settings_of
from strangler.cli._diffs_where import config_of, evidence_of, where_options
from strangler.cli._evidence import Evidence, known_release
from strangler.cli._json import json_text
from strangler.cli._side_by_side import side_by_side
from strangler.cli._terminal import console as terminal
from strangler.core.documents import ComparedDifference, KeptPair, SampleDocument, SignatureDocument
from strangler.core.source import REPLAY
from strangler.store.evidence.reading import path_steps
from strangler.store.evidence.side_by_side import value_text

_WIDEST = 160
"""Most columns that two responses take side by side."""


def _named(evidence: Evidence, name: str, release: str | None = None) -> SignatureDocument:
    """Return the one signature whose id begins with `name`. End the program if there is none."""
    known_release(evidence, None, release)
    found = evidence.detail(name, release)
    if found is None:
        raise failed(f"no difference has the id {name}, or several begin with it; see `strangler diffs`")
    return found


@click.command()
@click.argument("name", metavar="ID")
@where_options
@click.option("--sample", "number", type=click.IntRange(1), default=1, show_default=True, help="1 is the newest.")
@click.option(
    "--as", "form", type=click.Choice(["curl", "hurl", "pytest"]), help="Print only the request, in this form."
)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.pass_context
def show(
    ctx: click.Context,
    name: str,
    config: Path | None,
    admin: NamedAdmin | None,
    number: int,
    form: str | None,
    as_json: bool,
) -> None:
    """Show both responses, and commands that repeat the request.

    Redacted values appear as `redacted:…`; put your own in their place.
    """
    release = ctx.parent.params.get("release") if ctx.parent is not None else None
    row = _named(evidence_of(ctx, config, admin), name, release)
    if as_json:
        click.echo(json_text(row))
        return
    samples = row.samples
    if number > len(samples):
        raise failed(f"{row.id} has {len(samples)} samples, the newest is --sample 1")
    forms = _forms(row, samples[number - 1].answers, config_of(ctx, config))
    if form is not None:
        click.echo(forms[form], nl=False)
        return
    _tell(row, samples[number - 1], number, forms)


def _forms(row: SignatureDocument, responses: KeptPair, config: Path) -> dict[str, str]:
    settings = settings_of(config)
    request = _reproduce.request_of(responses, route_of(config, settings, row.route), settings)
    commands = [_reproduce.curl(request, url) for url in (request.legacy, request.candidate)]
    return {
        "curl": "\n".join(commands) + "\n",
        "hurl": _reproduce.hurl(request),
        "pytest": _reproduce.pytest_file(request, row, path_steps(row.path) or ()),
    }


def _tell(row: SignatureDocument, sample: SampleDocument, number: int, forms: dict[str, str]) -> None:
    console = terminal()
    style = _inbox.SEVERITY_STYLES[row.severity]
    console.print(
        f"[bold]{row.id}[/]  [{style}]{row.severity}[/]  {row.state}"
        f"{'  (noise: legacy differs from itself here)' if row.is_noise else ''}"
    )
    console.print(f"route '{escape(row.route)}'  {escape(row.endpoint)}  {escape(_inbox.where(row))} {row.kind}")
    console.print(
        f"{row.count:,} times{f' ({_inbox.by_source(row)})' if _inbox.by_source(row) else ''},"
        f" {_inbox.share(row.share)} of comparisons,"
        f" {_inbox.moment(row.first_seen)} to {_inbox.moment(row.last_seen)} UTC"
    )
    for name, value in (("owner", row.owner), ("why", row.why), ("until", row.until)):
        if value:
            console.print(f"{name}: {escape(value)}")
    comparison, responses = sample.comparison, sample.answers
    source = "  (replay)" if comparison.source == REPLAY else ""
    console.print(
        f"\nsample {number} of {len(row.samples)}: {comparison.time}{source}  request {comparison.request_id}"
    )
    console.print(f"{responses.request.method} {escape(responses.request.target)}\n", soft_wrap=True)
    for difference in comparison.differences:
        console.print(_difference(difference), soft_wrap=True)
    console.print()
    console.print(side_by_side(responses), width=min(console.width, _WIDEST))
    console.print("\n[bold]Repeat it[/] (--as curl, hurl or pytest prints one of these alone)\n")
    for name, text in forms.items():
        console.print(f"[dim]# {name}[/]")
        console.print(escape(text), soft_wrap=True)


def _difference(difference: ComparedDifference) -> str:
    values = value_text(difference, "legacy"), value_text(difference, "candidate")
    where = escape(_inbox.where(difference))
    style = _inbox.SEVERITY_STYLES[difference.severity]
    name = f"[{style}]{difference.severity:<8}[/]"
    return f"{name} {where} {difference.kind}: [red]{escape(values[0])}[/] → [green]{escape(values[1])}[/]"
