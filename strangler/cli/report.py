"""`strangler report`: one page that says, route by route, whether the candidate is ready."""

from collections.abc import Iterable
from pathlib import Path

import click

from strangler.cli._admin import admin_option
from strangler.cli._config import config_option
from strangler.cli._evidence import find_evidence, known_release, release_option
from strangler.cli._page import page
from strangler.config.replace import put_content
from strangler.core.documents import RouteReport

_MISSING = "the pictures need matplotlib; install it with: pip install 'strangler[report]'"


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default="report.html", show_default=True, help="The page."
)
@config_option
@admin_option
@release_option
def command(output: Path, config: Path, admin: str | None, release: str | None) -> None:
    """Write one self-contained page for a cutover meeting.

    Per route: the verdict and its reasons, what pairs came to over time, how fast both arms are, the gravest
    differences with examples, accept rules, and what was changed by whom.
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
                "What pairs come to as judged now, over time (UTC)",
                _charts.outcomes_over_time(route.timeline, route.name),
            )
        if route.latencies:
            title = f"Time to answer, {len(route.latencies):,} requests asked of both arms"
            yield title, _charts.latency_of_both(route.latencies, route.name)

    evidence = find_evidence(config, admin)
    known_release(evidence, None, release)
    text = page(evidence.report(release), pictures)
    try:
        put_content(output, text.encode())
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror}") from None
    click.echo(f"{output}: written, {len(text.encode()) / 1024:.0f} KiB")
