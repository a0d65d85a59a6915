"""`strangler check`: is routes.yaml right, and what in it should its author know?"""

import json
import os
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource

from strangler.cli._admin import NamedAdmin, admin_option
from strangler.cli._config import BAD_INPUT, config_option, failed
from strangler.cli._envoys_word import with_envoys_word
from strangler.cli._gates import judge_gates
from strangler.cli._living_callers import living_callers
from strangler.cli._terminal import plain
from strangler.config.load import STANDARD_INPUT, STANDARD_INPUT_NAME, Loaded, load
from strangler.config.pem_files import PemSource
from strangler.config.problem import Problem
from strangler.config.quantities import duration_text
from strangler.core.settings import Settings, TimeoutSettings
from strangler.core.shadowing.extra_requests import ExtraRequests, extra_requests


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@config_option
@click.option("--gate", "is_gated", is_flag=True, help="Also fail if a percent rises that its gate does not allow.")
@click.option("--against", type=click.Path(path_type=Path), help="With --gate: the file that was in force before.")
@admin_option
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    file: Path | None,
    config: Path,
    is_gated: bool,
    against: Path | None,
    admin: NamedAdmin | None,
    as_json: bool,
) -> None:
    """Report everything that is wrong with routes.yaml, and where.

    Name the file as FILE or with -c; - is standard input.

    With `engine: envoy` an Envoy that is installed here validates the file, too.

    Problems and warnings go to standard error. The exit code is 2 with problems, 0 with warnings alone.

    With --gate, for a pipeline that deploys the file: exit code 1 if it raises a percent and the gate of the route is
    not met. Without --against the running proxy reports what is in force. A new route, or one with another candidate,
    counts from 0. If the same edit changes a gate, the stricter one applies. Routes without a gate never fail; their
    verdict is printed. A rollout raises nothing: it waits for the gate itself. A percent that takes its place counts.
    """
    if file is not None:
        if ctx.get_parameter_source("config") is not ParameterSource.DEFAULT:
            raise click.UsageError("FILE and -c both name a file; keep one of them")
        config = file
    if against is not None and not is_gated:
        raise failed("--against needs --gate")
    loaded = load(config, os.environ, PemSource(datetime.now(UTC)))
    loaded = with_envoys_word(replace(loaded, warnings=(*loaded.warnings, *living_callers(loaded))), str(config))
    gates = None if loaded.settings is None or not is_gated else judge_gates(config, loaded.settings, against, admin)
    config = Path(STANDARD_INPUT_NAME) if str(config) == STANDARD_INPUT else config
    if as_json:
        data = _as_data(config, loaded) | ({} if gates is None else {"gate": msgspec.to_builtins(gates.document())})
        click.echo(json.dumps(data, ensure_ascii=False, indent=2))
    else:
        _print_problems(config, loaded)
        for line in [] if gates is None else gates.lines():
            click.echo(plain(line))
    if loaded.settings is None:
        raise SystemExit(BAD_INPUT)
    if gates is not None and not gates.is_allowed:
        raise SystemExit(1)


def _print_problems(config: Path, loaded: Loaded) -> None:
    for problem in sorted((*loaded.problems, *loaded.warnings), key=partial(_order, config)):
        click.echo(str(problem), err=True)
    click.echo(f"{config}: {_summary(loaded)}", err=loaded.settings is None)
    for line in _timeout_lines(loaded.settings):
        click.echo(plain(line))
    for extra in _extra(loaded):
        click.echo(extra_text(extra))


def _order(config: Path, problem: Problem) -> tuple[bool, str, tuple[bool, int, int, str]]:
    """Sort problems as a reader meets them, those of included files last."""
    return problem.file != str(config), problem.file, problem.order


def _extra(loaded: Loaded) -> list[ExtraRequests]:
    """Return what shadows cost both arms, route by route."""
    routes = loaded.settings.routes if loaded.settings is not None else ()
    return [extra for extra in map(extra_requests, routes) if extra is not None]


def _timeout_lines(settings: Settings | None) -> list[str]:
    """Return how long a response may take to begin: a line for all upstreams, one for each route with its own."""
    if settings is None:
        return []
    upstreams = ", ".join(f"{name} {_within(upstream.timeouts)}" for name, upstream in settings.upstreams.items())
    routes = [
        f"route '{route.name}': responses of {route.candidate} begin within {_within(route.timeouts)}"
        for route in settings.routes
        if route.timeouts is not None and route.timeouts.sources[1] == "route"
    ]
    return [f"responses begin within: {upstreams}", *routes]


def _within(timeouts: TimeoutSettings) -> str:
    """Return `10s (default)`."""
    seconds = timeouts.response_s
    return f"{'any time' if seconds is None else duration_text(seconds)} ({timeouts.sources[1]})"


def _timeouts(settings: Settings) -> dict[str, dict[str, dict[str, object]]]:
    def timeouts_data(timeouts: TimeoutSettings) -> dict[str, object]:
        return {"response_s": timeouts.response_s, "source": timeouts.sources[1]}

    own = {route.name: timeouts_data(route.timeouts) for route in settings.routes if route.timeouts is not None}
    return {
        "upstreams": {name: timeouts_data(upstream.timeouts) for name, upstream in settings.upstreams.items()},
        "routes": own,
    }


def extra_text(extra: ExtraRequests) -> str:
    """Return `route 'orders': shadows repeat at most 10.2 % of its requests at orders and 0.2 % at legacy (…)`."""
    baseline = "all of them" if extra.with_credentials else "only those without credentials"
    baseline = f" (baseline: {baseline})" if extra.baseline_percent else ""
    text = (
        f"route '{extra.route}': shadows repeat at most {extra.candidate_percent:.4g} % of its requests at"
        f" {' + '.join(extra.candidates)} and {extra.legacy_percent:.4g} % at legacy{baseline}"
    )
    if extra.looks:
        arms = {"candidate": " + ".join(extra.candidates), "legacy": "legacy"}
        text += (
            f"; a difference is checked again up to {extra.looks} times,"
            f" at {' or '.join(arms[arm] for arm in extra.looks_at)} alone"
        )
    if extra.asks_before_writes:
        text += f"; {' + '.join(extra.candidates)} gets OPTIONS before writes"
    return f"{text}; writes go to {extra.sandbox}" if extra.sandbox is not None else text


def _summary(loaded: Loaded) -> str:
    warnings = [_count(len(loaded.warnings), "warning")] if loaded.warnings else []
    if loaded.settings is None:
        return ", ".join([_count(len(loaded.problems), "problem"), *warnings])
    upstreams, routes = len(loaded.settings.upstreams), len(loaded.settings.routes)
    included = [f"{_count(len(loaded.included), 'file')} included"] if loaded.included else []
    return f"ok: {', '.join([_count(upstreams, 'upstream'), _count(routes, 'route'), *included, *warnings])}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _as_data(config: Path, loaded: Loaded) -> dict[str, object]:
    settings = loaded.settings
    return {
        "file": str(config),
        "ok": settings is not None,
        "upstreams": None if settings is None else len(settings.upstreams),
        "routes": None if settings is None else len(settings.routes),
        "included": list(map(str, loaded.included)),
        "timeouts": None if settings is None else _timeouts(settings),
        "extra_requests": [asdict(extra) for extra in _extra(loaded)],
        "problems": [asdict(problem) for problem in loaded.problems],
        "warnings": [asdict(problem) for problem in loaded.warnings],
    }
