"""`strangler report`: one page that says, route by route, whether the candidate is ready."""

from collections.abc import Iterable
from pathlib import Path

import click

from strangler.cli._admin import NamedAdmin, admin_option
from strangler.cli._config import config_option
from strangler.cli._evidence import find_evidence, known_release, release_option
from strangler.cli._page import page
from strangler.config.replace import put_content
from strangler.core.documents import RouteReport

_MISSING = "the pictures need matplotlib; install it with: pip install 'strangler[report]'"


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="report.html",
    show_default=True,
    help="The file to write.",
)
@config_option
@admin_option
@release_option
def command(output: Path, config: Path, admin: NamedAdmin | None, release: str | None) -> None:
    """Write one self-contained page for a cutover meeting.

    For each route: the verdict and its reasons, outcomes of pairs over time, response times of both arms, the most
    severe differences with examples, and accept rules; then who has changed what.
    """
    try:
        from strangler.cli import _charts
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("matplotlib"):
            raise
        raise click.ClickException(_MISSING) from None

    def pictures(route: RouteReport) -> Iterable[tuple[str, str]]:
        if route.timeline:
            yield (
                "Outcomes of pairs as judged now, over time (UTC)",
                _charts.outcomes_over_time(route.timeline, route.name),
            )
        if route.latencies:
            title = f"Response time, {len(route.latencies):,} requests sent to both arms"
            yield title, _charts.latency_of_both(route.latencies, route.name)

    evidence = find_evidence(config, admin)
    known_release(evidence, None, release)
    text = page(evidence.report(release), pictures)
    try:
        put_content(output, text.encode())
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror}") from None
    click.echo(f"{output}: written, {len(text.encode()) / 1024:.0f} KiB")
