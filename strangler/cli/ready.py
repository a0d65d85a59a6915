"""`strangler ready`: is a route ready to be cut over, and if not, why?"""

from pathlib import Path

import click
from rich.markup import escape

from strangler.cli._admin import NamedAdmin, admin_option
from strangler.cli._config import config_option, failed, route_of, settings_of
from strangler.cli._evidence import find_evidence, known_release, release_option
from strangler.cli._json import json_text
from strangler.cli._terminal import console as terminal
from strangler.core.documents import VerdictDocument
from strangler.core.gate import Latency, cut_percent
from strangler.core.source import LIVE_ONLY

_STYLES = {"ready": "bold green", "not ready": "bold red", "not enough evidence": "bold yellow"}
_SOME = 12


@click.command()
@click.argument("route")
@config_option
@admin_option
@release_option
@click.option("--json", "as_json", is_flag=True, help="Print the verdict and what it rests on as JSON.")
def command(route: str, config: Path, admin: NamedAdmin | None, release: str | None, as_json: bool) -> None:
    """Say whether a route is ready to be cut over, and why not.

    It is ready if its candidate responds as legacy does, by the `gate` of the route. The test of the match share holds
    however often it is run. Exit code 0: ready. 1: not ready, or not enough evidence; the reasons are printed.
    """
    settings = settings_of(config)
    route_of(config, settings, route)
    evidence = find_evidence(config, admin, settings)
    known_release(evidence, route, release)
    found = evidence.ready(route, release)
    if found is None:
        raise failed(f"the running proxy has no route '{route}' yet; see `strangler status`")
    if as_json:
        click.echo(json_text(found))
    else:
        console = terminal()
        for line in lines(found):
            console.print(line, soft_wrap=True)
    raise SystemExit(0 if found.verdict == "ready" else 1)


def lines(found: VerdictDocument) -> list[str]:
    """Return the verdict, its reasons, and the figures, with rich's markup."""
    verdict = found.verdict
    release = f" release {escape(found.release)}" if found.release else ""
    output = [f"[bold]{escape(found.route)}[/]{release}: [{_STYLES[verdict]}]{verdict}[/]"]
    output += [f"  - {escape(reason)}" for reason in found.reasons]
    output += [f"  [dim]note: {escape(note)}[/]" for note in found.notes]
    output += ["", *_figures(found)]
    if found.noise_only:
        output.append(
            f"{found.noise_only:,} pairs differ only where legacy differs from itself:"
            f" see `strangler diffs propose {escape(found.route)}`"
        )
    if found.set_aside:
        output.append(f"{found.set_aside:,} pairs differed only in what is now fixed; they do not count")
    thin = found.thin_endpoints
    if thin:
        more = f" and {len(thin) - _SOME} more" if len(thin) > _SOME else ""
        output.append("endpoints with few pairs:")
        output += [f"  {escape(name)} ({found.endpoints[name]})" for name in thin[:_SOME]]
        output += [f" {more}"] if more else []
    return output


def _figures(found: VerdictDocument) -> list[str]:
    gate = found.gate
    share = found.match_share
    match = "-"
    if share is not None:
        match = f"{_cut(share)}, at least {_cut(found.match_low or 0.0)} (95 %, however often one looks)"
    counted = "" if found.sources == LIVE_ONLY else f" of {' and '.join(found.sources)}"
    rows = [
        (f"pairs{counted}", f"{found.pairs:,}", f"{gate.min_pairs:,}"),
        ("match", match, f"{gate.min_match:.3%}"),
        ("breaking, open", f"{found.breaking_open:,}", f"at most {gate.max_breaking:,}"),
        ("time, candidate / legacy", _latency(found.latency), f"at most {gate.max_latency_ratio:.2f}"),
        ("observed", _age(found.age_s), _age(gate.min_age_s)),
    ]
    rows_text = [f"{name:<25} {value}  [dim](gate: {wanted})[/]" for name, value, wanted in rows]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in found.not_comparable.items())
    return [*rows_text, f"{'not comparable':<25} {reasons}"] if reasons else rows_text


def _cut(share: float) -> str:
    return f"{cut_percent(share):.3f}%"


def _latency(latency: Latency | None) -> str:
    if latency is None:
        return "-"
    figures = (("median", latency.median), ("p95", latency.p95))
    return ", ".join(f"{name} {ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" for name, ratio in figures)


def _age(seconds: float) -> str:
    if seconds >= 48 * 3600:
        return f"{seconds / 86400:.1f} days"
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
